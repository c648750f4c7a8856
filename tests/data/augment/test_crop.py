"""Random windows."""

import pytest
import torch
from torch import Tensor

from zoo.data.augment import augment
from zoo.data.augment.crop import random_resized_crop, windows
from zoo.data.augment.draws import Draws
from zoo.schema import Augment, RandomResizedCrop


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(height: int, width: int, count: int) -> Tensor:
    """Every pixel has its own value, from 1."""
    picture = torch.arange(1.0, height * width + 1).reshape(1, 1, height, width)
    return torch.cat((picture, picture * 2), dim=1).expand(count, 2, height, width)


def test_random_crop_is_a_window_of_the_padded_picture() -> None:
    images = numbered(4, 5, 400)
    found = augment(images, Augment(random_crop=2), generator())
    padded = torch.nn.functional.pad(images[:1], (2, 2, 2, 2))
    windows = {
        (top, left): padded[0, :, top : top + 4, left : left + 5]
        for top in range(5)
        for left in range(5)
    }
    met = set()
    for picture in found:
        (place,) = (place for place, one in windows.items() if torch.equal(one, picture))
        met.add(place)
    assert met == set(windows)


def test_windows_keep_to_their_area_and_aspect() -> None:
    settings = RandomResizedCrop(scale=(0.2, 0.4), ratio=(0.5, 2))  # all of these fit
    top, left, tall, wide = windows(settings, 130, 140, Draws(3000, generator()))
    share = (tall * wide) / (130 * 140)
    assert 0.19 < share.min() < 0.21
    assert 0.39 < share.max() < 0.41
    assert abs(float(share.mean()) - 0.3) < 0.01  # uniform
    aspect = wide / tall
    assert 0.48 < aspect.min() < 0.55
    assert 1.85 < aspect.max() < 2.05
    assert abs(float(aspect.log().mean())) < 0.03  # uniform in its logarithm
    assert abs(float(aspect.log().std()) - 0.4) < 0.02
    assert min(int(top.min()), int(left.min())) == 0
    assert (top + tall).max() == 130
    assert (left + wide).max() == 140


def test_where_no_window_fits_the_largest_central_one_is_taken() -> None:
    settings = RandomResizedCrop(scale=(1, 1), ratio=(0.5, 1))
    top, left, tall, wide = windows(settings, 10, 40, Draws(5, generator()))
    assert tall.tolist() == wide.tolist() == [10] * 5
    assert top.tolist() == [0] * 5
    assert left.tolist() == [15] * 5


@pytest.mark.parametrize(("height", "width"), [(12, 12), (9, 15)])
def test_a_window_is_cut_and_resized(height: int, width: int) -> None:
    images = torch.rand(20, 3, height, width) * 255
    settings = RandomResizedCrop()
    found = random_resized_crop(images, settings, Draws(20, generator()))
    corners = windows(settings, height, width, Draws(20, generator()))
    for index, (top, left, tall, wide) in enumerate(torch.stack(corners, dim=1).tolist()):
        part = images[index : index + 1, :, top : top + tall, left : left + wide]
        wanted = torch.nn.functional.interpolate(
            part, (height, width), mode="bilinear", align_corners=False, antialias=True
        )
        torch.testing.assert_close(found[index : index + 1], wanted, atol=2e-3, rtol=0)


def test_a_single_pixel_and_a_single_picture() -> None:
    image = torch.full((1, 1, 1, 1), 9.0)
    settings = Augment(random_resized_crop=RandomResizedCrop())
    torch.testing.assert_close(augment(image, settings, generator()), image)
