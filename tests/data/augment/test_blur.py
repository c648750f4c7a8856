"""Gaussian blur: torchvision's, a width per picture."""

import pytest
import torch
import torchvision.transforms.v2.functional as tv

from zoo.data.augment import augment
from zoo.data.augment.blur import gaussian_blur
from zoo.schema import Augment, GaussianBlur


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("radius", [1, 4])
def test_torchvisions_pictures(channels: int, radius: int) -> None:
    images = torch.rand(3, channels, 11, 8) * 255
    sigma = torch.tensor([0.1, 0.8, 3.0])
    wanted = [
        tv.gaussian_blur(image, [2 * radius + 1] * 2, [float(s)] * 2)
        for image, s in zip(images, sigma, strict=True)
    ]
    torch.testing.assert_close(
        gaussian_blur(images, sigma, radius), torch.stack(wanted), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (8, 8)])
def test_pictures_smaller_than_the_kernel(shape: tuple[int, int]) -> None:
    images = torch.full((2, 1, *shape), 50.0)
    found = gaussian_blur(images, torch.tensor([1.0, 9.0]), 27)
    torch.testing.assert_close(found, images)


def test_a_share_of_the_pictures_is_blurred() -> None:
    images = torch.rand(1, 1, 9, 9).expand(400, 1, 9, 9) * 255
    settings = Augment(gaussian_blur=GaussianBlur(probability=0.3, sigma=(0.5, 1.5)))
    found = augment(images, settings, torch.Generator().manual_seed(0))
    blurred = (found != images).flatten(1).any(dim=1)
    assert 90 < blurred.sum() < 150
    assert len(found[blurred].flatten(1).unique(dim=0)) == blurred.sum()  # each its own width
    always = Augment(gaussian_blur=GaussianBlur(probability=1))
    never = Augment(gaussian_blur=GaussianBlur(probability=0))
    assert torch.equal(augment(images, never, torch.Generator()), images)
    changed = augment(images, always, torch.Generator()) != images
    assert changed.float().mean() > 0.8  # the narrowest blurs change nothing
