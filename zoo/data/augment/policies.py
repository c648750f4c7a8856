"""TrivialAugment and RandAugment: each picture meets operations drawn from one list.

Operations and strengths are those of torchvision's TrivialAugmentWide and RandAugment with 31
steps; pictures move bilinearly, and black comes in.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.data.augment import color
from zoo.data.augment.draws import Draws, below, per_picture
from zoo.data.augment.geometry import warp
from zoo.data.augment.groups import changed
from zoo.data.placement import all_to_device
from zoo.schema import RandAugment

_STEPS = 31


@dataclass(frozen=True)
class Strengths:
    """What full strength means."""

    shear: float
    """Columns per row, or rows per column."""
    shift_px: tuple[float, float]
    """Along the columns and along the rows."""
    rotation_degrees: float
    enhancement: float
    """Distance from 1 of the factor on brightness, colour, contrast and sharpness."""
    bits: int
    """Of 8, lost to posterizing."""


def trivial_augment(images: Tensor, draws: Draws) -> Tensor:
    """One operation of random strength per picture (Müller and Hutter 2021), (N, C, H, W)."""
    strengths = Strengths(0.99, (32, 32), 135, 0.99, bits=6)
    operation, level, sign = draws.unit("trivial_augment", 3)
    step = below(level, _STEPS)
    return _one_each(images, operation, _signed(step / (_STEPS - 1), sign), strengths)


def rand_augment(images: Tensor, settings: RandAugment, draws: Draws) -> Tensor:
    """A few operations of one strength per picture (Cubuk et al. 2019), (N, C, H, W)."""
    height, width = images.shape[-2:]
    # The paper shifts by up to 150 of 331 pixels.
    shift_px = (150 / 331 * width, 150 / 331 * height)
    strengths = Strengths(0.3, shift_px, 30, 0.9, bits=4)
    level = torch.full((len(images),), settings.magnitude / (_STEPS - 1))
    units = draws.unit("rand_augment", 2 * settings.num_ops)
    for operation, sign in units.view(settings.num_ops, 2, -1):
        images = _one_each(images, operation, _signed(level, sign), strengths)
    return images


def operations(channels: int) -> tuple[str, ...]:
    """The list that is drawn from; without colour where there is none."""
    return tuple(name for name in _OPERATIONS if name != "color" or channels == 3)


def apply(name: str, images: Tensor, level: Tensor, strengths: Strengths) -> Tensor:
    """One operation on all pictures.

    Args:
        name: one of `operations`.
        images: (N, C, H, W), float, 0 to 255.
        level: (N,) on the CPU, -1 to 1: share of the full strength. Operations that know no
            direction take its amount.
        strengths: what the full strength is.

    Returns:
        (N, C, H, W), float, 0 to 255.
    """
    return _OPERATIONS[name](images, level, strengths)


def _one_each(images: Tensor, unit: Tensor, level: Tensor, strengths: Strengths) -> Tensor:
    names = operations(images.shape[1])
    drawn = below(unit, len(names))
    groups = [(drawn == index).nonzero()[:, 0] for index in range(len(names))]
    moved = all_to_device(groups, images.device)
    for name, here, there in zip(names, groups, moved, strict=True):
        images = changed(images, there, _bound(name, level[here], strengths))
    return images


def _bound(name: str, level: Tensor, strengths: Strengths) -> Callable[[Tensor], Tensor]:
    return lambda part: apply(name, part, level, strengths)


def _signed(level: Tensor, sign: Tensor) -> Tensor:
    return torch.where(sign < 0.5, -level, level)


def _moved(images: Tensor, x: tuple[Tensor, ...], y: tuple[Tensor, ...]) -> Tensor:
    """Pictures at x and y of the input, each as (by column, by row, offset), (N,) pixels."""
    matrix = torch.stack((torch.stack(x, dim=1), torch.stack(y, dim=1)), dim=1)
    return warp(images, matrix, fill_mode="zeros")


def _shear_x(images: Tensor, level: Tensor, strengths: Strengths) -> Tensor:
    slope, one, none = level * strengths.shear, torch.ones_like(level), torch.zeros_like(level)
    # About the upper left corner of the picture, half a pixel above the first row.
    return _moved(images, (one, slope, slope / 2), (none, one, none))


def _shear_y(images: Tensor, level: Tensor, strengths: Strengths) -> Tensor:
    slope, one, none = level * strengths.shear, torch.ones_like(level), torch.zeros_like(level)
    return _moved(images, (one, none, none), (slope, one, slope / 2))


def _translate_x(images: Tensor, level: Tensor, strengths: Strengths) -> Tensor:
    shift, one = (level * strengths.shift_px[0]).trunc(), torch.ones_like(level)
    return _moved(images, (one, 0 * one, -shift), (0 * one, one, 0 * one))


def _translate_y(images: Tensor, level: Tensor, strengths: Strengths) -> Tensor:
    shift, one = (level * strengths.shift_px[1]).trunc(), torch.ones_like(level)
    return _moved(images, (one, 0 * one, 0 * one), (0 * one, one, -shift))


def _rotate(images: Tensor, level: Tensor, strengths: Strengths) -> Tensor:
    """Counterclockwise for a positive level."""
    height, width = images.shape[-2:]
    x, y = (width - 1) / 2, (height - 1) / 2
    angle = level * (strengths.rotation_degrees * math.pi / 180)
    cos, sin = angle.cos(), angle.sin()
    return _moved(images, (cos, -sin, x - cos * x + sin * y), (sin, cos, y - sin * x - cos * y))


def _posterize(images: Tensor, level: Tensor, strengths: Strengths) -> Tensor:
    lost = 8 - (8 - strengths.bits * level.abs()).round()
    step = per_picture(2**lost, images)
    return (images / step).floor() * step


def _solarize(images: Tensor, level: Tensor, _: Strengths) -> Tensor:
    threshold = per_picture(255 * (1 - level.abs()), images)
    return torch.where(images >= threshold, 255 - images, images)


def _equalize(images: Tensor, _: Tensor, __: Strengths) -> Tensor:
    # Imported where it is needed: torchvision takes a second, and most recipes never come here.
    from torchvision.transforms.v2 import (  # type: ignore[import-untyped, unused-ignore]
        functional as tv,
    )

    equal: Tensor = tv.equalize(images.round().clamp(0, 255).to(torch.uint8))
    return equal.to(images.dtype)


def _enhance(adjust: Callable[[Tensor, Tensor], Tensor]) -> "_Operation":
    return lambda images, level, strengths: adjust(images, 1 + level * strengths.enhancement)


_Operation = Callable[[Tensor, Tensor, Strengths], Tensor]
_OPERATIONS: dict[str, _Operation] = {
    "identity": lambda images, _, __: images,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
    "rotate": _rotate,
    "brightness": _enhance(color.adjust_brightness),
    "color": _enhance(color.adjust_saturation),
    "contrast": _enhance(color.adjust_contrast),
    "sharpness": _enhance(color.adjust_sharpness),
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": lambda images, _, __: color.autocontrast(images),
    "equalize": _equalize,
}
