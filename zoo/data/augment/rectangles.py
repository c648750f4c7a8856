"""Random rectangles, one per picture: what crops, erasing and CutMix share."""

import math

import torch
from torch import Tensor

from zoo.data.augment.draws import between
from zoo.data.placement import to_device

TRIES = 10
"""How often torchvision draws a rectangle before it gives up."""


def rectangles(
    units: Tensor,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    height: int,
    width: int,
    *,
    smaller: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """The first of several tries at a rectangle that fits into the picture.

    Args:
        units: (2 · tries, N), uniform in [0, 1).
        scale: smallest and largest share of the area.
        ratio: smallest and largest width over height.
        height: the picture's, pixels.
        width: the picture's, pixels.
        smaller: whether a rectangle as high or as wide as the picture does not fit.

    Returns:
        Heights and widths, (N,) whole numbers, and (N,) whether a try fitted.
    """
    shares, aspects = units.chunk(2)  # (tries, N) each
    area = between(shares, *scale) * height * width
    aspect = between(aspects, math.log(ratio[0]), math.log(ratio[1])).exp()
    wide, tall = (area * aspect).sqrt().round().long(), (area / aspect).sqrt().round().long()
    fits = (wide > 0) & (wide <= width - smaller) & (tall > 0) & (tall <= height - smaller)
    first = fits.int().argmax(dim=0, keepdim=True)  # 0 where none fits
    return tall.gather(0, first)[0], wide.gather(0, first)[0], fits.any(dim=0)


def boxes(
    height: int,
    width: int,
    top: Tensor,
    left: Tensor,
    tall: Tensor,
    wide: Tensor,
    device: torch.device,
) -> Tensor:
    """(N, 1, H, W), true inside each picture's rectangle; all (N,) in pixels."""
    edges = to_device(torch.stack((top, top + tall, left, left + wide)), device)

    def inside(start: Tensor, end: Tensor, side: int) -> Tensor:
        places = torch.arange(side, device=device)
        return (places >= start[:, None]) & (places < end[:, None])  # (N, side)

    down, across = inside(edges[0], edges[1], height), inside(edges[2], edges[3], width)
    return (down[:, :, None] & across[:, None, :])[:, None]
