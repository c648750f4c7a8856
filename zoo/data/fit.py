"""Fitting pictures to a network's input, and scaling them."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor

from zoo.data.placement import constant
from zoo.schema import Preprocessing
from zoo.values import LUMA

_KERAS_EPSILON = 1e-6
_MOST_CHANNELS = 4


def fit(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Pictures of one size as the network's input size and channels, still uint8.

    They are resized in two passes, along the rows and then the columns, each rounded to uint8, as
    Pillow does it and to its values.

    Args:
        images: (N, 1 or 3, h, w), uint8.
        preprocessing: channels, size, content, interpolation and fit.

    Returns:
        (N, channels, H, W), uint8.
    """
    images = to_channels(images, preprocessing.channels)
    content = preprocessing.content
    if preprocessing.fit == "crop":
        images = _to_aspect(images, content)
    elif preprocessing.fit == "pad":
        height, width = images.shape[-2:]
        scale = min(content[0] / height, content[1] / width)
        content = max(1, round(height * scale)), max(1, round(width * scale))
    return _center(_resize(images, content, preprocessing.interpolation), preprocessing.size)


def _to_aspect(images: Tensor, content: tuple[int, int]) -> Tensor:
    """The largest part around the middle that has the content's aspect.

    Cut before it is resized: a line of 65,000 pixels would else grow to gigabytes.
    """
    height, width = images.shape[-2:]
    scale = min(height / content[0], width / content[1])
    wanted = tuple(
        max(1, min(side, round(part * scale)))
        for side, part in zip((height, width), content, strict=True)
    )
    top, left = (height - wanted[0]) // 2, (width - wanted[1]) // 2
    return images[..., top : top + wanted[0], left : left + wanted[1]]


def normalize(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Pictures of 0 to 255, any type, as float32.

    They are scaled, given their own mean and standard deviation if the recipe says so (as Keras's
    ImageDataGenerator does it), and then `(x - mean) / std`.

    Args:
        images: (N, C, H, W).
        preprocessing: rescale, samplewise options, mean and std.
    """
    mean, std = (
        constant(values, images.device, torch.float32)[:, None, None]
        for values in (preprocessing.mean, preprocessing.std)
    )
    return normalized(images, mean, std, preprocessing)


def normalized(images: Tensor, mean: Tensor, std: Tensor, preprocessing: Preprocessing) -> Tensor:
    """The same with mean and std as tensors, (C, 1, 1), float32, where the pictures are."""
    if not (preprocessing.samplewise_center or preprocessing.samplewise_std_normalization):
        return images * (preprocessing.rescale / std) - mean / std
    images = (images * preprocessing.rescale).double()  # else the rounding of a blank picture's
    if preprocessing.samplewise_center:  # mean, over epsilon, would be what the network sees
        images = images - images.mean(dim=(1, 2, 3), keepdim=True)
    if preprocessing.samplewise_std_normalization:
        deviation = images.std(dim=(1, 2, 3), keepdim=True, correction=0)
        images = images / (deviation + _KERAS_EPSILON)
    return (images.float() - mean) / std


def mean_and_std(
    batches: Iterable[Tensor], preprocessing: Preprocessing
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Of each channel over all pixels, after scaling and the samplewise options.

    Args:
        batches: (N, C, H, W) each, uint8.
        preprocessing: its mean and std are not used.
    """
    plain = preprocessing.model_copy(
        update={"mean": (0.0,) * preprocessing.channels, "std": (1.0,) * preprocessing.channels}
    )
    total = torch.zeros(preprocessing.channels, dtype=torch.float64)
    squares, pixels = total.clone(), 0
    for batch in batches:
        values = normalize(batch, plain).double()
        total += values.sum(dim=(0, 2, 3)).cpu()
        squares += values.square().sum(dim=(0, 2, 3)).cpu()
        pixels += values[:, 0].numel()
    mean = total / pixels
    std = (squares / pixels - mean.square()).clamp(min=0).sqrt()
    # Pictures of one colour have none: they stay as they are.
    std = torch.where(std < _KERAS_EPSILON, 1.0, std)
    return tuple(_short(mean)), tuple(_short(std))


def _short(values: Tensor) -> list[float]:
    """Six digits: sums differ in the last ones between machines, and a model file is compared."""
    return [float(f"{value:.6g}") for value in values.tolist()]


def to_channels(images: Tensor, channels: int) -> Tensor:
    """Gray or repeated, as the network takes them.

    Args:
        images: (N, 1 or 3, h, w), uint8.
        channels: of the result; with 1 colours are weighed as Pillow's mode "L" does it.
    """
    if images.shape[1] == channels:
        return images
    if images.shape[1] == 3:
        weights = torch.tensor(LUMA)[:, None, None]
        images = (images * weights).sum(dim=1, keepdim=True).round().byte()
    return images.expand(-1, channels, -1, -1)


def _resize(images: Tensor, size: tuple[int, int], interpolation: str) -> Tensor:
    if tuple(images.shape[-2:]) == size:
        return images.contiguous()
    smooth = interpolation != "nearest"
    mode = interpolation if smooth else "nearest-exact"  # "nearest" is half a pixel off
    # With more than four channels torch 2.15 gives thin pictures other pixels than each alone has.
    parts = torch.split(images, 1 if images.shape[1] > _MOST_CHANNELS else _MOST_CHANNELS, dim=1)
    return torch.cat([F.interpolate(one, size, mode=mode, antialias=smooth) for one in parts], 1)


def _center(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Adds black around what is too small and cuts what is too large, evenly."""
    return F.pad(images, _margins(images.shape[-2:], size))


def unframed(fitted: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Fitted pictures in the content's size: without the black around, or black where it was cut.

    Fitting these again gives the same once more.

    Args:
        fitted: (N, C, H, W), uint8.
        preprocessing: that they were fitted by.
    """
    return F.pad(fitted, [-side for side in _margins(preprocessing.content, preprocessing.size)])


def _margins(have: tuple[int, ...], size: tuple[int, int]) -> list[int]:
    """Pixels to add left, right, above and below; what is negative is cut."""
    missing_height, missing_width = (side - own for side, own in zip(size, have, strict=True))
    top, left = missing_height // 2, missing_width // 2
    return [left, missing_width - left, top, missing_height - top]
