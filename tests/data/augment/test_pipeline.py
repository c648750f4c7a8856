"""The pipeline: every option is used, and each draws for itself."""

from typing import Any

import pytest
import torch
from torch import Tensor

from zoo.data.augment import augment, check_applies, mix
from zoo.errors import RecipeError
from zoo.schema import Augment

OPTIONS: dict[str, Any] = {
    "rotation_range": 30,
    "width_shift_range": 0.3,
    "height_shift_range": 0.2,
    "shear_range": 20,
    "zoom_range": (0.5, 1.5),
    "brightness_range": (0.5, 0.9),
    "channel_shift_range": 40,
    "horizontal_flip": True,
    "vertical_flip": True,
    "random_crop": 3,
    "random_resized_crop": True,
    "trivial_augment": True,
    "rand_augment": True,
    "color_jitter": {"brightness": 0.3, "contrast": 0.3},
    "gaussian_blur": True,
    "random_erasing": 0.9,
}
BESIDE = {"fill_mode", "cval"}  # say how the affine part fills
LABELS_TOO = {"mixup", "cutmix"}  # `mix` does them


def made(options: dict[str, Any]) -> Augment:
    return Augment.model_validate(options)


def pictures(count: int = 48, channels: int = 1) -> Tensor:
    return torch.rand(count, channels, 12, 10, generator=torch.Generator().manual_seed(9)) * 255


def once(images: Tensor, options: dict[str, Any], seed: int = 0) -> Tensor:
    return augment(images, made(options), torch.Generator().manual_seed(seed))


def test_no_option_is_forgotten() -> None:
    assert set(OPTIONS) | BESIDE | LABELS_TOO == set(Augment.model_fields)


def test_without_options_pictures_stay() -> None:
    assert torch.equal(once(pictures(), {}), pictures())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_draws_for_each_picture_from_the_generator_alone(
    name: str, channels: int
) -> None:
    images = pictures(1, channels).expand(48, channels, 12, 10)
    before = images.clone()
    options = {name: OPTIONS[name]}
    found = once(images, options)
    assert torch.equal(images, before)  # the caller's pictures are left alone
    assert found.shape == images.shape
    assert found.isfinite().all()
    assert found.min() >= -1e-3
    assert found.max() <= 255.001
    kinds = len(found.flatten(1).unique(dim=0))
    assert kinds > (1 if name.endswith("flip") else 10)
    torch.manual_seed(1)
    assert torch.equal(found, once(images, options))
    assert not torch.equal(found, once(images, options, seed=1))
    assert once(images[:1], options).shape == images[:1].shape


@pytest.mark.parametrize("name", ["none", *OPTIONS])
def test_whole_numbers_give_the_same_pictures(name: str) -> None:
    images = pictures().round()
    options = {} if name == "none" else {name: OPTIONS[name]}
    found = once(images.to(torch.uint8), options)
    assert found.dtype == torch.float32
    assert torch.equal(found, once(images, options))


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    once(pictures(), {k: v for k, v in OPTIONS.items() if k != "rand_augment"})
    assert torch.equal(torch.rand(3), wanted)


HARMLESS: dict[str, Any] = {
    "rotation_range": 1e-7,
    "brightness_range": (1, 1),
    "channel_shift_range": 1e-7,
    "random_resized_crop": {"scale": (1, 1), "ratio": (10 / 12, 10 / 12)},
    "rand_augment": None,
    "color_jitter": {"brightness": 1e-9},
    "gaussian_blur": {"probability": 0},
    "random_erasing": {"probability": 0},
}
"""Options so weak that they change nothing; they draw all the same."""


@pytest.mark.parametrize("name", OPTIONS)
def test_switching_another_option_on_shifts_no_draws(name: str) -> None:
    images = pictures()
    alone = once(images, {name: OPTIONS[name]})
    for other, value in HARMLESS.items():
        if other == name:
            continue
        together = once(images, {name: OPTIONS[name], other: value})
        torch.testing.assert_close(together, alone, atol=0.05, rtol=0)


