"""The synthetic pictures."""

import torch

from zoo.data.pictures import ArrayPictures
from zoo.data.sources import shapes
from zoo.schema import Dataset


def drawn(**options: object) -> ArrayPictures:
    found = shapes.read(Dataset.model_validate({"source": "shapes", **options}))
    assert found.draws_test
    assert isinstance(found.train, ArrayPictures)
    return found.train


def test_size_classes_and_count_are_the_users() -> None:
    pictures = drawn(images=30, num_classes=12, size=20)
    assert pictures.images.shape == (30, 3, 20, 20)
    assert pictures.classes == tuple(shapes.FIGURES)
    assert torch.bincount(pictures.targets).tolist() == [3] * 6 + [2] * 6


def test_the_seed_draws_them() -> None:
    assert torch.equal(drawn(images=10).images, drawn(images=10).images)
    assert not torch.equal(drawn(images=10).images, drawn(images=10, seed=1).images)


def test_more_pictures_are_the_same_and_then_some() -> None:
    few, many = drawn(images=260, size=16), drawn(images=600, size=16)
    assert torch.equal(few.images, many.images[:260])
    assert few.names == many.names[:260]


def test_no_two_are_alike() -> None:
    pictures = drawn(images=300, size=16)
    assert len({pictures.digest(index) for index in range(300)}) == 300


def test_every_figure_covers_a_part_of_its_picture() -> None:
    axis = torch.linspace(-1.5, 1.5, 61)
    x, y = axis[None, :].expand(61, 61), axis[:, None].expand(61, 61)
    covered = {
        name: float((figure(x, y) < 0).float().mean()) for name, figure in shapes.FIGURES.items()
    }
    assert all(0.05 < share < 0.5 for share in covered.values()), covered
