"""Augmentation: batched tensor work on the training device, one draw per picture.

Names and meaning are those of Keras's ImageDataGenerator.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor

from zoo.schema import Augment


def augment(images: Tensor, settings: Augment, generator: torch.Generator) -> Tensor:
    """Randomly changed pictures.

    Args:
        images: (N, C, H, W), float, 0 to 255.
        settings: the recipe's `augment`.
        generator: on the CPU; the numbers drawn depend on N alone.

    Returns:
        (N, C, H, W), float.
    """
    count, _, height, width = images.shape

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=generator) * (high - low) + low

    rotation, shear = settings.rotation_range, settings.shear_range
    vertical = _pixels(settings.height_shift_range, height)
    horizontal = _pixels(settings.width_shift_range, width)
    low, high = settings.zoom_range
    draws = {
        "theta": uniform(-rotation, rotation),
        "tx": uniform(-horizontal, horizontal),
        "ty": uniform(-vertical, vertical),
        "shear": uniform(-shear, shear),
        "zx": uniform(low, high),
        "zy": uniform(low, high),
    }
    left_right, top_bottom = uniform(0, 1) < 0.5, uniform(0, 1) < 0.5
    if any((rotation, shear, vertical, horizontal, (low, high) != (1, 1))):
        images = affine(images, **draws, fill_mode=settings.fill_mode, cval=settings.cval)
    for wanted, mirrored, axis in (
        (settings.horizontal_flip, left_right, 3),
        (settings.vertical_flip, top_bottom, 2),
    ):
        if wanted:
            chosen = mirrored.to(images.device)[:, None, None, None]
            images = torch.where(chosen, images.flip(axis), images)
    return images


def affine(
    images: Tensor,
    *,
    theta: Tensor,
    tx: Tensor,
    ty: Tensor,
    shear: Tensor,
    zx: Tensor,
    zy: Tensor,
    fill_mode: str = "nearest",
    cval: float = 0.0,
) -> Tensor:
    """Rotated, shifted, sheared and zoomed pictures, bilinear, about their centre.

    The matrix is that of Keras's `apply_affine_transform`, rotation · shift · shear · zoom, which
    maps a pixel of the output to its place in the input; x runs along the columns.

    Args:
        images: (N, C, H, W), float.
        theta: (N,), degrees.
        tx: (N,), pixels along the columns.
        ty: (N,), pixels along the rows.
        shear: (N,), degrees.
        zx: (N,), factor along the columns; below 1 the picture grows.
        zy: (N,), factor along the rows.
        fill_mode: what appears beyond the border: nearest, constant, reflect or wrap.
        cval: the value that `constant` fills in.

    Returns:
        (N, C, H, W), float.
    """
    height, width = images.shape[-2:]
    x, y = _source_coordinates(height, width, theta, tx, ty, shear, zx, zy)  # (N, H, W) each
    x, y = x.to(images.device), y.to(images.device)
    if fill_mode == "wrap":
        x, y = _wrapped(x, width), _wrapped(y, height)
    # grid_sample's -1 and 1 are the outer edges of the outer pixels (align_corners=False).
    grid = torch.stack(((2 * x + 1) / width - 1, (2 * y + 1) / height - 1), dim=-1)
    padding = "reflection" if fill_mode == "reflect" else "border"
    moved = F.grid_sample(
        images, grid.to(images.dtype), mode="bilinear", padding_mode=padding, align_corners=False
    )
    if fill_mode == "constant":
        outside = (x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)
        moved = moved.masked_fill(outside[:, None], cval)
    return moved


def _source_coordinates(
    height: int,
    width: int,
    theta: Tensor,
    tx: Tensor,
    ty: Tensor,
    shear: Tensor,
    zx: Tensor,
    zy: Tensor,
) -> tuple[Tensor, Tensor]:
    angle, skew = theta * (math.pi / 180), shear * (math.pi / 180)
    cos, sin = angle.cos(), angle.sin()
    # rotation [[cos, -sin], [sin, cos]] · shear [[1, -sin(skew)], [0, cos(skew)]] · zoom
    xx, xy = cos * zx, (-cos * skew.sin() - sin * skew.cos()) * zy
    yx, yy = sin * zx, (-sin * skew.sin() + cos * skew.cos()) * zy
    # rotation · shift
    x_offset, y_offset = cos * tx - sin * ty, sin * tx + cos * ty
    columns = torch.arange(width) - (width - 1) / 2
    rows = torch.arange(height) - (height - 1) / 2

    def place(by_column: Tensor, by_row: Tensor, offset: Tensor, size: int) -> Tensor:
        return (
            by_column[:, None, None] * columns[None, None, :]
            + by_row[:, None, None] * rows[None, :, None]
            + (offset + (size - 1) / 2)[:, None, None]
        )

    return place(xx, xy, x_offset, width), place(yx, yy, y_offset, height)


def _wrapped(coordinates: Tensor, size: int) -> Tensor:
    inside = (coordinates >= 0) & (coordinates <= size - 1)
    return torch.where(inside, coordinates, coordinates.remainder(max(1, size - 1)))


def _pixels(shift: float, side: int) -> float:
    """A share of the side below 1, pixels from 1 up."""
    return shift if shift >= 1 else shift * side
