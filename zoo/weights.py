"""Weights that a network starts from: a model file, plain safetensors, or a pickled state dict."""

import hashlib
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo import catalog, modelfile, tensorfile
from zoo.catalog import Architecture
from zoo.description import Description, describe, read_description
from zoo.errors import ModelFileError, UsageError
from zoo.exported import container_of, read_exported
from zoo.files import disk_errors
from zoo.heads import auxiliary_heads, from_the_head_on
from zoo.misfits import Made

# Where training scripts keep the state dict inside what they saved.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network")
_PREFIXES = ("module.", "_orig_mod.")
"""Before every name, of DataParallel and of torch.compile."""


@dataclass(frozen=True)
class Donor:
    """Weights that a network can start from."""

    name: str
    """For messages: the file, or the name that they were published by."""
    origin: str
    """Kind and SHA-256 of the file; no path, so that equal models are equal bytes."""
    tensors: dict[str, Tensor]
    description: Description | None = None
    """What is known of the network that they were made by."""
    untrained: frozenset[str] = frozenset()
    """Tensors that never learned anything: a network keeps its own."""
    notes: tuple[str, ...] = ()
    """What people should know of them."""
    is_model: bool = False
    """Whether they are a model file, with which other commands can go on."""

    @property
    def made(self) -> Made | None:
        """The network that they were made by, as far as it is known."""
        if self.description is None:
            return None
        return Made(self.name, self.description, self.is_model)

    @property
    def classes(self) -> tuple[str, ...]:
        """That they tell apart; empty where nobody says."""
        return () if self.description is None else self.description.classes


@dataclass(frozen=True)
class Transplanted:
    """How a network got a donor's weights."""

    fresh: tuple[str, ...]
    """Layers of the head that start fresh."""
    notes: tuple[str, ...]
    """On what starts fresh, and on the weights themselves."""
    left_behind: tuple[str, ...]
    """Notes on what the weights do not bring."""


def read_donor(path: Path) -> Donor:
    """A file's weights, whatever the file is called.

    Args:
        path: a model file, a run, plain safetensors, or a pickled state dict.

    Raises:
        UsageError: there is no such file, or it is an ONNX or torch.export file.
        ModelFileError: the file is refused or corrupt.
        DiskError: it can't be read.
    """
    if path.is_dir():
        path = modelfile.locate(str(path))
    if not path.is_file():
        raise UsageError(f"There is no weights file {path}.")
    container = container_of(path)
    if container in ("onnx", "pt2"):
        raise modelfile.refusal(str(path), container)
    with disk_errors("read", path), path.open("rb") as file:
        is_pickle = tensorfile.is_pickle(file.read(9))
    description, kind = None, "a state dict"
    if is_pickle:
        tensors = _without_prefixes(read_pickle(path))
    else:
        kind = "plain safetensors"
        if container == "safetensors":
            description, kind = read_exported(path).description, "exported tensors"
        elif tensorfile.read_header(path).document is not None:
            description, kind = read_description(path), "a model file"
        tensors = tensorfile.read_tensors(path)
    for name, tensor in tensors.items():
        if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_quantized:
            raise ModelFileError(f"{path}: {name} is no plain tensor ({tensor.layout}).")
    return Donor(
        str(path),
        f"{kind}, SHA-256 {sha256_of(path)}",
        tensors,
        description,
        is_model=kind == "a model file",
    )


def read_pickle(path: Path) -> dict[str, Tensor]:
    """A pickled state dict as it was saved, its versions of modules included.

    Raises:
        ModelFileError: it is none, or holds more than tensors.
    """
    try:
        # Passed explicitly: the default can be turned off by an environment variable.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of its own environment variables
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever bytes do to an unpickler
        raise ModelFileError(
            f"{path} is refused: it is no plain state dict, or damaged. Nothing in it was run."
        ) from error
    for key in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in content.items()
    ):
        raise ModelFileError(f"{path} holds no state dict: names and their tensors.")
    return content


