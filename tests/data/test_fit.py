"""Fitting pictures to a network's input."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.data.fit import fit, normalize
from zoo.schema import Preprocessing


def preprocessing(**changes: Any) -> Preprocessing:
    settings: dict[str, Any] = {
        "channels": 1, "size": (32, 32), "content": (28, 28), "mean": (0.5,), "std": (0.25,),
        "interpolation": "bilinear", "fit": "pad",
    }  # fmt: skip
    return Preprocessing(**{**settings, **changes})


def test_lenet5_gets_28_pixels_inside_32() -> None:
    fitted = fit(torch.full((2, 1, 8, 8), 200, dtype=torch.uint8), preprocessing())
    assert fitted.shape == (2, 1, 32, 32)
    assert fitted.dtype == torch.uint8
    assert (fitted[:, :, 2:30, 2:30] == 200).all()
    assert fitted.float().sum() == 2 * 28 * 28 * 200  # the rest is black


@pytest.mark.parametrize(
    ("how", "height", "width", "white"),
    [("resize", 20, 40, 20 * 20), ("pad", 20, 40, 10 * 20), ("crop", 20, 40, 20 * 20)],
)
def test_a_wide_picture(how: str, height: int, width: int, white: int) -> None:
    picture = torch.full((1, 1, height, width), 255, dtype=torch.uint8)
    fitted = fit(picture, preprocessing(fit=how, size=(20, 20), content=(20, 20)))
    assert fitted.shape == (1, 1, 20, 20)
    assert int((fitted == 255).sum()) == white


def test_crop_keeps_the_middle() -> None:
    picture = torch.zeros(1, 1, 4, 8, dtype=torch.uint8)
    picture[..., 2:6] = 9
    fitted = fit(picture, preprocessing(fit="crop", size=(4, 4), content=(4, 4)))
    assert (fitted == 9).all()


@pytest.mark.parametrize(
    ("interpolation", "resampling"), [("bilinear", 2), ("bicubic", 3), ("nearest", 0)]
)
# Other sides than these let nearest fall between two pixels, where either may be taken.
@pytest.mark.parametrize(("height", "width"), [(10, 7), (40, 50), (25, 61), (257, 199)])
def test_resizing_is_pillows(interpolation: str, resampling: int, height: int, width: int) -> None:
    torch.manual_seed(0)
    picture = torch.randint(0, 256, (1, 3, height, width), dtype=torch.uint8)
    wanted = preprocessing(
        channels=3, size=(24, 18), content=(24, 18), mean=(0, 0, 0), std=(1, 1, 1), fit="resize",
        interpolation=interpolation,
    )  # fmt: skip
    pillow = Image.fromarray(picture[0].permute(1, 2, 0).numpy()).resize((18, 24), resampling)
    expected = torch.from_numpy(np.array(pillow)).permute(2, 0, 1)
    difference = (fit(picture, wanted)[0].int() - expected.int()).abs()
    assert difference.max() <= 1
    assert (difference > 0).float().mean() < 0.01


def test_a_line_of_many_pixels_is_cut_before_it_grows() -> None:
    line = torch.zeros(1, 3, 1, 65_000, dtype=torch.uint8)
    crop = preprocessing(
        channels=3, size=(224, 224), content=(224, 224), mean=(0, 0, 0), std=(1, 1, 1), fit="crop"
    )
    assert fit(line, crop).shape == (1, 3, 224, 224)  # resized whole it would take 10 GB


def test_shrinking_is_antialiased() -> None:
    stripes = torch.zeros(1, 1, 64, 64, dtype=torch.uint8)
    stripes[..., ::2] = 255
    fitted = fit(stripes, preprocessing(fit="resize", size=(16, 16), content=(16, 16)))
    inner = fitted[..., 2:-2, 2:-2].float()
    assert inner.min() > 110
    assert inner.max() < 145


def test_gray_becomes_rgb_and_back() -> None:
    gray = torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8)
    plain = preprocessing(size=(8, 8), content=(8, 8), fit="resize")
    rgb = fit(gray, plain.model_copy(update={"channels": 3}))
    assert rgb.shape == (2, 3, 8, 8)
    assert torch.equal(fit(rgb, plain), gray)
    red = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    red[:, 0] = 255
    assert fit(red, plain).unique().tolist() == [76]  # 0.299 · 255, as PIL's mode L


@pytest.mark.parametrize("channels", [2, 3, 5, 8])
def test_all_channels_of_a_gray_picture_are_alike(channels: int) -> None:
    gray = torch.randint(0, 256, (1, 1, 500, 3), dtype=torch.uint8)
    thin = preprocessing(size=(32, 28), content=(32, 28), fit="pad")
    alone = fit(gray, thin)
    wide = {"channels": channels, "mean": (0.0,) * channels, "std": (1.0,) * channels}
    assert torch.equal(fit(gray, thin.model_copy(update=wide)), alone.expand(-1, channels, -1, -1))


def test_normalize() -> None:
    pictures = torch.tensor([0.0, 127.5, 255.0]).reshape(1, 1, 1, 3)
    expected = torch.tensor([-2.0, 0.0, 2.0]).reshape(1, 1, 1, 3)
    torch.testing.assert_close(normalize(pictures, preprocessing()), expected)
    rgb = preprocessing(channels=3, mean=(0.1, 0.2, 0.3), std=(1, 2, 4))
    found = normalize(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8), rgb).flatten()
    torch.testing.assert_close(found, torch.tensor([0.9, 0.4, 0.175]))
