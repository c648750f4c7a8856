"""Model files: architecture, edits, tensors, classes and preprocessing in one safetensors file.

Loading builds the architecture without allocating weights, replays the edits and loads the tensors
strictly. No pickle is involved and no code is read from the file.
"""

import shlex
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from zoo import __version__, catalog, tensorfile
from zoo.catalog import Architecture
from zoo.description import Description, describe, read_description
from zoo.errors import (
    ModelFileError,
    NotFoundError,
    OutOfMemoryError,
    StructureError,
    UsageError,
    is_out_of_memory,
)
from zoo.exported import Exported, container_of, read_exported
from zoo.schema import Preprocess

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.overrides import TorchFunctionMode

    from zoo.surgery import Edit as Edit


@dataclass(frozen=True)
class Source:
    """What MODEL stands for."""

    name: str
    """What to call it: the architecture's name, or the path as given."""
    path: Path | None
    """The model file; None for a bare architecture."""
    description: Description
    exported: Exported | None = None
    """What an exported file says of itself besides."""

    @property
    def card(self) -> Architecture:
        """The architecture's card."""
        return catalog.find(self.description.architecture)


def resolve(
    model: str,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    input_size: tuple[int, int] | None = None,
    preprocess: Preprocess | None = None,
    exported: bool = False,
) -> Source:
    """What MODEL stands for: an architecture, a model file, a run's best weights, an exported file.

    An architecture wins over a path of that name; `./name` forces the path.

    Args:
        model: what the user typed.
        num_classes: of a bare architecture.
        in_channels: of a bare architecture.
        input_size: of a bare architecture; height and width.
        preprocess: a recipe's wishes, which the arguments above override.
        exported: whether a file that was exported for other programs will do.

    Raises:
        NotFoundError: it is none of these.
        ModelFileError: the file is refused or corrupt.
        UsageError: a model file's own arguments can't be changed, or the file was exported.
    """
    card = catalog.named(model)
    if card is not None:
        description = describe(card, num_classes, in_channels, input_size, preprocess)
        return Source(card.name, None, description)
    path = locate(model)
    if (num_classes, in_channels, input_size) != (None, None, None):
        raise UsageError(
            f"{model} has its classes, channels and input size already.",
            hint="--num-classes, --in-channels and --input-size go with an architecture.",
        )
    container = container_of(path)
    if container is None:
        return Source(model, path, read_description(path))
    if not exported:
        raise refusal(model, container)
    document = read_exported(path)
    return Source(model, path, document.description, document)


def refusal(name: str, kind: str) -> UsageError:
    """What to raise where an exported file is of no use.

    Args:
        name: of the file.
        kind: what it is.
    """
    if kind == "safetensors":
        return UsageError(
            f"{name} holds plain tensors, exported for other programs: no model file.",
            hint="Give the model file or the run that it was exported from.",
        )
    what = "a torch.export file" if kind == "pt2" else "an ONNX file"
    return UsageError(
        f"{name} is {what}: its network is fixed and its layers can't be reached.",
        hint="Give the model file or the run that it was exported from; predict, evaluate, "
        "benchmark, summary, explain layers and show take exported files.",
    )


def locate(model: str) -> Path:
    """The model file that a path means: itself, or a run directory's best weights.

    Raises:
        NotFoundError: no such path.
    """
    path = Path(model)
    if not model:
        raise catalog.not_found(model)
    try:
        path.stat()
    except OSError as error:
        # Whatever the reason, such as a name too long: nothing there is a model.
        raise catalog.not_found(model) from error
    if (path / "run.json").is_file():
        best = path / "best.safetensors"
        if not best.is_file():
            raise NotFoundError(
                f"The run {model} has no best.safetensors: no epoch was finished, or it was "
                "removed."
            )
        return best
    if path.is_dir():
        raise NotFoundError(f"{model} is a directory but no run: it holds no run.json.")
    if not path.is_file():
        raise NotFoundError(f"{model} is no regular file.")  # reading a pipe would never end
    return path


def check_has_head(source: Source) -> None:
    """Refuses a network that tells no classes apart.

    Raises:
        UsageError: its top was taken off, or it never had one.
    """
    if source.description.arguments.tells_no_classes:
        raise UsageError(
            f"{source.name} gives features and no classes: it was imported without a classifier."
        )
    if source.description.is_headless:
        raise UsageError(
            f"{source.name} gives features and no classes: its top was taken off.",
            hint=new_head_hint(source),
        )


