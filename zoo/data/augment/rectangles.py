"""Random rectangles, one per picture: what crops, erasing and CutMix share."""

import math

import torch
from torch import Tensor

from zoo.data.augment.draws import between

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

    def inside(start: Tensor, length: Tensor, side: int) -> Tensor:
        places = torch.arange(side)
        mask = (places >= start[:, None]) & (places < (start + length)[:, None])  # (N, side)
        return mask.to(device)

    down, across = inside(top, tall, height), inside(left, wide, width)
    return (down[:, :, None] & across[:, None, :])[:, None]
