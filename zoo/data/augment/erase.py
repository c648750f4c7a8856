"""Random erasing: a rectangle of gray in some of the pictures."""

import torch
from torch import Tensor

from zoo.data.augment.draws import Draws, below
from zoo.data.augment.rectangles import TRIES, boxes, rectangles
from zoo.schema import RandomErasing


def random_erasing(images: Tensor, settings: RandomErasing, draws: Draws) -> Tensor:
    """A rectangle filled with `settings.value` in a share of the pictures, (N, C, H, W).

    As torchvision draws it: the area uniform, the logarithm of height over width uniform, the
    first of ten tries that fits; if none does, the picture stays as it is.
    """
    height, width = images.shape[-2:]
    units = draws.unit("random_erasing", 2 * TRIES + 3)
    least, most = settings.ratio  # height over width; `rectangles` wants its inverse
    tall, wide, fits = rectangles(
        units[:-3], settings.scale, (1 / most, 1 / least), height, width, smaller=True
    )
    chosen = fits & (units[-3] < settings.probability)
    top, left = below(units[-2], height - tall + 1), below(units[-1], width - wide + 1)
    tall = torch.where(chosen, tall, 0)
    inside = boxes(height, width, top, left, tall, wide, images.device)
    return images.masked_fill(inside, settings.value)