def _without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in (*_PREFIXES, *_PREFIXES):  # in either order
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def sha256_of(path: Path) -> str:
    """The digest of a file, in hexadecimal digits.

    Raises:
        DiskError: it can't be read.
    """
    with disk_errors("read", path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_weights(
    network: nn.Module,
    donor: Donor,
    *,
    fresh: Collection[str] = (),
    fresh_anyway: bool = False,
    auxiliary: Collection[str] = (),
) -> tuple[str, ...]:
    """Loads a donor's tensors into a network.

    Half-precision and double tensors are converted to the network's own type.

    Args:
        network: whose tensors are replaced.
        donor: where they are from.
        fresh: tensors that stay the network's own where the donor's have other shapes.
        fresh_anyway: they stay so whatever the shapes.
        auxiliary: tensors that network and donor may lack.

    Returns:
        Tensors in place of which the network keeps its own.

    Raises:
        ModelFileError: a tensor is missing, surplus, of another shape, or not finite.
    """
    wanted = network.state_dict()
    # Batch norms saved before PyTorch 0.4.1 lack their counter, which only momentum=None reads.
    counters = {name: wanted[name] for name in wanted if name.endswith("num_batches_tracked")}
    tensors = {
        name: tensor
        for name, tensor in {**counters, **donor.tensors}.items()
        if name in wanted or name not in auxiliary
    }
    converted = {
        name: tensor.to(wanted[name].dtype).contiguous()
        if name in wanted and tensor.is_floating_point() and wanted[name].is_floating_point()
        else tensor.contiguous()
        for name, tensor in tensors.items()
    }

    def stays(name: str, tensor: Tensor) -> bool:
        if name in donor.untrained or (name in auxiliary and name not in donor.tensors):
            return True
        differs = name in converted and converted[name].shape != tensor.shape
        return name in fresh and (fresh_anyway or differs)

    left_out = tuple(name for name, tensor in wanted.items() if stays(name, tensor))
    converted.update({name: wanted[name] for name in left_out})
    bad = [name for name, tensor in converted.items() if not _is_finite(tensor)]
    if bad:
        raise ModelFileError(f"{donor.name} holds NaN or infinite numbers in {', '.join(bad[:5])}.")
    modelfile.assign(network, converted, donor.name)
    return left_out


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(tensor.isfinite().all())


def transplant(
    network: nn.Module,
    donor: Donor,
    description: Description,
    classes: tuple[str, ...] | None = None,
) -> Transplanted:
    """Puts a donor's weights into a network that may tell other classes apart.

    The head, what follows it, and the heads of auxiliary classifiers keep their fresh weights where
    the donor's classes are others, or, where it names none, where its tensors have another shape.

    Args:
        network: fresh.
        donor: where the weights are from.
        description: of the network.
        classes: that it will tell apart; None where they are the donor's.

    Raises:
        UsageError: the weights read another number of channels.
        ModelFileError: a tensor below the head does not fit.
    """
    _check_channels(donor, description)
    auxiliary = auxiliary_tensors(catalog.find(description.architecture))
    new: list[nn.Module] = []
    if classes is not None and not (donor.classes and donor.classes == classes):
        shape = description.input_shape
        new = from_the_head_on(network, shape)
        new += auxiliary_heads(network, shape) if auxiliary else []
    top = {id(module) for module in new}
    fresh = [
        f"{path}.{name}"
        for path, module in network.named_modules()
        if id(module) in top
        for name in module.state_dict()
    ]
    try:
        left_out = load_weights(
            network, donor, fresh=fresh, fresh_anyway=bool(donor.classes), auxiliary=auxiliary
        )
    except ModelFileError as error:
        error.hint = (donor.made and donor.made.why_not(description)) or error.hint
        raise
    return _transplanted(left_out, donor, auxiliary)


def auxiliary_tensors(card: Architecture) -> frozenset[str]:
    """Tensors that a network has only with its auxiliary classifiers."""
    if card.auxiliary_from is None:
        return frozenset()
    described = describe(card)
    arguments = described.arguments.model_copy(update={"auxiliary": False})
    without = described.model_copy(update={"arguments": arguments})
    names, fewer = (modelfile.outline(each).state_dict().keys() for each in (described, without))
    return frozenset(names - fewer)


def _check_channels(donor: Donor, description: Description) -> None:
    made = donor.description
    if made is None or made.architecture != description.architecture:
        return
    theirs, ours = made.arguments.in_channels, description.arguments.in_channels
    if theirs != ours:
        hint = f"Leave the network its {theirs} channels"
        raise UsageError(
            f"{donor.name} reads {theirs} channels, not {ours}.",
            hint=f"{hint}: gray pictures then fill each of them." if theirs == 3 else f"{hint}.",
        )


def _transplanted(
    left_out: tuple[str, ...], donor: Donor, auxiliary: Collection[str]
) -> Transplanted:
    notes = []
    lacking = [name for name in left_out if name in donor.untrained or name not in donor.tensors]
    whole = [name for name in lacking if name in auxiliary]
    of_head = [name for name in left_out if name not in whole]
    layers = tuple(dict.fromkeys(name.rpartition(".")[0] for name in of_head))
    if layers:
        reason = "have none for it" if {*of_head} <= {*lacking} else "tell other classes apart"
        notes.append(f"{' and '.join(layers)} starts fresh: the weights {reason}")
    if whole:
        reason = f": those of {donor.name} learned nothing" if donor.untrained else ""
        notes.append(f"the auxiliary classifiers start fresh{reason}")
    left_behind = () if donor.made is None else donor.made.left_behind()
    return Transplanted(layers, (*donor.notes, *notes), left_behind)
