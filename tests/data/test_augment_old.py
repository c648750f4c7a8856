"""Augmentation: Keras's meaning, batched."""

from typing import Any

import pytest
import torch
from torch import Tensor

from zoo.data.augment import affine, augment
from zoo.schema import Augment

STILL = {"theta": 0.0, "tx": 0.0, "ty": 0.0, "shear": 0.0, "zx": 1.0, "zy": 1.0}


def moved(images: Tensor, fill_mode: str = "nearest", cval: float = 0.0, **values: float) -> Tensor:
    parameters: dict[str, Any] = {
        name: torch.full((len(images),), value) for name, value in {**STILL, **values}.items()
    }
    return affine(images, **parameters, fill_mode=fill_mode, cval=cval)


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0)) * 255


def close(one: Tensor, two: Tensor) -> None:
    torch.testing.assert_close(one, two, atol=2e-3, rtol=0)


@pytest.mark.parametrize("mode", ["nearest", "constant", "reflect", "wrap"])
def test_standing_still_changes_nothing(mode: str, pictures: Tensor) -> None:
    close(moved(pictures, mode), pictures)


def test_shifts_fetch_from_right_and_below(pictures: Tensor) -> None:
    close(moved(pictures, tx=2.0)[..., :-2], pictures[..., 2:])
    close(moved(pictures, ty=1.0)[..., :-1, :], pictures[..., 1:, :])


def test_a_half_turn(pictures: Tensor) -> None:
    close(moved(pictures, theta=180.0), pictures.flip(2, 3))


def test_a_quarter_turn_of_a_square() -> None:
    square = torch.arange(9.0).reshape(1, 1, 3, 3)
    assert moved(square, theta=90.0).round()[0, 0].tolist() == [[2, 5, 8], [1, 4, 7], [0, 3, 6]]


def test_zoom_below_one_grows() -> None:
    dot = torch.zeros(1, 1, 9, 9)
    dot[..., 4, 3:6] = 1
    assert moved(dot, zx=0.5)[0, 0, 4].sum() == 6  # three pixels become six
    assert moved(dot, zx=0.5)[0, 0].sum() == 6  # and no taller
    assert moved(dot, zx=2.0)[0, 0, 4].sum() == 1


def test_fill_modes() -> None:
    row = torch.tensor([1.0, 2.0, 3.0, 4.0]).expand(1, 1, 4, 4)
    assert moved(row, "nearest", tx=2.0)[0, 0, 0].tolist() == [3, 4, 4, 4]
    assert moved(row, "constant", 9.0, tx=2.0)[0, 0, 0].tolist() == [3, 4, 9, 9]
    assert moved(row, "reflect", tx=2.0)[0, 0, 0].tolist() == [3, 4, 4, 3]
    # scipy's wrap, which Keras uses, has period n - 1
    assert moved(row, "wrap", tx=2.0)[0, 0, 0].tolist() == [3, 4, 2, 3]


def test_each_picture_has_its_own_parameters(pictures: Tensor) -> None:
    tx = torch.tensor([0.0, 3.0])
    still = {name: torch.full((2,), value) for name, value in STILL.items()}
    found = affine(pictures, **{**still, "tx": tx})  # type: ignore[arg-type]
    close(found[:1], pictures[:1])
    close(found[1:, ..., :-3], pictures[1:, ..., 3:])


def test_the_generator_alone_decides(pictures: Tensor) -> None:
    settings = Augment(rotation_range=40, zoom_range=(0.8, 1.2), horizontal_flip=True)

    def once(seed: int) -> Tensor:
        return augment(pictures, settings, torch.Generator().manual_seed(seed))

    assert torch.equal(once(1), once(1))
    assert not torch.equal(once(1), once(2))


def test_switching_one_option_on_leaves_the_others_draws_alone() -> None:
    images = torch.rand(64, 1, 9, 9)
    flipped = augment(images, Augment(horizontal_flip=True), torch.Generator().manual_seed(3))
    with_rotation = Augment(horizontal_flip=True, rotation_range=1e-6)
    also = augment(images, with_rotation, torch.Generator().manual_seed(3))
    torch.testing.assert_close(flipped, also, atol=1e-3, rtol=0)


def test_flips_mirror_half() -> None:
    images = torch.arange(4.0).reshape(1, 1, 2, 2).expand(1000, 1, 2, 2)
    both = Augment(horizontal_flip=True, vertical_flip=True)
    found = augment(images, both, torch.Generator().manual_seed(0))
    corners = torch.bincount(found[:, 0, 0, 0].long(), minlength=4)
    assert (corners - 250).abs().max() < 60


def centre_of_mass(images: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = (torch.arange(side, dtype=torch.float32) for side in images.shape[-2:])
    mass = images.sum(dim=(1, 2, 3))
    return (
        (images.sum(dim=(1, 3)) * rows).sum(1) / mass,
        (images.sum(dim=(1, 2)) * columns).sum(1) / mass,
    )


@pytest.mark.parametrize(("share", "pixels"), [(0.2, 4.0), (3, 3.0)])
def test_shift_ranges_are_shares_or_pixels(share: float, pixels: float) -> None:
    dots = torch.zeros(2000, 1, 20, 20)
    dots[:, :, 10, 10] = 1
    settings = Augment(height_shift_range=share)
    rows, columns = centre_of_mass(augment(dots, settings, torch.Generator().manual_seed(0)))
    assert columns.eq(10).all()  # height moves up and down, as Keras's documentation says
    assert 0.95 * pixels < (rows - 10).abs().max() <= pixels + 1e-3
    settings = Augment(width_shift_range=share)
    rows, columns = centre_of_mass(augment(dots, settings, torch.Generator().manual_seed(0)))
    assert rows.eq(10).all()
    assert 0.95 * pixels < (columns - 10).abs().max() <= pixels + 1e-3


def test_every_setting_is_used() -> None:
    images = torch.rand(16, 1, 12, 12) * 255
    plain = {"rotation_range": 30, "width_shift_range": 0.3}
    base = augment(images, Augment(**plain), torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    changes: dict[str, Any] = {
        "rotation_range": 60, "width_shift_range": 0.1, "height_shift_range": 0.2,
        "shear_range": 20, "zoom_range": (0.5, 1.5), "horizontal_flip": True,
        "vertical_flip": True, "fill_mode": "reflect",
    }  # fmt: skip
    assert set(changes) | {"cval"} == set(Augment.model_fields)
    for name, value in changes.items():
        settings = Augment(**{**plain, name: value})
        assert not torch.equal(base, augment(images, settings, torch.Generator().manual_seed(0)))
    filled = [
        augment(
            images,
            Augment(**plain, fill_mode="constant", cval=v),
            torch.Generator().manual_seed(0),  # type: ignore[arg-type]
        )
        for v in (0, 99)
    ]
    assert not torch.equal(*filled)
