"""Model files: architecture, edits, tensors, classes and preprocessing in one safetensors file.

Loading builds the architecture without allocating weights, replays the edits and loads the tensors
strictly. No pickle is involved and no code is read from the file.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zoo import __version__, catalog, tensorfile
from zoo.catalog import Architecture
from zoo.errors import ModelFileError, NotFoundError, UsageError
from zoo.recipe import Preprocess, Preprocessing

if TYPE_CHECKING:
    from torch import Tensor, nn

    from zoo.surgery import Edit

FORMAT_VERSION = 1


class Arguments(BaseModel):
    """What an architecture's builder is called with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_classes: int = Field(ge=1, le=1_000_000)
    in_channels: int = Field(ge=1, le=4096)
    input_size: tuple[int, int]


class Training(BaseModel):
    """How the weights came about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    """Name of the recipe."""
    recipe_hash: str
    content: dict[str, Any]
    """The recipe itself, so that `evaluate` needs nothing else."""


class Description(BaseModel):
    """Everything a model file says besides its tensors."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: int = FORMAT_VERSION
    architecture: str
    arguments: Arguments
    edits: tuple[dict[str, Any], ...] = ()
    classes: tuple[str, ...] = ()
    """Class names in the order of the logits; empty where nothing was trained."""
    preprocessing: Preprocessing
    training: Training | None = None
    metrics: dict[str, float | int | None] = {}
    versions: dict[str, str] = {}

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height, width of the network's input."""
        return (self.arguments.in_channels, *self.arguments.input_size)


@dataclass(frozen=True)
class Source:
    """What MODEL stands for."""

    name: str
    """What to call it: the architecture's name, or the path as given."""
    path: Path | None
    """The model file; None for a bare architecture."""
    description: Description

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
) -> Source:
    """What MODEL stands for: an architecture, a model file, or a run's best weights.

    An architecture wins over a path of that name; `./name` forces the path.

    Args:
        model: what the user typed.
        num_classes: of a bare architecture.
        in_channels: of a bare architecture.
        input_size: of a bare architecture; height and width.
        preprocess: a recipe's wishes, which the arguments above override.

    Raises:
        NotFoundError: it is none of these.
        ModelFileError: the file is refused or corrupt.
        UsageError: a model file's own arguments can't be changed.
    """
    card = catalog.lookup(model)
    if card is not None:
        description = describe(card, num_classes, in_channels, input_size, preprocess)
        return Source(card.name, None, description)
    path = locate(model)
    if (num_classes, in_channels, input_size) != (None, None, None):
        raise UsageError(
            f"{model} has its classes, channels and input size already.",
            hint="--num-classes, --in-channels and --input-size go with an architecture.",
        )
    return Source(model, path, read_description(path))


def locate(model: str) -> Path:
    """The model file that a path means: itself, or a run directory's best weights.

    Raises:
        NotFoundError: no such path.
    """
    path = Path(model)
    if (path / "run.json").is_file():
        best = path / "best.safetensors"
        if not best.is_file():
            raise NotFoundError(f"The run {model} has no best weights: no epoch was finished.")
        return best
    if path.is_dir():
        raise NotFoundError(f"{model} is a directory but no run: it holds no run.json.")
    if not path.exists():
        raise catalog.not_found(model)
    return path


def describe(
    card: Architecture,
    num_classes: int | None = None,
    in_channels: int | None = None,
    input_size: tuple[int, int] | None = None,
    preprocess: Preprocess | None = None,
) -> Description:
    """A fresh network's description; what is not given the recipe decides, then the card."""
    preprocess = preprocess or Preprocess()
    arguments = Arguments(
        num_classes=num_classes or card.num_classes,
        in_channels=in_channels or preprocess.channels or card.input_shape[0],
        input_size=input_size or preprocess.size or card.input_shape[1:],
    )
    return Description(
        architecture=card.name,
        arguments=arguments,
        preprocessing=decide_preprocessing(card, arguments, preprocess),
    )


