"""Synthetic pictures of geometric figures: colour, clutter and noise, but no download."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from zoo.data.memory import available_bytes
from zoo.data.pictures import ArrayPictures, Found
from zoo.data.randomness import generator
from zoo.errors import DataError
from zoo.schema import Dataset

_SOFTNESS_PX = 0.75
_PIXELS_AT_ONCE = 1 << 20


def read(dataset: Dataset) -> Found:
    """RGB pictures of one figure each, at a random place, size, angle and colour.

    A gradient, a smaller blot of a third colour and noise lie behind it. Picture i is a function
    of (seed, i) and the options, however many are drawn.

    Args:
        dataset: images, num_classes, size, seed.

    Raises:
        DataError: they would not fit into memory.
    """
    needed = dataset.images * 3 * dataset.size**2
    if needed > available_bytes() // 2:
        raise DataError(
            f"{dataset.images:,} pictures of {dataset.size}×{dataset.size} pixels take "
            f"{needed / 1e9:.1f} GB, which this machine does not have to spare.",
            hint="Lower dataset.images or dataset.size.",
        )
    targets = torch.arange(dataset.images) % dataset.num_classes
    chunk = max(1, min(256, _PIXELS_AT_ONCE // dataset.size**2))
    images = torch.empty(dataset.images, 3, dataset.size, dataset.size, dtype=torch.uint8)
    for start in range(0, dataset.images, chunk):
        part = targets[start : start + chunk]
        images[start : start + chunk] = _draw(part, chunk, dataset.size, dataset.seed, start)
    pictures = ArrayPictures(
        targets=targets,
        classes=tuple(list(FIGURES)[: dataset.num_classes]),
        names=tuple(f"shapes/{index:06}" for index in range(dataset.images)),
        images=images,
    )
    return Found(pictures, draws_test=True)


def _draw(targets: Tensor, chunk: int, size: int, seed: int, start: int) -> Tensor:
    count = len(targets)
    draws = generator(seed, 0, start, "shapes")

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(chunk, *shape, generator=draws)[:count] * (high - low) + low

    radius = uniform(0.22, 0.38) * size
    angle = uniform(0, 2 * math.pi)
    center_x, center_y = uniform(0.38, 0.62) * size, uniform(0.38, 0.62) * size
    figure_color, back_color = uniform(0, 1, 3), uniform(0, 1, 3)
    # Figure and ground must differ: the figure is pushed to the other side of middle gray.
    lighter = uniform(0, 1) < 0.5
    figure_color = torch.where(lighter[:, None], 0.55 + 0.45 * figure_color, 0.4 * figure_color)
    back_color = torch.where(lighter[:, None], 0.4 * back_color, 0.55 + 0.45 * back_color)
    slope_x, slope_y = uniform(-0.15, 0.15), uniform(-0.15, 0.15)
    blot_x, blot_y = uniform(0, 1) * size, uniform(0, 1) * size
    blot_radius, blot_color = uniform(0.05, 0.12) * size, uniform(0, 1, 3)

    axis = torch.arange(size) + 0.5
    x = (axis[None, None, :] - center_x[:, None, None]) / radius[:, None, None]  # (N, 1, W)
    y = (axis[None, :, None] - center_y[:, None, None]) / radius[:, None, None]  # (N, H, 1)
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    across, along = cos * x + sin * y, cos * y - sin * x  # (N, H, W)
    distance = torch.empty(count, size, size)
    for label, figure in enumerate(FIGURES.values()):
        chosen = targets == label
        distance[chosen] = figure(across[chosen], along[chosen])
    # Distances are in radii; over about a pixel the figure fades into the ground.
    cover = (0.5 - distance * radius[:, None, None] / (2 * _SOFTNESS_PX)).clamp(0, 1)[:, None]

    ramp = slope_x[:, None, None] * x + slope_y[:, None, None] * y  # (N, H, W)
    ground = back_color[:, :, None, None] + ramp[:, None]  # (N, 3, H, W)
    from_blot = (axis[None, None, :] - blot_x[:, None, None]).square() + (
        axis[None, :, None] - blot_y[:, None, None]
    ).square()
    in_blot = (from_blot < blot_radius[:, None, None].square())[:, None]
    ground = torch.where(in_blot, blot_color[:, :, None, None], ground)
    picture = cover * figure_color[:, :, None, None] + (1 - cover) * ground
    # A whole chunk is drawn always, so that the last pictures don't depend on how many there are.
    noise = torch.randn(chunk, 3, size, size, generator=draws)
    return ((picture + 0.04 * noise[:count]).clamp(0, 1) * 255).round().byte()


def _disc(x: Tensor, y: Tensor) -> Tensor:
    return (x.square() + y.square()).sqrt() - 1


def _ring(x: Tensor, y: Tensor) -> Tensor:
    return (_disc(x, y) + 0.22).abs() - 0.22


def _polygon(sides: int) -> Callable[[Tensor, Tensor], Tensor]:
    def distance(x: Tensor, y: Tensor) -> Tensor:
        sector = 2 * math.pi / sides
        within = torch.atan2(y, x).remainder(sector) - sector / 2
        return (x.square() + y.square()).sqrt() * within.cos() - math.cos(sector / 2)

    return distance


def _star(x: Tensor, y: Tensor) -> Tensor:
    sector = 2 * math.pi / 5
    within = (torch.atan2(y, x).remainder(sector) - sector / 2).abs()
    # The edge runs from the inner radius 0.4 in the middle of a sector to the tip at its border.
    radius = (x.square() + y.square()).sqrt()
    edge = (
        0.4
        * math.sin(sector / 2)
        / ((sector / 2 - within).sin() * 0.4 + within.sin()).clamp(min=1e-6)
    )
    return radius - edge.clamp(max=1)


def _rectangle(width: float, height: float) -> Callable[[Tensor, Tensor], Tensor]:
    def distance(x: Tensor, y: Tensor) -> Tensor:
        return torch.maximum(x.abs() - width, y.abs() - height)

    return distance


def _cross(x: Tensor, y: Tensor) -> Tensor:
    bar = _rectangle(1, 0.3)
    return torch.minimum(bar(x, y), bar(y, x))


def _crescent(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(_disc(x, y), 0.85 - ((x - 0.5).square() + y.square()).sqrt())


def _ell(x: Tensor, y: Tensor) -> Tensor:
    upright = torch.maximum((x + 0.5).abs() - 0.28, y.abs() - 0.9)
    foot = torch.maximum(x.abs() - 0.78, (y - 0.62).abs() - 0.28)
    return torch.minimum(upright, foot)


def _heart(x: Tensor, y: Tensor) -> Tensor:
    # Two discs on a square that stands on its corner.
    lobes = torch.minimum(
        ((x - 0.38).square() + (y + 0.3).square()).sqrt() - 0.52,
        ((x + 0.38).square() + (y + 0.3).square()).sqrt() - 0.52,
    )
    tip = torch.maximum((x.abs() + (y - 0.02).abs()) * 0.7071 - 0.66, -(y + 0.35))
    return torch.minimum(lobes, tip)


FIGURES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "circle": _disc,
    "square": _polygon(4),
    "triangle": _polygon(3),
    "star": _star,
    "ring": _ring,
    "cross": _cross,
    "crescent": _crescent,
    "bar": _rectangle(1, 0.22),
    "hexagon": _polygon(6),
    "ell": _ell,
    "heart": _heart,
    "pentagon": _polygon(5),
}
"""Name and signed distance, in radii, negative inside; the first num_classes are drawn."""
