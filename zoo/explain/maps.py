"""What the first filters of a network look like, and what its stages make of a picture."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo import layers, modelfile
from zoo.data.fit import fit, normalize
from zoo.errors import StructureError
from zoo.explain.grid import read_picture
from zoo.layers import Shape
from zoo.modelfile import Source


@dataclass(frozen=True)
class Filters:
    """The filters of a network's first convolution."""

    layer: str
    weights: Tensor
    """(filters, channels, height, width)"""


@dataclass(frozen=True)
class Stage:
    """The feature maps of the last layer of one resolution."""

    layer: str
    shape: tuple[int, int, int]
    """Maps, height, width; all of them."""
    maps: Tensor
    """(maps, height, width), the first ones."""


def first_filters(source: Source) -> Filters:
    """The filters of the first convolution that runs.

    Raises:
        StructureError: the network has no convolution.
    """
    network = modelfile.outline(source.description)
    path = _first_convolution(network, source.description.input_shape)
    if path is None:
        raise StructureError(f"{source.name} has no convolution.")
    return _filters(modelfile.instantiate(source), path)


def filters_of(network: nn.Module, input_shape: Shape) -> Filters | None:
    """The filters of a network's first convolution that runs; None where it has none.

    Args:
        network: with its weights.
        input_shape: channels, height, width.
    """
    path = _first_convolution(network, input_shape)
    return None if path is None else _filters(network, path)


def _first_convolution(network: nn.Module, input_shape: Shape) -> str | None:
    for layer in layers.ordered(network, input_shape).layers:
        if isinstance(layer.module, nn.Conv2d):
            return layer.path
    return None


def _filters(network: nn.Module, path: str) -> Filters:
    weights = network.get_submodule(path).weight
    assert isinstance(weights, Tensor)
    return Filters(path, weights.detach().cpu())


def stages(source: Source, picture: Path, *, count: int) -> tuple[Tensor, list[Stage]]:
    """What each resolution's last layer makes of a picture.

    Args:
        source: MODEL.
        picture: a file.
        count: maps of each stage, at most.

    Returns:
        The picture as the network sees it, (C, H, W), uint8, and the stages in the order they run.

    Raises:
        DataError: the picture can't be read.
        StructureError: no layer has feature maps.
    """
    preprocessing = source.description.preprocessing
    image = fit(read_picture(picture)[None], preprocessing)  # (1, C, H, W)
    network = modelfile.instantiate(source).eval()
    found = stages_of(network, normalize(image, preprocessing), count=count)
    if not found:
        raise StructureError(f"{source.name} makes no feature maps of this picture.")
    return image[0], found


def stages_of(network: nn.Module, image: Tensor, *, count: int) -> list[Stage]:
    """What each resolution's last layer makes of a picture; none where there are no maps.

    Args:
        network: in evaluation mode.
        image: (1, C, H, W), normalized, on the network's device.
        count: maps of each stage, at most.
    """
    latest: dict[tuple[int, int], tuple[str, Tensor]] = {}
    names = {module: name for name, module in network.named_modules()}
    previous: Tensor | None = None

    def keep(module: nn.Module, _: Any, output: Any) -> None:
        nonlocal previous
        if not isinstance(output, Tensor) or output.ndim != 4:
            return
        # Normalizations and activations keep the shape of the maps before them; layers with other
        # dimensions, such as ConvNeXt's, hold channels last. What changes a tensor in place, or
        # ends with one, gives it its name.
        if makes_maps(module) or (previous is not None and output.shape == previous.shape):
            previous = output
            latest[output.shape[2], output.shape[3]] = (names[module], output)

    hooks = [module.register_forward_hook(keep) for module in network.modules() if names[module]]
    try:
        with torch.inference_mode():
            network(image)
    finally:
        for hook in hooks:
            hook.remove()
    return [
        Stage(name, (maps.shape[1], *size), maps[0, :count].float().cpu())
        for size, (name, maps) in latest.items()
        if max(size) > 1
    ]


def makes_maps(module: nn.Module) -> bool:
    """Whether a window slides in it."""
    return any(hasattr(each, "kernel_size") for each in module.modules())