def test_affine_ranges_share_no_draws() -> None:
    """A shift is the same whether there is a rotation or not."""
    images = torch.zeros(30, 1, 21, 21)
    images[..., 10, 10] = 1
    alone = once(images, {"width_shift_range": 5})
    with_zoom = once(images, {"width_shift_range": 5, "rotation_range": 1e-7})
    torch.testing.assert_close(with_zoom, alone, atol=1e-4, rtol=0)


def test_the_fill_belongs_to_the_affine_part() -> None:
    images = torch.full((8, 1, 9, 9), 50.0)
    base = {"width_shift_range": 4}
    torch.testing.assert_close(once(images, base), images)
    filled = once(images, {**base, "fill_mode": "constant", "cval": 9})
    assert set(filled.round().unique().tolist()) == {9, 50}


def test_color_needs_rgb() -> None:
    settings = made({"color_jitter": {"hue": 0.1, "saturation": 0.2, "contrast": 0.3}})
    check_applies(settings, 3)
    with pytest.raises(RecipeError) as caught:
        check_applies(settings, 1)
    assert "augment.color_jitter.saturation and augment.color_jitter.hue" in str(caught.value)
    assert "contrast" not in str(caught.value)
    with pytest.raises(RecipeError, match=r"color_jitter\.hue can't apply to pictures of 1 ch"):
        check_applies(made({"color_jitter": {"hue": 0.1}}), 1)
    check_applies(made({k: v for k, v in OPTIONS.items() if k != "rand_augment"}), 1)


# The mean of each of six pictures, and the larger share of its label, by policy and seed.
MEANS: dict[tuple[str, int], tuple[list[float], list[float]]] = {
    ("trivial_augment", 0): (
        [34.2, 124.0, 103.9, 102.5, 60.0, 59.8], [0.989, 0.797, 0.953, 0.562, 1.0, 0.991],
    ),
    ("trivial_augment", 1): (
        [64.1, 33.5, 34.5, 56.7, 54.8, 54.2], [0.665, 0.639, 0.528, 0.61, 0.956, 0.735],
    ),
    ("trivial_augment", 2): (
        [35.9, 54.8, 62.6, 53.4, 49.6, 58.9], [0.7, 0.667, 0.6, 0.6, 0.9, 0.583],
    ),
    ("rand_augment", 0): (
        [30.4, 143.3, 97.9, 105.6, 70.3, 69.9], [0.989, 0.797, 0.953, 0.562, 1.0, 0.991],
    ),
    ("rand_augment", 1): (
        [56.6, 29.9, 33.3, 56.2, 49.6, 49.2], [0.665, 0.639, 0.528, 0.61, 0.956, 0.735],
    ),
    ("rand_augment", 2): (
        [52.9, 56.2, 51.8, 52.0, 50.5, 78.5], [0.7, 0.667, 0.6, 0.6, 0.9, 0.583],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("policy", "seed"), MEANS)
def test_a_seed_gives_the_pictures_it_always_gave(policy: str, seed: int) -> None:
    policies = {"trivial_augment", "rand_augment"}
    options = {name: value for name, value in OPTIONS.items() if name not in policies - {policy}}
    settings = made({**options, "mixup": 0.4, "cutmix": 1.0})
    draws = torch.Generator().manual_seed(seed)
    images = augment(pictures(6, 3), settings, draws)
    images, labels = mix(images, torch.arange(6), settings, draws, 6)
    means, shares = MEANS[policy, seed]
    # Rounding differs between processors, and posterizing makes a whole step of a last bit.
    assert images.mean(dim=(1, 2, 3)).tolist() == pytest.approx(means, abs=0.5)
    assert labels.amax(dim=1).tolist() == pytest.approx(shares, abs=0.001)
