"""Rotation, shifts, shear, zoom and flips: every picture with its own matrix, in one call."""

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor

from zoo.data.augment.draws import Draws, between
from zoo.data.placement import constant, to_device
from zoo.schema import Augment

# Pictures whose grid and result stay in the processor's cache; larger parts run at the speed of
# the memory (tests/benchmarks/augmentation.py measures it).
_PIXELS_AT_ONCE = 2**17

# What these show depends on whether a place lies in the picture.
_EDGED = ("constant", "wrap")


def random_affine(images: Tensor, settings: Augment, draws: Draws) -> Tensor:
    """Rotation, shifts, shear and zoom about the true centre, (N, C, H, W).

    Keras's `height_shift_range` moves sideways, against its documentation: here it moves up and
    down.
    """
    height, width = images.shape[-2:]
    vertical = _pixels(settings.height_shift_range, height)
    horizontal = _pixels(settings.width_shift_range, width)
    ranges = {
        "theta": (-settings.rotation_range, settings.rotation_range),
        "tx": (-horizontal, horizontal),
        "ty": (-vertical, vertical),
        "shear": (-settings.shear_range, settings.shear_range),
        "zx": settings.zoom_range,
        "zy": settings.zoom_range,
    }
    low, high = torch.tensor(list(ranges.values()), dtype=torch.float64)[..., None].unbind(1)
    drawn = between(draws.unit("affine", len(ranges)), low, high)  # (6, N)
    return affine(
        images,
        **dict(zip(ranges, drawn.unbind(), strict=True)),
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
            mirrored = to_device(draws.unit(option, 1)[0] < 0.5, images.device)
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
    angles = torch.stack((theta, shear)).deg2rad()
    (cos, skew_cos), (sin, skew_sin) = angles.cos(), angles.sin()
    # The columns of rotation, (2, N): then times shear [[1, -skew_sin], [0, skew_cos]] and zoom.
    # The order of every sum is that of Keras's matrix products: at right angles the last bit
    # decides whether the border lies in the picture, and so what `constant` and `wrap` show there.
    along, across = torch.stack((cos, sin)), torch.stack((-sin, cos))
    by_x = along * zx
    by_y = (-along * skew_sin + across * skew_cos) * zy
    middle = torch.tensor(((x,), (y,)), dtype=torch.float64)
    offset = (-by_x * x - by_y * y) + (along * tx + across * ty + middle)
    matrix = torch.stack((by_x, by_y, offset), dim=2).transpose(0, 1)  # (N, 2, 3)
    return warp(images, matrix, fill_mode=fill_mode, cval=cval)


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
    # Double precision, where there is one: see `affine`. It is cheap, as these are small.
    exact = torch.float32 if images.device.type == "mps" else torch.float64
    matrix = to_device(matrix.to(exact), images.device)
    by_x, by_y, offset = matrix[..., None].unbind(2)  # (N, 2, 1) each
    columns = torch.arange(width, device=images.device, dtype=exact)
    rows = torch.arange(height, device=images.device, dtype=exact)
    return _sample_in_parts(images, by_x * columns, offset + by_y * rows, fill_mode, cval)


def sample_axes(images: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Pictures at the crossings of columns x (N, W) and rows y (N, H), pixels; bilinear."""
    sides = [x.shape[1], y.shape[1]]
    x, y = torch.split(to_device(torch.cat((x, y), dim=1), images.device), sides, dim=1)
    by_column = torch.stack((x, torch.zeros_like(x)), dim=1)
    by_row = torch.stack((torch.zeros_like(y), y), dim=1)
    return _sample_in_parts(images, by_column, by_row, "nearest", 0)


def _sample_in_parts(
    images: Tensor, by_column: Tensor, by_row: Tensor, fill_mode: str, cval: float
) -> Tensor:
    """The pictures where (x, y) is by_column (N, 2, W) plus by_row (N, 2, H), pixels."""
    if fill_mode not in _EDGED:
        # grid_sample's -1 and 1 are the outer edges of the outer pixels (align_corners=False).
        sides = _sides(images, by_row)
        by_column = (by_column * (2 / sides)).to(_float(images))
        by_row = ((by_row * 2 + 1) / sides - 1).to(_float(images))
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
    """The pictures at a grid of (N, 2, H, W), x and y.

    It counts pixels where the fill mode looks at the edges. Otherwise it counts as grid_sample
    does: -1 and 1 are the outer edges of the outer pixels (align_corners=False).
    """
    padding = {"reflect": "reflection", "zeros": "zeros"}.get(fill_mode, "border")
    if fill_mode in _EDGED:
        sides = _sides(images, grid)[..., None]
        outside = (grid < 0) | (grid > sides - 1)
        if fill_mode == "wrap":
            grid = torch.where(outside, _wrapped(grid, (sides - 1).clamp(min=1)), grid)
        grid = ((2 * grid + 1) / sides - 1).to(_float(images))
    moved = F.grid_sample(
        images.to(grid.dtype),
        grid.permute(0, 2, 3, 1),  # (N, H, W, 2); x and y stay in planes, the faster way
        mode="bilinear",
        padding_mode=padding,
        align_corners=False,
    )
    if fill_mode == "constant":
        moved = moved.masked_fill(outside.any(dim=1, keepdim=True), cval)
    return moved


def _wrapped(places: Tensor, period: Tensor) -> Tensor:
    """Places outside the picture carried into it, as scipy does it for Keras: by n - 1 pixels."""
    ahead, behind = (places / period).trunc(), (-places / period).trunc() + 1
    return places + period * torch.where(places < 0, behind, -ahead)


def _float(images: Tensor) -> torch.dtype:
    return images.dtype if images.is_floating_point() else torch.float32


def _pixels(shift: float, side: int) -> float:
    """A share of the side below 1, pixels from 1 up."""
    return shift if shift >= 1 else shift * side


def _sides(images: Tensor, like: Tensor) -> Tensor:
    """Width and height, (2, 1)."""
    height, width = images.shape[-2:]
    return constant((width, height), like.device, like.dtype)[:, None]
