"""Colour: brightness, contrast, saturation, hue and sharpness, each picture by its own factor.

Values are 0 to 255, and what would leave that range is clipped. The `adjust_` functions are
torchvision's, but for the factors.
"""

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor

from zoo.data.augment.draws import Draws, between, per_picture
from zoo.data.placement import constant
from zoo.schema import ColorJitter


def random_brightness(images: Tensor, factors: tuple[float, float], draws: Draws) -> Tensor:
    """Keras's `brightness_range`: times a factor of the range, (N, C, H, W)."""
    return adjust_brightness(images, between(draws.unit("brightness_range", 1)[0], *factors))


def random_channel_shift(images: Tensor, most: float, draws: Draws) -> Tensor:
    """Keras's `channel_shift_range`: -most to most added to all channels, (N, C, H, W).

    The picture's own least and greatest value, over all its channels, bound the result.
    """
    shift = between(draws.unit("channel_shift_range", 1)[0], -most, most)
    least, greatest = _extremes(images, (1, 2, 3))
    return torch.clamp(images + per_picture(shift, images), least, greatest)


def random_color_jitter(images: Tensor, settings: ColorJitter, draws: Draws) -> Tensor:
    """Brightness, contrast, saturation and hue in an order drawn per batch, (N, C, H, W)."""
    brightness, contrast, saturation, hue = draws.unit("color_jitter", 4)
    steps = (
        (settings.brightness, adjust_brightness, _factor(brightness, settings.brightness)),
        (settings.contrast, adjust_contrast, _factor(contrast, settings.contrast)),
        (settings.saturation, adjust_saturation, _factor(saturation, settings.saturation)),
        (settings.hue, adjust_hue, between(hue, -settings.hue, settings.hue)),
    )
    order = torch.randperm(len(steps), generator=draws.generator("color_jitter.order"))
    for index in order.tolist():
        strength, adjust, factor = steps[index]
        if strength:
            images = adjust(images, factor)
    return images


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """0 is black, 1 the picture itself; factor is (N,)."""
    return (images * per_picture(factor, images)).clamp(0, 255)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """0 is the picture's mean gray, 1 the picture itself; factor is (N,)."""
    return _blend(images, _gray(images).mean(dim=(1, 2, 3), keepdim=True), factor)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """0 is gray, 1 the picture itself; images (N, 3, H, W), factor (N,)."""
    return _blend(images, _gray(images), factor)


def adjust_sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """0 is smoothed, 1 the picture itself; the border stays as it is; factor is (N,)."""
    if min(images.shape[-2:]) < 3:
        return images
    # PIL's SMOOTH: a 3x3 mean whose middle counts five times.
    weight = constant((1, 1, 1, 1, 5, 1, 1, 1, 1), images.device, images.dtype).view(1, 1, 3, 3)
    smooth = F.conv2d(images.flatten(0, 1)[:, None], weight / weight.sum())  # (N·C, 1, H-2, W-2)
    smoothed = images.clone()
    smoothed[..., 1:-1, 1:-1] = smooth.view(*images.shape[:2], *smooth.shape[2:])
    return _blend(images, smoothed, factor)


def adjust_hue(images: Tensor, share: Tensor) -> Tensor:
    """Colours turned around the circle; images (N, 3, H, W), share of the circle (N,)."""
    value, chroma, sixths = _hue(images)  # (N, 1, H, W) each
    sixths = sixths + per_picture(share, images) * 6
    # Red, green and blue lie 5, 3 and 1 sixths along the circle: each is the value, less the
    # chroma where the colour is more than a third away, and in between it falls in a line.
    offsets = constant((5.0, 3.0, 1.0), images.device, images.dtype)
    place = (sixths + offsets[:, None, None]).remainder(6)  # (N, 3, H, W)
    return value - chroma * torch.minimum(place, 4 - place).clamp(0, 1)


def autocontrast(images: Tensor) -> Tensor:
    """Each channel of each picture stretched to 0..255; one of a single value stays."""
    least, greatest = _extremes(images, (2, 3))
    span = greatest - least
    stretched = (images - least) * (255 / span.clamp(min=1e-6))
    return torch.where(span > 0, stretched.clamp(0, 255), images)


def _hue(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Value, chroma (0 to 255) and hue (in sixths of the circle, red is 0), (N, 1, H, W) each."""
    red, green, blue = images.chunk(3, dim=1)
    value = images.amax(dim=1, keepdim=True)
    chroma = value - images.amin(dim=1, keepdim=True)
    divisor = torch.where(chroma > 0, chroma, 1)
    from_green = 2 + (blue - red) / divisor
    from_blue = 4 + (red - green) / divisor
    sixths = torch.where(value == green, from_green, from_blue)
    return value, chroma, torch.where(value == red, (green - blue) / divisor, sixths)


def _gray(images: Tensor) -> Tensor:
    """(N, 1, H, W), the luma of RGB (ITU-R 601, torchvision's digits), else the mean channel."""
    if images.shape[1] != 3:
        return images.mean(dim=1, keepdim=True)
    red, green, blue = images.chunk(3, dim=1)
    gray: Tensor = 0.2989 * red + 0.587 * green + 0.114 * blue
    return gray


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """`other` at factor 0, the pictures at 1, beyond them above 1."""
    return other.lerp(images, per_picture(factor, images)).clamp(0, 255)


def _extremes(images: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    return images.amin(dim=axes, keepdim=True), images.amax(dim=axes, keepdim=True)


def _factor(unit: Tensor, strength: float) -> Tensor:
    return between(unit, max(0.0, 1 - strength), 1 + strength)
