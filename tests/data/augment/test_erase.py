"""Random erasing."""

import torch
from torch import Tensor

from zoo.data.augment import augment
from zoo.schema import Augment, RandomErasing


def erased(settings: RandomErasing, height: int = 40, width: int = 60) -> Tensor:
    """(2000, H, W), true where a picture was erased."""
    images = torch.full((2000, 2, height, width), 100.0)
    found = augment(images, Augment(random_erasing=settings), torch.Generator().manual_seed(0))
    assert set(found.unique().tolist()) <= {100.0, settings.value}
    assert torch.equal(found[:, 0], found[:, 1])
    return found[:, 0] == settings.value


def test_a_rectangle_of_the_area_and_aspect() -> None:
    mask = erased(RandomErasing(probability=1, scale=(0.1, 0.3), ratio=(0.5, 2), value=7))
    tall, wide = mask.any(dim=2).sum(dim=1), mask.any(dim=1).sum(dim=1)
    area = mask.sum(dim=(1, 2))
    assert torch.equal(area, tall * wide)  # a rectangle without holes
    assert 0.095 < (area / 2400).min() < 0.12
    assert 0.28 < (area / 2400).max() < 0.31
    aspect = tall / wide  # height over width, as torchvision counts
    assert 0.47 < aspect.min() < 0.55
    assert 1.8 < aspect.max() < 2.15
    assert mask.any(dim=0).all()  # every pixel is hit by some


def test_the_aspect_is_height_over_width() -> None:
    mask = erased(RandomErasing(probability=1, scale=(0.1, 0.1), ratio=(3, 3.3)))
    assert (mask.any(dim=2).sum(dim=1) > 2 * mask.any(dim=1).sum(dim=1)).all()


def test_the_probability_is_a_share_of_the_pictures() -> None:
    assert 400 < erased(RandomErasing(probability=0.25)).any(dim=(1, 2)).sum() < 600
    assert not erased(RandomErasing(probability=0)).any()


def test_what_never_fits_erases_nothing() -> None:
    assert not erased(RandomErasing(probability=1, scale=(1, 1), ratio=(1, 1))).any()
