"""Gaussian blur, each picture by its own width."""

import math

import torch
from torch import Tensor

from zoo.data.augment.draws import Draws, between
from zoo.data.augment.groups import changed
from zoo.data.placement import to_device
from zoo.schema import GaussianBlur

# A kernel reaches this many standard deviations: 0.3 % of the bell lies beyond.
_REACH = 3


def random_gaussian_blur(images: Tensor, settings: GaussianBlur, draws: Draws) -> Tensor:
    """Some of the pictures blurred, (N, C, H, W)."""
    chance, sigma = draws.unit("gaussian_blur", 2)
    radius = math.ceil(_REACH * settings.sigma[1])
    sigma = between(sigma, *settings.sigma)
    chosen = (chance < settings.probability).nonzero()[:, 0]
    return changed(
        images,
        to_device(chosen, images.device),
        lambda part: gaussian_blur(part, sigma[chosen], radius),
    )


def gaussian_blur(images: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Blurred pictures; beyond the border they are mirrored, the outer pixels not repeated.

    Args:
        images: (N, C, H, W), float.
        sigma: (N,), standard deviation in pixels.
        radius: pixels that the kernel reaches either way.

    Returns:
        (N, C, H, W), float.
    """
    height, width = images.shape[-2:]
    sigma = to_device(sigma.to(images.dtype), images.device)
    across, down = _blurring(sigma, radius, width), _blurring(sigma, radius, height)
    return down[:, None] @ (images @ across.transpose(1, 2)[:, None])


def _blurring(sigma: Tensor, radius: int, side: int) -> Tensor:
    """(N, side, side): what each pixel along a side takes from each.

    A blur along an axis is one matrix product, which processors and GPUs do faster than a
    convolution whose kernel differs per picture; the mirrored border goes into the matrix.
    """
    radius = min(radius, side - 1)  # a mirror shows no more than the picture
    offsets = torch.arange(-radius, radius + 1, device=sigma.device)
    kernel = (-0.5 * (offsets / sigma[:, None]) ** 2).softmax(dim=1)  # (N, taps)
    sources = torch.arange(side, device=sigma.device) + offsets[:, None]  # (taps, side)
    sources = sources.abs()
    sources = torch.where(sources >= side, 2 * (side - 1) - sources, sources)
    placed = torch.nn.functional.one_hot(sources, side).to(sigma.dtype)  # (taps, side, side)
    return (kernel @ placed.flatten(1)).view(-1, side, side)
