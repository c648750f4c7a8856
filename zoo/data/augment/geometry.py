"""Rotation, shifts, shear, zoom and flips: every picture with its own matrix, in one call."""

import math
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor

from zoo.data.augment.draws import Draws, between
from zoo.schema import Augment

# Pictures whose grid and result stay in the processor's cache; larger parts run at the speed of
# the memory (tests/benchmarks/augmentation.py measures it).
_PIXELS_AT_ONCE = 2**16

# Rounding must not push the border's own pixels out of the picture.
_TOLERANCE_PX = 1e-3


def random_affine(images: Tensor, settings: Augment, draws: Draws) -> Tensor:
    """Rotation, shifts, shear and zoom about the true centre, (N, C, H, W).

    Keras's `height_shift_range` moves sideways, against its documentation: here it moves up and
    down.
    """
    height, width = images.shape[-2:]
    vertical = _pixels(settings.height_shift_range, height)
    horizontal = _pixels(settings.width_shift_range, width)
    theta, tx, ty, shear, zx, zy = draws.unit("affine", 6)
    return affine(
        images,
        theta=between(theta, -settings.rotation_range, settings.rotation_range),
        tx=between(tx, -horizontal, horizontal),
        ty=between(ty, -vertical, vertical),
        shear=between(shear, -settings.shear_range, settings.shear_range),
        zx=between(zx, *settings.zoom_range),
        zy=between(zy, *settings.zoom_range),
        fill_mode=settings.fill_mode,
        cval=settings.cval,
        center="true",
    )


def random_flips(images: Tensor, settings: Augment, draws: Draws) -> Tensor:
    """Half of the pictures mirrored, each way on its own, (N, C, H, W)."""
    for option, wanted, axis in (
        ("horizontal_flip", settings.horizontal_flip, 3),
        ("vertical_flip", settings.vertical_flip, 2),
    ):
        if wanted:
            mirrored = draws.unit(option, 1)[0].to(images.device) < 0.5
            images = torch.where(mirrored[:, None, None, None], images.flip(axis), images)
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
    center: Literal["keras", "true"] = "keras",
) -> Tensor:
    """Rotated, shifted, sheared and zoomed pictures, as Keras's `apply_affine_transform` does it.

    The matrix is rotation · shift · shear · zoom, bilinear. It maps a pixel of the output to its
    place in the input; x runs along the columns.

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
        center: the fixed point. `true` is the picture's. `keras` is column (H - 1) / 2 and row
            (W - 1) / 2, equal for squares: Keras 3 takes the sides in the wrong order.

    Returns:
        (N, C, H, W), float.
    """
    height, width = images.shape[-2:]
    x, y = (width - 1) / 2, (height - 1) / 2
    if center == "keras":
        # Keras gives (H, W) to a function of (x, y), and swaps the axes of the matrix after that.
        x, y = y, x
    theta, tx, ty, shear, zx, zy = (
        values.cpu().double() for values in (theta, tx, ty, shear, zx, zy)
    )
    angle, skew = theta * (math.pi / 180), shear * (math.pi / 180)
    cos, sin = angle.cos(), angle.sin()
    # rotation [[cos, -sin], [sin, cos]] · shear [[1, -sin(skew)], [0, cos(skew)]] · zoom
    xx, xy = cos * zx, (-cos * skew.sin() - sin * skew.cos()) * zy
    yx, yy = sin * zx, (-sin * skew.sin() + cos * skew.cos()) * zy
    # rotation · shift, about (x, y)
    x_offset = cos * tx - sin * ty + x - xx * x - xy * y
    y_offset = sin * tx + cos * ty + y - yx * x - yy * y
    rows = (torch.stack((xx, xy, x_offset), dim=1), torch.stack((yx, yy, y_offset), dim=1))
    return warp(images, torch.stack(rows, dim=1), fill_mode=fill_mode, cval=cval)


