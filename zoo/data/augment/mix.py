"""Mixup and CutMix: pictures and labels of two examples in one."""

import numpy
import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor

from zoo.data.augment.draws import Draws, Part, below, per_picture
from zoo.data.augment.rectangles import boxes
from zoo.data.placement import to_device
from zoo.schema import Augment


def mix(
    images: Tensor,
    targets: Tensor,
    settings: Augment,
    generator: torch.Generator,
    num_classes: int,
    part: Part | None = None,
) -> tuple[Tensor, Tensor]:
    """Each picture mixed with the one before it in the batch, and its label by the same share.

    With both options on, each batch draws one of them. Call it where at least one is.

    Args:
        images: (N, C, H, W), float, in a shuffled batch.
        targets: (N,), class indices.
        settings: the recipe's `augment`.
        generator: on the CPU.
        num_classes: length of a label.
        part: where the pictures stand in a batch that several processes share; each process
            mixes its own pictures.

    Returns:
        Pictures (N, C, H, W) and labels (N, num_classes), float, each row summing to 1.
    """
    draws = Draws(len(images), generator, part)
    is_mixup = bool(settings.mixup)
    if settings.mixup and settings.cutmix:
        is_mixup = bool(torch.rand((), generator=draws.generator("mix")) < 0.5)
    if is_mixup:
        images, share = mixup(images, settings.mixup, draws)
    else:
        images, share = cutmix(images, settings.cutmix, draws)
    labels = F.one_hot(targets, num_classes).float()
    return images, labels.roll(1, 0).lerp(labels, share[:, None])


def mixup(images: Tensor, alpha: float, draws: Draws) -> tuple[Tensor, Tensor]:
    """Blended pictures (Zhang et al. 2017), and the share of each that is its own, (N,)."""
    share = to_device(_beta("mixup", alpha, draws), images.device)
    return images.roll(1, 0).lerp(images, per_picture(share, images)), share


def cutmix(images: Tensor, alpha: float, draws: Draws) -> tuple[Tensor, Tensor]:
    """Pictures with a rectangle of another (Yun et al. 2019), and the share left of each, (N,).

    The rectangle's centre is anywhere in the picture; what stands over is cut off, and the share
    counts the pixels that are left.
    """
    height, width = images.shape[-2:]
    side = (1 - _beta("cutmix", alpha, draws)).sqrt()  # share of the height and of the width
    middle_y, middle_x = draws.unit("cutmix.place", 2)
    top, tall = _span(middle_y, side, height)
    left, wide = _span(middle_x, side, width)
    inside = boxes(height, width, top, left, tall, wide, images.device)
    share = 1 - (tall * wide) / (height * width)
    mixed = torch.where(inside, images.roll(1, 0), images)
    return mixed, to_device(share, images.device)


def _span(middle: Tensor, share: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Start and length of a part of the side, (N,) whole pixels."""
    centre, half = below(middle, side), (0.5 * share * side).long()
    start, end = (centre - half).clamp(min=0), (centre + half).clamp(max=side)
    return start, end - start


def _beta(option: str, alpha: float, draws: Draws) -> Tensor:
    """(N,) of the Beta(alpha, alpha) distribution; torch has none with a generator."""
    seed = int(torch.randint(2**63 - 1, (), generator=draws.generator(option)))
    shares = numpy.random.default_rng(seed).beta(alpha, alpha, draws.total)
    return torch.from_numpy(shares).float()[draws.here]
