"""Rotation, shifts, shear, zoom and flips: Keras's pictures, batched."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.data.augment.make_affine_golden import (
    CVAL,
    FILL_MODES,
    GOLDEN,
    NAMES,
    PARAMETERS,
    SHAPES,
)  # fmt: skip
from zoo.data.augment import affine, augment
from zoo.data.augment.geometry import sample_axes
from zoo.schema import Augment

STILL = {"theta": 0.0, "tx": 0.0, "ty": 0.0, "shear": 0.0, "zx": 1.0, "zy": 1.0}


def moved(images: Tensor, fill_mode: str = "nearest", cval: float = 0.0, **values: float) -> Tensor:
    parameters: dict[str, Any] = {
        name: torch.full((len(images),), value) for name, value in {**STILL, **values}.items()
    }
    return affine(images, **parameters, fill_mode=fill_mode, cval=cval, center="true")


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0)) * 255


def close(one: Tensor, two: Tensor) -> None:
    torch.testing.assert_close(one, two, atol=2e-3, rtol=0)


@pytest.mark.parametrize("mode", FILL_MODES)
@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_kerass_own_pictures(mode: str, number: int) -> None:
    with np.load(GOLDEN) as golden:
        picture = torch.from_numpy(golden[f"picture-{number}"]).float()
        wanted = torch.from_numpy(golden[f"{mode}-{number}"].astype("float32") / 100)
    assert wanted.shape == (len(PARAMETERS), *SHAPES[number])
    parameters: dict[str, Any] = dict(
        zip(NAMES, torch.from_numpy(PARAMETERS).unbind(1), strict=True)
    )
    images = picture.expand(wanted.shape)
    found = affine(images, **parameters, fill_mode=mode, cval=CVAL)
    difference = (found - wanted).abs()
    assert difference.mean(dim=(1, 2, 3)).max() < 0.5  # what zoo promises
    assert difference.max() < 0.02  # what it gives, of 255, beside the file's rounding


def test_the_golden_pictures_tell_the_fill_modes_apart() -> None:
    with np.load(GOLDEN) as golden:
        for number in range(len(SHAPES)):
            results = [golden[f"{mode}-{number}"].astype(int) for mode in FILL_MODES]
            for index, one in enumerate(results):
                for other in results[:index]:
                    assert np.abs(one - other).mean() > 100


def test_only_kerass_centre_depends_on_the_sides_order() -> None:
    parameters: dict[str, Any] = {k: torch.full((1,), v) for k, v in STILL.items()}
    parameters["theta"] = torch.tensor([30.0])
    square, wide = torch.rand(1, 1, 9, 9) * 255, torch.rand(1, 1, 9, 13) * 255
    assert torch.equal(
        affine(square, **parameters).round(), affine(square, **parameters, center="true").round()
    )
    keras, true = affine(wide, **parameters), affine(wide, **parameters, center="true")
    assert (keras - true).abs().mean() > 10
    close(true[..., 4, 6], wide[..., 4, 6])  # the fixed point


@pytest.mark.parametrize("mode", FILL_MODES)
def test_standing_still_changes_nothing(mode: str, pictures: Tensor) -> None:
    close(moved(pictures, mode), pictures)


@pytest.mark.parametrize("mode", FILL_MODES)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 1, 1, 5), (2, 3, 4, 1)])
def test_narrow_pictures_stay_finite(mode: str, shape: tuple[int, ...]) -> None:
    found = moved(torch.full(shape, 9.0), mode, 9.0, theta=30, tx=0.7, zx=0.8)
    close(found, torch.full(shape, 9.0))


def test_many_pictures_are_moved_as_one_is() -> None:
    """The parts that a large batch is cut into fit together."""
    images = torch.rand(50, 1, 64, 64) * 255
    theta = torch.linspace(-90, 90, 50)
    still: dict[str, Any] = {name: torch.full((50,), value) for name, value in STILL.items()}
    found = affine(images, **{**still, "theta": theta})
    for index in (0, 17, 49):
        close(found[index : index + 1], moved(images[index : index + 1], theta=float(theta[index])))


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
    wider = moved(dot, zx=0.5)[0, 0]
    assert float(wider[4].sum()) == pytest.approx(6)  # three pixels become six
    assert float(wider.sum()) == pytest.approx(6)  # and no taller
    assert float(moved(dot, zx=2.0)[0, 0, 4].sum()) == pytest.approx(1)


def test_fill_modes() -> None:
    row = torch.tensor([1.0, 2.0, 3.0, 4.0]).expand(1, 1, 4, 4)
    expected = {
        "nearest": [3, 4, 4, 4],
        "constant": [3, 4, 9, 9],
        "reflect": [3, 4, 4, 3],
        "wrap": [3, 4, 2, 3],  # scipy's wrap, which Keras uses, has period n - 1
    }
    for mode, wanted in expected.items():
        close(moved(row, mode, 9.0, tx=2.0)[0, 0, 0], torch.tensor(wanted, dtype=torch.float32))


def test_each_picture_has_its_own_parameters(pictures: Tensor) -> None:
    still: dict[str, Any] = {name: torch.full((2,), value) for name, value in STILL.items()}
    found = affine(pictures, **{**still, "tx": torch.tensor([0.0, 3.0])})
    close(found[:1], pictures[:1])
    close(found[1:, ..., :-3], pictures[1:, ..., 3:])


def test_sampling_at_columns_and_rows(pictures: Tensor) -> None:
    columns = torch.tensor([[1.0, 2.5], [0.0, 7.0]])
    rows = torch.tensor([[3.0], [5.0]])
    found = sample_axes(pictures, columns, rows)
    close(found[0, :, 0, 0], pictures[0, :, 3, 1])
    close(found[0, :, 0, 1], pictures[0, :, 3, 2:4].mean(dim=1))
    close(found[1, :, 0], pictures[1, :, 5, [0, 7]])


def test_flips_mirror_half() -> None:
    images = torch.arange(4.0).reshape(1, 1, 2, 2).expand(1000, 1, 2, 2)
    both = Augment(horizontal_flip=True, vertical_flip=True)
    found = augment(images, both, torch.Generator().manual_seed(0))
    corners = torch.bincount(found[:, 0, 0, 0].long(), minlength=4)
    assert (corners - 250).abs().max() < 60
    left_right = augment(images, Augment(horizontal_flip=True), torch.Generator().manual_seed(0))
    assert set(left_right[:, 0, 0, 0].tolist()) == {0, 1}
    upside_down = augment(images, Augment(vertical_flip=True), torch.Generator().manual_seed(0))
    assert set(upside_down[:, 0, 0, 0].tolist()) == {0, 2}


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
    # Height moves up and down, as Keras's documentation says.
    close(columns, torch.full_like(columns, 10))
    assert 0.95 * pixels < (rows - 10).abs().max() <= pixels + 1e-3
    settings = Augment(width_shift_range=share)
    rows, columns = centre_of_mass(augment(dots, settings, torch.Generator().manual_seed(0)))
    close(rows, torch.full_like(rows, 10))
    assert 0.95 * pixels < (columns - 10).abs().max() <= pixels + 1e-3


def test_augmenting_turns_about_the_true_centre_of_a_wide_picture() -> None:
    dots = torch.zeros(100, 1, 11, 31)
    dots[..., 5, 15] = 1
    found = augment(dots, Augment(rotation_range=180), torch.Generator().manual_seed(0))
    close(found[..., 5, 15], torch.ones(100, 1))