def warp(
    images: Tensor, matrix: Tensor, *, fill_mode: str = "nearest", cval: float = 0.0
) -> Tensor:
    """Pictures seen through affine maps, bilinear.

    Args:
        images: (N, C, H, W), float.
        matrix: (N, 2, 3); times (column, row, 1) of the output it is (column, row) of the input.
        fill_mode: as in `affine`, or zeros: beyond the border everything is 0, and the border
            fades into it.
        cval: the value that `constant` fills in.

    Returns:
        (N, C, H, W), float.
    """
    height, width = images.shape[-2:]
    # From the pictures' middle in halves of their sides, as grid_sample counts: -1 and 1 are the
    # outer edges of the outer pixels (align_corners=False). In double precision: it is small.
    sides = torch.tensor((width, height), dtype=torch.float64)
    matrix = matrix.cpu().double()
    linear, offset = matrix[..., :2], matrix[..., 2]
    offset = (linear @ (sides - 1) + 2 * offset + 1 - sides) / sides  # (N, 2)
    linear = linear * sides / sides[:, None]  # (N, 2, 2)
    linear, offset = (part.to(images.device, images.dtype) for part in (linear, offset))
    by_column = linear[..., 0, None] * _middles(width, images)  # (N, 2, W)
    by_row = linear[..., 1, None] * _middles(height, images) + offset[..., None]  # (N, 2, H)
    return _sample_in_parts(images, by_column, by_row, fill_mode, cval)


def sample_axes(images: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Pictures at the crossings of columns x (N, W) and rows y (N, H), pixels; bilinear."""
    height, width = images.shape[-2:]
    x, y = (2 * x + 1) / width - 1, (2 * y + 1) / height - 1
    by_column = torch.stack((x, torch.zeros_like(x)), dim=1).to(images.device, images.dtype)
    by_row = torch.stack((torch.zeros_like(y), y), dim=1).to(images.device, images.dtype)
    return _sample_in_parts(images, by_column, by_row, "nearest", 0)


def _sample_in_parts(
    images: Tensor, by_column: Tensor, by_row: Tensor, fill_mode: str, cval: float
) -> Tensor:
    """The pictures where (x, y), -1 to 1, is by_column (N, 2, W) plus by_row (N, 2, H)."""
    size = len(images)
    if images.device.type == "cpu":
        size = max(torch.get_num_threads(), _PIXELS_AT_ONCE // images[0, 0].numel())
    parts = [
        _sample(part, across[:, :, None, :] + down[..., None], fill_mode, cval)
        for part, across, down in zip(
            *(torch.split(each, size) for each in (images, by_column, by_row)), strict=True
        )
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _sample(images: Tensor, grid: Tensor, fill_mode: str, cval: float) -> Tensor:
    """The pictures at a grid of (N, 2, H, W): x and y, -1 to 1."""
    padding = {"reflect": "reflection", "zeros": "zeros"}.get(fill_mode, "border")
    outside = None
    if fill_mode in ("constant", "wrap"):
        height, width = images.shape[-2:]
        sides = torch.tensor((width, height), device=grid.device, dtype=grid.dtype)[:, None, None]
        last = 1 - 1 / sides  # the last pixel's centre; the first's is -last
        outside = grid.abs() > last + 2 * _TOLERANCE_PX / sides
        if fill_mode == "wrap":
            # scipy's wrap, which Keras uses, has the period n - 1.
            period = (2 * last).clamp(min=2 * _TOLERANCE_PX)
            grid = torch.where(outside, (grid + last).remainder(period) - last, grid)
    moved = F.grid_sample(
        images,
        grid.permute(0, 2, 3, 1),  # (N, H, W, 2); x and y stay in planes, the faster way
        mode="bilinear",
        padding_mode=padding,
        align_corners=False,
    )
    if outside is not None and fill_mode == "constant":
        moved = moved.masked_fill(outside.any(dim=1, keepdim=True), cval)
    return moved


def _pixels(shift: float, side: int) -> float:
    """A share of the side below 1, pixels from 1 up."""
    return shift if shift >= 1 else shift * side


def _middles(side: int, images: Tensor) -> Tensor:
    """The pixels' middles along a side, between -1 and 1."""
    counted = torch.arange(1 - side, side, 2, device=images.device, dtype=images.dtype)
    return counted / side
