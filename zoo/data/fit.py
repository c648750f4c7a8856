"""Fitting pictures to a network's input, and scaling them."""

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor

from zoo.schema import Preprocessing

# ITU-R BT.601, as PIL's mode "L" has it.
_LUMA = (0.299, 0.587, 0.114)


def fit(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Pictures of one size as the network's input size and channels, still uint8.

    Args:
        images: (N, 1 or 3, h, w), uint8.
        preprocessing: channels, size, content, interpolation and fit.

    Returns:
        (N, channels, H, W), uint8.
    """
    images = _to_channels(images, preprocessing.channels)
    height, width = images.shape[-2:]
    content_height, content_width = preprocessing.content
    if preprocessing.fit != "resize":
        choose = max if preprocessing.fit == "crop" else min
        scale = choose(content_height / height, content_width / width)
        content_height, content_width = round(height * scale), round(width * scale)
    images = _resize(images, (content_height, content_width), preprocessing.interpolation)
    return _center(images, preprocessing.size)


def normalize(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Pictures of 0 to 255, any type, as float32 `(x / 255 - mean) / std`."""
    mean = torch.tensor(preprocessing.mean, device=images.device)[:, None, None]
    std = torch.tensor(preprocessing.std, device=images.device)[:, None, None]
    return images * (1 / (255 * std)) - mean / std


def _to_channels(images: Tensor, channels: int) -> Tensor:
    if images.shape[1] == channels:
        return images
    if images.shape[1] == 3:
        weights = torch.tensor(_LUMA)[:, None, None]
        images = (images * weights).sum(dim=1, keepdim=True).round().byte()
    return images.expand(-1, channels, -1, -1)


def _resize(images: Tensor, size: tuple[int, int], interpolation: str) -> Tensor:
    if tuple(images.shape[-2:]) == size:
        return images.contiguous()
    smooth = interpolation != "nearest"
    resized = F.interpolate(images.float(), size, mode=interpolation, antialias=smooth)
    return resized.round().clamp(0, 255).byte()


def _center(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Adds black around what is too small and cuts what is too large, evenly."""
    missing_height, missing_width = (
        side - have for side, have in zip(size, images.shape[-2:], strict=True)
    )
    top, left = missing_height // 2, missing_width // 2
    return F.pad(images, (left, missing_width - left, top, missing_height - top))
