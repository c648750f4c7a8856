"""Weights from elsewhere: a model file, plain safetensors, or a pickled state dict."""

import hashlib
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo import modelfile, tensorfile
from zoo.description import Description, read_description
from zoo.errors import ModelFileError, UsageError
from zoo.files import disk_errors

# Where training scripts keep the state dict inside what they saved.
_WRAPPERS = ("state_dict", "model_state_dict", "model")


@dataclass(frozen=True)
class Loaded:
    """What was put into a network."""

    origin: str
    """Kind and SHA-256 of the file; no path, so that equal models are equal bytes."""
    description: Description | None
    """What the file says of itself, if it is a model file."""
    left_out: tuple[str, ...] = ()
    """Tensors in place of which the network keeps its own."""


def find_weights(path: Path) -> tuple[Path, bool]:
    """The file that a path means, a run's best weights among them, and whether it is a pickle.

    Raises:
        UsageError: there is no such file.
        DiskError: it can't be read.
    """
    if path.is_dir():
        path = modelfile.locate(str(path))
    if not path.is_file():
        raise UsageError(f"There is no weights file {path}.")
    with disk_errors("read", path), path.open("rb") as file:
        return path, tensorfile.is_pickle(file.read(4))


def load_weights(
    network: nn.Module, path: Path, *, fresh: Collection[str] = (), fresh_anyway: bool = False
) -> Loaded:
    """Loads a file's tensors into a network, whatever the file is called.

    Half-precision and double tensors are converted to the network's own type.

    Args:
        network: whose tensors are replaced.
        path: a model file, a run, plain safetensors, or a pickled state dict.
        fresh: tensors that stay the network's own where the file's have other shapes.
        fresh_anyway: they stay so whatever the shapes.

    Raises:
        UsageError: there is no such file.
        ModelFileError: the file is refused, or a tensor is missing, surplus or of another shape.
        DiskError: it can't be read.
    """
    path, is_pickle = find_weights(path)
    description, kind = None, "a state dict"
    if is_pickle:
        tensors = _state_dict(path)
    else:
        kind = "plain safetensors"
        if tensorfile.read_header(path).document is not None:
            description, kind = read_description(path), "a model file"
        tensors = tensorfile.read_tensors(path)
    with disk_errors("read", path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    wanted = network.state_dict()
    for name, tensor in tensors.items():
        if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_quantized:
            raise ModelFileError(f"{path}: {name} is no plain tensor ({tensor.layout}).")
    # Batch norms saved before PyTorch 0.4.1 lack their counter, which only momentum=None reads.
    counters = {name: wanted[name] for name in wanted if name.endswith("num_batches_tracked")}
    tensors = {**counters, **tensors}
    converted = {
        name: tensor.to(wanted[name].dtype).contiguous()
        if name in wanted and tensor.is_floating_point() and wanted[name].is_floating_point()
        else tensor.contiguous()
        for name, tensor in tensors.items()
    }
    left_out = tuple(
        name
        for name, tensor in wanted.items()
        if name in fresh
        and (fresh_anyway or (name in converted and converted[name].shape != tensor.shape))
    )
    converted.update({name: wanted[name] for name in left_out})
    modelfile.assign(network, converted, str(path))
    return Loaded(f"{kind}, SHA-256 {digest}", description, left_out)


def _state_dict(path: Path) -> dict[str, Tensor]:
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
    # DataParallel's prefix
    return {name.removeprefix("module."): tensor for name, tensor in content.items()}
