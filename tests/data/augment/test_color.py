"""Colour: torchvision's functions with a factor per picture, and Keras's two options."""

from collections.abc import Callable

import pytest
import torch
import torchvision.transforms.v2.functional as tv
from PIL import Image, ImageEnhance
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

from zoo.data.augment import augment, color
from zoo.schema import Augment, ColorJitter

FACTORS = torch.tensor([0.0, 0.4, 1.0, 1.7])


def pictures(channels: int = 3, count: int = 4) -> Tensor:
    shape = (count, channels, 9, 7)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 255


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def close(one: Tensor, two: Tensor, atol: float = 2e-3) -> None:
    torch.testing.assert_close(one, two, atol=atol, rtol=0)


@pytest.mark.parametrize(
    ("ours", "theirs", "channels"),
    [
        (color.adjust_brightness, tv.adjust_brightness, 1),
        (color.adjust_brightness, tv.adjust_brightness, 3),
        (color.adjust_contrast, tv.adjust_contrast, 1),
        (color.adjust_contrast, tv.adjust_contrast, 3),
        (color.adjust_sharpness, tv.adjust_sharpness, 1),
        (color.adjust_sharpness, tv.adjust_sharpness, 3),
        (color.adjust_saturation, tv.adjust_saturation, 3),
    ],
)
def test_torchvisions_pictures(
    ours: Callable[[Tensor, Tensor], Tensor],
    theirs: Callable[[Tensor, float], Tensor],
    channels: int,
) -> None:
    images = pictures(channels)
    wanted = [theirs(image / 255, float(f)) * 255 for image, f in zip(images, FACTORS, strict=True)]
    close(ours(images, FACTORS), torch.stack(wanted))


def test_torchvisions_hues() -> None:
    images = pictures()
    images[0, :, 0, 0] = 80  # gray has no hue
    images[0, :, 0, 1] = torch.tensor([200.0, 200.0, 10.0])  # two channels share the value
    images[0, :, 0, 2] = 0
    shares = torch.tensor([0.3, -0.5, 0.0, 0.5])
    wanted = [
        tv.adjust_hue(image / 255, float(share)) * 255
        for image, share in zip(images, shares, strict=True)
    ]
    close(color.adjust_hue(images, shares), torch.stack(wanted), atol=0.02)
    close(color.adjust_hue(images, torch.zeros(4)), images)


def test_a_third_of_the_circle_turns_red_into_green() -> None:
    red = torch.tensor([255.0, 0, 0]).reshape(1, 3, 1, 1)
    close(color.adjust_hue(red, torch.tensor([1 / 3])).flatten(), torch.tensor([0, 255.0, 0]))


@pytest.mark.parametrize("channels", [1, 3])
def test_autocontrast(channels: int) -> None:
    images = pictures(channels) / 3 + 40
    images[0] = 77  # of one value: stays
    close(color.autocontrast(images), tv.autocontrast(images / 255) * 255, atol=0.01)


def test_small_pictures_are_not_sharpened() -> None:
    image = torch.rand(1, 1, 2, 5) * 255
    assert torch.equal(color.adjust_sharpness(image, torch.tensor([2.0])), image)


def test_brightness_is_that_of_pil() -> None:
    """Keras changes brightness with PIL, in whole numbers."""
    images = pictures().round()
    found = color.adjust_brightness(images, FACTORS)
    for image, factor, changed in zip(images, FACTORS, found, strict=True):
        pil: Image.Image = to_pil_image(image.to(torch.uint8))
        wanted = pil_to_tensor(ImageEnhance.Brightness(pil).enhance(float(factor)))
        close(changed, wanted.float(), atol=1)


def test_brightness_range_draws_a_factor_per_picture() -> None:
    images = torch.full((500, 1, 2, 2), 100.0)
    found = augment(images, Augment(brightness_range=(0.5, 1.5)), generator())[:, 0]
    assert (found == found[:, :1, :1]).all()
    factors = found[:, 0, 0] / 100
    assert 0.5 <= factors.min() < 0.52
    assert 1.48 < factors.max() <= 1.5
    bright = augment(images, Augment(brightness_range=(3, 3)), generator())
    assert (bright == 255).all()


def test_channel_shift_stays_within_the_pictures_extremes() -> None:
    images = torch.full((500, 3, 2, 2), 100.0)
    images[:, 0, 0, 0], images[:, 2, 1, 1] = 50, 200
    found = augment(images, Augment(channel_shift_range=80), generator())
    assert found.amin() == 50  # Keras bounds by the whole picture, not by each channel
    assert found.amax() == 200
    shift = found[:, 1, 0, 0] - 100
    assert shift.min() == -50
    assert 75 < shift.max() <= 80
    close(found[:, 0, 0, 0], (50 + shift).where(shift > -50, torch.tensor(50.0)).clamp(min=50))


@pytest.mark.parametrize(
    ("settings", "adjust", "low", "high"),
    [
        (ColorJitter(brightness=0.4), color.adjust_brightness, 0.6, 1.4),
        (ColorJitter(contrast=2), color.adjust_contrast, 0, 3),
        (ColorJitter(saturation=0.4), color.adjust_saturation, 0.6, 1.4),
        (ColorJitter(hue=0.2), color.adjust_hue, -0.2, 0.2),
    ],
)
def test_color_jitter_draws_a_factor_per_picture(
    settings: ColorJitter,
    adjust: Callable[[Tensor, Tensor], Tensor],
    low: float,
    high: float,
) -> None:
    """Each result is that of some factor of the range, and the range is used."""
    images = pictures(count=1).expand(200, 3, 9, 7)
    found = augment(images, Augment(color_jitter=settings), generator())
    grid = torch.linspace(low, high, 401)
    known = adjust(images[:1].expand(401, 3, 9, 7), grid)
    distance, nearest = torch.cdist(
        found.flatten(1), known.flatten(1), compute_mode="donot_use_mm_for_euclid_dist"
    ).min(dim=1)
    step = (known[1:] - known[:-1]).flatten(1).norm(dim=1).max()
    assert distance.max() < step
    assert nearest.min() < 20
    assert nearest.max() > 380


def test_color_jitters_order_changes_between_batches() -> None:
    images = pictures(count=1)
    settings = Augment(color_jitter=ColorJitter(brightness=0.9, contrast=0.9))
    # Brightness first, then contrast keeps the mean; the other way does not always.
    found = {round(float(augment(images, settings, generator(s)).mean()), 3) for s in range(40)}
    assert len(found) == 40
