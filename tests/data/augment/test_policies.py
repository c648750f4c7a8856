"""TrivialAugment and RandAugment: torchvision's operations, a strength per picture."""

import math
from collections.abc import Callable

import pytest
import torch
import torchvision.transforms.v2.functional as tv
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import RandAugment as TheirRandAugment
from torchvision.transforms.v2 import TrivialAugmentWide

from zoo.data.augment import augment, policies
from zoo.data.augment.policies import Strengths, apply, operations
from zoo.schema import Augment, RandAugment

STRENGTHS = Strengths(0.99, (32, 21), 135, 0.99, bits=6)
LEVELS = torch.tensor([-1.0, -0.4, 0.0, 0.2, 0.7])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(channels: int) -> Tensor:
    shape = (len(LEVELS), channels, 41, 37)
    return torch.randint(0, 256, shape, generator=generator()).float()


def place(image: Tensor, angle: float = 0.0, **values: list[float]) -> Tensor:
    moves = {"translate": [0, 0], "shear": [0.0, 0.0], "center": None, **values}
    return tv.affine(image, angle, scale=1.0, interpolation=InterpolationMode.BILINEAR, **moves)


def degrees(slope: float) -> float:
    return math.degrees(math.atan(slope))


THEIRS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "identity": lambda x, _: x,
    "shear_x": lambda x, v: place(x, shear=[degrees(0.99 * v), 0.0], center=[0, 0]),
    "shear_y": lambda x, v: place(x, shear=[0.0, degrees(0.99 * v)], center=[0, 0]),
    "translate_x": lambda x, v: place(x, translate=[int(32 * v), 0]),
    "translate_y": lambda x, v: place(x, translate=[0, int(21 * v)]),
    "rotate": lambda x, v: tv.rotate(x, 135 * v, interpolation=InterpolationMode.BILINEAR),
    "brightness": lambda x, v: tv.adjust_brightness(x / 255, 1 + 0.99 * v) * 255,
    "color": lambda x, v: tv.adjust_saturation(x / 255, 1 + 0.99 * v) * 255,
    "contrast": lambda x, v: tv.adjust_contrast(x / 255, 1 + 0.99 * v) * 255,
    "sharpness": lambda x, v: tv.adjust_sharpness(x / 255, 1 + 0.99 * v) * 255,
    "posterize": lambda x, v: tv.posterize(x.byte(), round(8 - 6 * abs(v))).float(),
    "solarize": lambda x, v: tv.solarize(x.byte(), 255 * (1 - abs(v))).float(),
    "autocontrast": lambda x, _: tv.autocontrast(x / 255) * 255,
    "equalize": lambda x, _: tv.equalize(x.byte()).float(),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", operations(3))
def test_torchvisions_pictures(name: str, channels: int) -> None:
    if name not in operations(channels):
        assert (name, channels) == ("color", 1)
        return
    images = pictures(channels)
    found = apply(name, images, LEVELS, STRENGTHS)
    wanted = [THEIRS[name](x, float(v)) for x, v in zip(images, LEVELS, strict=True)]
    torch.testing.assert_close(found, torch.stack(wanted), atol=0.02, rtol=0)


@pytest.mark.parametrize("theirs", [TrivialAugmentWide(), TheirRandAugment()])
def test_the_list_is_torchvisions(theirs: TrivialAugmentWide | TheirRandAugment) -> None:
    names = {name.lower() for name in theirs._AUGMENTATION_SPACE}
    assert {name.replace("_", "") for name in operations(3)} == names


@pytest.mark.parametrize("policy", ["trivial", "rand"])
def test_full_strengths_are_torchvisions(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Strengths] = []

    def spy(name: str, images: Tensor, level: Tensor, strengths: Strengths) -> Tensor:
        seen.append(strengths)
        return images

    monkeypatch.setattr(policies, "apply", spy)
    images = torch.zeros(64, 3, 20, 30)
    if policy == "trivial":
        augment(images, Augment(trivial_augment=True), generator())
        space = TrivialAugmentWide()._AUGMENTATION_SPACE
    else:
        augment(images, Augment(rand_augment=RandAugment()), generator())
        space = TheirRandAugment()._AUGMENTATION_SPACE
    last = {name: values(31, 20, 30) for name, (values, _) in space.items()}
    (found,) = set(seen)
    assert found.shear == pytest.approx(float(last["ShearX"][-1]))
    assert found.shift_px[0] == pytest.approx(float(last["TranslateX"][-1]))
    assert found.shift_px[1] == pytest.approx(float(last["TranslateY"][-1]))
    assert found.rotation_degrees == pytest.approx(float(last["Rotate"][-1]))
    assert found.enhancement == pytest.approx(float(last["Color"][-1]))
    assert found.bits == 8 - int(last["Posterize"][-1])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "settings", [Augment(trivial_augment=True), Augment(rand_augment=RandAugment(magnitude=20))]
)
def test_pictures_meet_every_operation(
    settings: Augment, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: dict[str, list[Tensor]] = {}
    real = policies.apply

    def spy(name: str, images: Tensor, level: Tensor, strengths: Strengths) -> Tensor:
        met.setdefault(name, []).append(level)
        return real(name, images, level, strengths)

    monkeypatch.setattr(policies, "apply", spy)
    images = torch.randint(0, 256, (600, channels, 12, 10)).float()
    found = augment(images, settings, generator())
    assert set(met) == set(operations(channels))
    assert found.isfinite().all()
    assert found.min() >= 0
    assert found.max() <= 255.001  # a bilinear mean may round up
    levels = torch.cat([level for each in met.values() for level in each])
    assert (levels < 0).any()
    assert (levels > 0).any()
    if settings.trivial_augment:
        assert levels.shape == (600,)
        assert len((levels.abs() * 30).round().unique()) == 31
    else:
        assert levels.shape == (1200,)  # two operations for each
        torch.testing.assert_close(levels.abs(), torch.full((1200,), 20 / 30))


def test_a_zero_strength_leaves_whole_pictures_almost_alone() -> None:
    images = pictures(3)
    still = torch.zeros(len(images))
    for name in set(operations(3)) - {"autocontrast", "equalize", "solarize"}:
        found = apply(name, images, still, STRENGTHS)
        torch.testing.assert_close(found, images, atol=5e-3, rtol=0)
