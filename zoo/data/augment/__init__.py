"""Augmentation: batched tensor work on the training device, one draw per picture.

What Keras's ImageDataGenerator has keeps its name and meaning; the rest follows torchvision.
"""

import torch
from torch import Tensor

from zoo.data.augment.blur import random_gaussian_blur
from zoo.data.augment.color import random_brightness, random_channel_shift, random_color_jitter
from zoo.data.augment.crop import random_crop, random_resized_crop
from zoo.data.augment.draws import Draws, Part
from zoo.data.augment.erase import random_erasing
from zoo.data.augment.geometry import affine, random_affine, random_flips
from zoo.data.augment.mix import mix
from zoo.data.augment.policies import rand_augment, trivial_augment
from zoo.errors import RecipeError
from zoo.schema import Augment

__all__ = ["Part", "affine", "augment", "check_applies", "mix"]


def augment(
    images: Tensor, settings: Augment, generator: torch.Generator, part: Part | None = None
) -> Tensor:
    """Randomly changed pictures.

    In this order: random_crop, random_resized_crop, rotation, shifts, shear and zoom in one,
    flips, trivial_augment or rand_augment, color_jitter, brightness_range, channel_shift_range,
    gaussian_blur, random_erasing. Mixup and CutMix change labels too: see `mix`.

    Args:
        images: (N, C, H, W), 0 to 255, float or uint8; uint8 saves time, as it is converted late.
        settings: the recipe's `augment`; `check_applies` has passed it.
        generator: on the CPU; the numbers drawn depend on it and N alone, and what one option
            draws on no other.
        part: where the pictures stand in a batch that several processes share.

    Returns:
        (N, C, H, W), float, 0 to 255.
    """
    draws = Draws(len(images), generator, part)
    images = _placed(images, settings, draws)
    if not images.is_floating_point():
        images = images.float()
    if settings.trivial_augment:
        images = trivial_augment(images, draws)
    if settings.rand_augment:
        images = rand_augment(images, settings.rand_augment, draws)
    if settings.color_jitter:
        images = random_color_jitter(images, settings.color_jitter, draws)
    if settings.brightness_range:
        images = random_brightness(images, settings.brightness_range, draws)
    if settings.channel_shift_range:
        images = random_channel_shift(images, settings.channel_shift_range, draws)
    if settings.gaussian_blur:
        images = random_gaussian_blur(images, settings.gaussian_blur, draws)
    if settings.random_erasing:
        images = random_erasing(images, settings.random_erasing, draws)
    return images


def _placed(images: Tensor, settings: Augment, draws: Draws) -> Tensor:
    if settings.random_crop:
        images = random_crop(images, settings.random_crop, draws)
    if settings.random_resized_crop:
        images = random_resized_crop(images, settings.random_resized_crop, draws)
    if settings.is_affine:
        images = random_affine(images, settings, draws)
    return random_flips(images, settings, draws)


def check_applies(settings: Augment, channels: int) -> None:
    """Refuses what makes no sense for pictures of so many channels.

    Raises:
        RecipeError: names every option that does not apply.
    """
    jitter = settings.color_jitter
    if channels == 3 or jitter is None:
        return
    colours = {"saturation": jitter.saturation, "hue": jitter.hue}
    if wrong := [f"augment.color_jitter.{name}" for name, value in colours.items() if value]:
        raise RecipeError(
            f"{' and '.join(wrong)} can't apply to pictures of {channels} "
            f"channel{'s' * (channels != 1)}: colour needs RGB.",
            hint="Leave it out, or set preprocess.channels: 3.",
        )
