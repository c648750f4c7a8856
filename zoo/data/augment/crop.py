"""Windows: cut from a padded picture, or of random area and aspect and resized."""

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor

from zoo.data.augment.draws import Draws, below
from zoo.data.augment.geometry import sample_axes
from zoo.data.augment.rectangles import TRIES, rectangles
from zoo.data.placement import to_device
from zoo.schema import RandomResizedCrop


def random_crop(images: Tensor, padding_px: int, draws: Draws) -> Tensor:
    """A window of the picture's size, from the picture with black around it, (N, C, H, W)."""
    height, width = images.shape[-2:]
    padded = F.pad(images, (padding_px,) * 4)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (N, C, tops, lefts, H, W), a view
    corners = below(draws.unit("random_crop", 2), 2 * padding_px + 1)
    top, left = to_device(corners, images.device)
    which = torch.arange(len(images), device=images.device)
    return windows[which, :, top, left]


def random_resized_crop(images: Tensor, settings: RandomResizedCrop, draws: Draws) -> Tensor:
    """A window of random area and aspect at the picture's size, bilinear, (N, C, H, W).

    A window is never larger than the picture, so nothing shrinks and antialiasing has no use.
    """
    height, width = images.shape[-2:]
    top, left, tall, wide = windows(settings, height, width, draws)

    def axis(start: Tensor, length: Tensor, side: int) -> Tensor:
        """(N, side), where each pixel lies in the input; never beyond the window's own pixels."""
        steps = (torch.arange(side) + 0.5) / side
        places = start[:, None] + steps * length[:, None] - 0.5
        return places.clamp(start[:, None], (start + length - 1)[:, None])

    return sample_axes(images, axis(left, wide, width), axis(top, tall, height))


def windows(
    settings: RandomResizedCrop, height: int, width: int, draws: Draws
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Top, left, height and width of a window per picture, (N,) whole numbers of pixels.

    As torchvision draws it: the area uniform, the logarithm of the aspect uniform, the first of
    ten tries that fits; if none does, the largest central window of an allowed aspect.
    """
    units = draws.unit("random_resized_crop", 2 * TRIES + 2)
    tall, wide, fits = rectangles(units[:-2], settings.scale, settings.ratio, height, width)
    least, most = settings.ratio
    aspect = min(max(width / height, least), most)
    tall = torch.where(fits, tall, min(height, max(1, round(width / aspect))))
    wide = torch.where(fits, wide, min(width, max(1, round(height * aspect))))
    top, left = below(units[-2], height - tall + 1), below(units[-1], width - wide + 1)
    top = torch.where(fits, top, (height - tall) // 2)
    left = torch.where(fits, left, (width - wide) // 2)
    return top, left, tall, wide