def new_head_hint(source: Source, arguments: str = "") -> str:
    """The command that fits a network to other classes.

    Args:
        source: MODEL.
        arguments: of `zoo train`, with a space before them.
    """
    if source.exported is not None:
        return f"zoo train MODEL{arguments} puts a new head on the model that it was exported from."
    return f"zoo train {shlex.quote(source.name)}{arguments} puts a new head on it."


def with_edits(description: Description, edits: "Sequence[Edit]") -> Description:
    """The description with further edits appended."""
    added = tuple(edit.model_dump(mode="json") for edit in edits)
    return description.model_copy(update={"edits": description.edits + added})


def edits_of(description: Description) -> "list[Edit]":
    """The edits of a model file, in order.

    Raises:
        ModelFileError: one is of no kind that this version knows.
    """
    from pydantic import TypeAdapter

    from zoo.surgery import Edit

    adapter: TypeAdapter[Edit] = TypeAdapter(Edit)
    try:
        return [adapter.validate_python(edit) for edit in description.edits]
    except ValidationError as error:
        raise ModelFileError(f"An edit is not known here: {error.errors()[0]['msg']}.") from error


def build(description: Description, *, seed: int = 0) -> "nn.Module":
    """A network with fresh weights drawn from a seed.

    Raises:
        StructureError: an edit does not fit.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _construct(description)


def skeleton(description: Description) -> "nn.Module":
    """A network whose parameters are on the meta device and whose buffers are real.

    Raises:
        StructureError: an edit does not fit.
    """
    return without_weights(lambda: _construct(description))


def without_weights(construct: "Callable[[], nn.Module]") -> "nn.Module":
    """What `construct` makes, with its parameters on the meta device and its buffers real."""
    import torch
    from torch import nn

    # Some layers draw before they register, and the caller's random numbers are the caller's.
    with torch.random.fork_rng(devices=[]):
        try:
            with _meta_parameters(), _undrawn():
                network = construct()
            if not _lost_buffers(network):
                return network
        except RuntimeError as error:
            if "meta" not in str(error):
                raise
        network = construct()  # it uses its weights while it is built, as some of timm's do
    moved = {
        id(parameter): nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)
        for parameter in network.parameters()
    }
    for module in network.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = moved[id(parameter)]
    return network


def outline(description: Description) -> "nn.Module":
    """A network wholly on the meta device: its structure, without a byte of weights."""
    return skeleton(description).to("meta")


def load(model: str | Path) -> "nn.Module":
    """The network of a model file or of a run's best weights, in evaluation mode.

    Raises:
        NotFoundError: no such path.
        UsageError: it was exported for other programs.
        ModelFileError: the file is refused or corrupt, or a tensor does not fit.
        DiskError: it can't be read.
    """
    path = locate(str(model))
    container = container_of(path)
    if container is not None:
        raise refusal(str(model), container)
    return load_network(path, read_description(path))


def instantiate(source: Source, edits: "Sequence[Edit]" = (), *, seed: int = 0) -> "nn.Module":
    """MODEL's network with further edits: a file's weights, fresh ones where it has none.

    Raises:
        StructureError: an edit does not fit.
        ModelFileError: a tensor is missing, surplus, or of another shape or type.
    """
    import torch

    if source.path is None:
        return build(with_edits(source.description, edits), seed=seed)
    network = load_network(source.path, source.description)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for edit in edits:
            network = edit.apply(network, source.description.input_shape)
    return network


def load_network(path: Path, description: Description) -> "nn.Module":
    """The network of a model file whose description was read.

    Raises:
        ModelFileError: a tensor is missing, surplus, or of another shape or type.
    """
    try:
        network = skeleton(description)
    except StructureError as error:
        raise ModelFileError(f"{path} describes a network that can't be: {error}") from error
    assign(network, tensorfile.read_tensors(path), str(path))
    left = [name for name, tensor in _tensors(network).items() if tensor.is_meta]
    if left:
        raise ModelFileError(f"{path} left {', '.join(left)} without values.")
    return network.eval()


def assign(network: "nn.Module", tensors: "Mapping[str, Tensor]", origin: str) -> None:
    """Puts tensors in place of the network's own, strictly.

    Raises:
        ModelFileError: a tensor is missing, surplus, or of another shape or type.
    """
    import torch

    wanted = network.state_dict()
    problems = []
    if missing := [name for name in wanted if name not in tensors]:
        problems.append(f"missing: {_some(missing)}")
    if surplus := [name for name in tensors if name not in wanted]:
        problems.append(f"surplus: {_some(surplus)}")
    for name in wanted.keys() & tensors.keys():
        ours, theirs = wanted[name], tensors[name]
        if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
            problems.append(
                f"{name} is {_kind(theirs)} where the network has {_kind(ours)}",
            )
    if problems:
        raise ModelFileError(f"{origin} does not fit the network: {'; '.join(sorted(problems))}.")
    tied = _tied(network)
    state = OrderedDict(tensors)
    # The names are today's, which some modules, such as torchvision's MNASNet, must be told.
    state._metadata = wanted._metadata  # type: ignore[attr-defined]
    network.load_state_dict(state, strict=True, assign=True)
    for first, *others in tied:
        for other in others:
            if not torch.equal(network.get_parameter(first), network.get_parameter(other)):
                raise ModelFileError(f"{origin}: {first} and {other} are one tensor, but differ.")
            module, _, attribute = other.rpartition(".")
            setattr(network.get_submodule(module), attribute, network.get_parameter(first))


def save(path: Path, network: "nn.Module", description: Description) -> None:
    """Writes a model file atomically; equal models give equal bytes.

    Raises:
        DiskError: the disk is full, or there is no permission.
    """
    tensorfile.write(path, _document(description), network.state_dict())


def file_bytes(network: "nn.Module", description: Description) -> int:
    """How large the model file would be; the network may lie on meta."""
    return tensorfile.size_of(_document(description), network.state_dict())


def _document(description: Description) -> dict[str, Any]:
    import torch

    versions = {"zoo": __version__, "torch": torch.__version__}
    return description.model_copy(update={"versions": versions}).model_dump(mode="json")


def _construct(description: Description) -> "nn.Module":
    card = catalog.find(description.architecture)
    module, _, attribute = card.builder.partition(":")
    builder = getattr(import_module(module), attribute)
    height, width = description.arguments.input_size
    if min(height, width) < (card.smallest_px or 1):
        raise StructureError(
            f"{card.name} needs pictures of at least {card.smallest_px}×{card.smallest_px}, "
            f"not {height}×{width}."
        )
    unknown = {"auxiliary"} if card.auxiliary_from is None else set()
    try:
        network: nn.Module = builder(
            **card.options, **description.arguments.model_dump(exclude=unknown)
        )
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"{description.architecture} does not fit into memory with "
            f"{description.arguments.num_classes} classes of {description.input_shape}."
        ) from error
    for edit in edits_of(description):
        network = edit.apply(network, description.input_shape)
    return network


def _lost_buffers(network: "nn.Module") -> bool:
    """Whether a buffer that no file would hold followed the parameters to the meta device."""
    on_meta = {name for name, buffer in network.named_buffers() if buffer.is_meta}
    return bool(on_meta and on_meta - network.state_dict().keys())


@contextmanager
def _meta_parameters() -> "Iterator[None]":
    """Moves each parameter to the meta device as it is registered, and leaves buffers alone.

    Under torch's own meta context the buffers would be lost, and builders that compute with
    tensors (torchvision's regnet) fail.
    """
    from torch import nn

    original = nn.Module.register_parameter
    # By identity, so that a parameter registered twice stays tied; the originals stay alive here,
    # for an identity can be used again.
    moved: dict[int, tuple[nn.Parameter, nn.Parameter]] = {}

    def register(self: nn.Module, name: str, param: nn.Parameter | None) -> None:
        if param is not None and not param.is_meta:
            if id(param) not in moved:
                meta = nn.Parameter(param.detach().to("meta"), requires_grad=param.requires_grad)
                moved[id(param)] = (param, meta)
            param = moved[id(param)][1]
        original(self, name, param)

    nn.Module.register_parameter = register  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.register_parameter = original  # type: ignore[method-assign]


def _undrawn() -> "TorchFunctionMode":
    """Inside, numbers that a parameter on the meta device would not hold are not drawn.

    For normal ones torch would take a way round in Python, for which it imports 900 modules: it
    takes seconds and 150 MB to change nothing.
    """
    from torch import Tensor
    from torch.nn import init
    from torch.overrides import TorchFunctionMode

    skipped = {Tensor.normal_, Tensor.erfinv_, init.normal_}

    class Undrawn(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            kwargs = kwargs or {}
            if func in skipped:
                tensor = args[0] if args else kwargs["tensor"]
                if tensor.is_meta:
                    return tensor
            return func(*args, **kwargs)

    return Undrawn()


def _tied(network: "nn.Module") -> list[list[str]]:
    """The names of each parameter that has several."""
    names: dict[int, list[str]] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return [group for group in names.values() if len(group) > 1]


def _tensors(network: "nn.Module") -> "dict[str, Tensor]":
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _some(names: Sequence[str]) -> str:
    rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + rest


def _kind(tensor: "Tensor") -> str:
    shape = "×".join(str(side) for side in tensor.shape) or "a scalar"
    return f"{shape} {str(tensor.dtype).removeprefix('torch.')}"