def decide_preprocessing(
    card: Architecture, arguments: Arguments, preprocess: Preprocess
) -> Preprocessing:
    """A recipe's preprocessing with the card's answers where it is silent.

    Raises:
        UsageError: mean or std have another number of channels than the network.
    """
    channels = arguments.in_channels
    for name, values in (("mean", preprocess.mean), ("std", preprocess.std)):
        if len(values) not in (1, channels):
            raise UsageError(
                f"preprocess.{name} has {len(values)} values, but the network {channels} channels."
            )
    height, width = arguments.input_size
    fit = preprocess.fit or ("pad" if card.content_px else "resize")
    content = (height, width)
    if fit == "pad" and card.content_px:
        # In the card's proportion: LeNet-5 keeps 28 of 32 pixels, so 56 of 64.
        content = (
            round(height * card.content_px / card.input_shape[1]),
            round(width * card.content_px / card.input_shape[2]),
        )
    return Preprocessing(
        channels=channels,
        size=(height, width),
        content=content,
        mean=preprocess.mean * (channels if len(preprocess.mean) == 1 else 1),
        std=preprocess.std * (channels if len(preprocess.std) == 1 else 1),
        interpolation=preprocess.interpolation,
        fit=fit,
    )


def read_description(path: Path, *, verified: bool = True) -> Description:
    """What a model file says besides its tensors; imports no torch.

    Args:
        path: the file.
        verified: hold the digest too, which reads the whole file.

    Raises:
        ModelFileError: the file is refused or corrupt.
        DiskError: it can't be read.
    """
    header = tensorfile.read_header(path)
    if header.document is None:
        raise ModelFileError(
            f"{path} is a safetensors file of another program: it does not say which network "
            "its tensors belong to.",
            hint=f"zoo build ARCHITECTURE --weights {path} -o FILE",
        )
    version = header.document.get("format")
    if version != FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format {version}; this zoo {__version__} reads format {FORMAT_VERSION}."
        )
    if verified:
        tensorfile.verify(path, header)
    try:
        description = Description.model_validate(header.document)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise ModelFileError(f"{path} is no model file: {place}: {problem['msg']}.") from error
    if catalog.lookup(description.architecture) is None:
        raise ModelFileError(
            f"{path} holds a {description.architecture}, which this zoo {__version__} lacks."
        )
    return description


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


def with_edits(description: Description, edits: "Sequence[Edit]") -> Description:
    """The description with further edits appended."""
    added = tuple(edit.model_dump(mode="json") for edit in edits)
    return description.model_copy(update={"edits": description.edits + added})


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
    with _meta_parameters():
        return _construct(description)


def outline(description: Description) -> "nn.Module":
    """A network wholly on the meta device: its structure, without a byte of weights."""
    return skeleton(description).to("meta")


def load(model: str | Path) -> "nn.Module":
    """The network of a model file or of a run's best weights, in evaluation mode.

    Raises:
        NotFoundError: no such path.
        ModelFileError: the file is refused or corrupt, or a tensor does not fit.
        DiskError: it can't be read.
    """
    path = locate(str(model))
    return load_network(path, read_description(path))


def load_network(path: Path, description: Description) -> "nn.Module":
    """The network of a model file whose description was read.

    Raises:
        ModelFileError: a tensor is missing, surplus, or of another shape or type.
    """
    network = skeleton(description)
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
    network.load_state_dict(tensors, strict=True, assign=True)


def save(path: Path, network: "nn.Module", description: Description) -> None:
    """Writes a model file atomically; equal models give equal bytes.

    Raises:
        DiskError: the disk is full, or there is no permission.
    """
    import torch

    versions = {"zoo": __version__, "torch": torch.__version__}
    document = description.model_copy(update={"versions": versions}).model_dump(mode="json")
    tensorfile.write(path, document, network.state_dict())


def _construct(description: Description) -> "nn.Module":
    module, _, attribute = catalog.find(description.architecture).builder.partition(":")
    builder = getattr(import_module(module), attribute)
    network: nn.Module = builder(**description.arguments.model_dump())
    for edit in edits_of(description):
        network = edit.apply(network, description.input_shape)
    return network


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


def _tensors(network: "nn.Module") -> "dict[str, Tensor]":
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _some(names: Sequence[str]) -> str:
    rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + rest


def _kind(tensor: "Tensor") -> str:
    shape = "×".join(str(side) for side in tensor.shape) or "a scalar"
    return f"{shape} {str(tensor.dtype).removeprefix('torch.')}"
