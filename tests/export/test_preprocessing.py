"""Fitting inside a graph gives the pixels of `zoo.data.fit`, bit for bit."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

from zoo.data.fit import fit, normalize
from zoo.export.graph import silence
from zoo.export.preprocessing import Fit, Normalize
from zoo.schema import Preprocessing

SIDES = ((1, 1), (3, 100), (100, 3), (28, 28), (8, 8), (65, 37), (17, 1))
LARGE = ((3, 500), (500, 3), (225, 224), (224, 224), (301, 37), (1, 65), (480, 640))
TARGETS = (
    ((32, 32), (28, 28)),  # black around it
    ((24, 18), (24, 18)),
    ((32, 32), (37, 37)),  # what stands over is cut
    ((33, 20), (40, 21)),
)
LARGE_TARGETS = (((224, 224), (224, 224)), ((224, 224), (256, 256)), ((299, 299), (299, 299)))
KINDS = ("nearest", "bilinear", "bicubic")
FITS = ("resize", "pad", "crop")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Products this small only wait for other threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def prepared(
    size: tuple[int, int], content: tuple[int, int], channels: int, **others: Any
) -> Preprocessing:
    return Preprocessing(
        channels=channels, size=size, content=content, mean=(0.3,) * channels,
        std=(0.5,) * channels, **others,
    )  # fmt: skip


def pictures(height: int, width: int, channels: int, count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(height + width)
    shape = (count, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def nhwc(images: Tensor) -> Tensor:
    return images.permute(0, 2, 3, 1).contiguous()


def in_runtimes(module: nn.Module, channels: int) -> dict[str, Callable[[Tensor], Tensor]]:
    """The module as onnxruntime and torch.export run it."""
    axes = {0: Dim("batch", min=1), 1: Dim("height", min=1), 2: Dim("width", min=1)}
    with silence():
        example = torch.zeros(2, 37, 41, channels, dtype=torch.uint8)
        program = torch.export.export(module, (example,), dynamic_shapes=(axes,), strict=False)
        converted = torch.onnx.export(program, dynamo=True, verbose=False, input_names=["x"])
        assert converted is not None
    session = onnxruntime.InferenceSession(converted.model_proto.SerializeToString())
    return {
        "pt2": program.module(),
        "onnx": lambda images: torch.from_numpy(session.run(None, {"x": images.numpy()})[0]),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", FITS)
def test_the_pixels_are_those_of_fit(how: Any, kind: Any) -> None:
    for number, (size, content) in enumerate(TARGETS):
        channels = 3 if number % 2 else 1
        preprocessing = prepared(size, content, channels, fit=how, interpolation=kind)
        module = Fit(preprocessing)
        for height, width in SIDES:
            images = pictures(height, width, channels)
            expected = fit(images, preprocessing).float()
            assert torch.equal(module(nhwc(images)), expected), (size, content, height, width)


EVERY_WAY = itertools.product(FITS, KINDS, (*TARGETS, *LARGE_TARGETS), (1, 3))


@pytest.mark.parametrize(
    ("how", "kind", "target", "channels", "sides"),
    [
        ("crop", "bicubic", TARGETS[0], 1, SIDES),
        *(pytest.param(*way, (*SIDES, *LARGE), marks=pytest.mark.slow) for way in EVERY_WAY),
    ],
)
def test_so_are_those_of_the_exported_graph(
    how: Any, kind: Any, target: Any, channels: int, sides: Any
) -> None:
    preprocessing = prepared(*target, channels, fit=how, interpolation=kind)
    for name, run in in_runtimes(Fit(preprocessing), channels).items():
        for height, width in sides:
            for count in (1, 3):
                images = pictures(height, width, channels, count)
                expected = fit(images, preprocessing).float()
                assert torch.equal(run(nhwc(images)), expected), (name, height, width, count)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("std", [False, True])
def test_normalizing_is_that_of_normalize(center: bool, std: bool) -> None:
    preprocessing = prepared(
        (8, 6), (8, 6), 3, fit="resize", interpolation="bilinear", rescale=1 / 127,
        samplewise_center=center, samplewise_std_normalization=std,
    ).model_copy(update={"mean": (0.1, 0.2, 0.3), "std": (1.0, 0.5, 2.0)})  # fmt: skip
    images = pictures(8, 6, 3)
    found = Normalize(preprocessing)(images.float())
    torch.testing.assert_close(found, normalize(images, preprocessing), rtol=0, atol=1e-6)


def test_a_blank_picture_is_blank_in_every_runtime() -> None:
    """The rounding of its mean, over a deviation of nearly nothing, must not become a picture."""
    preprocessing = prepared(
        (20, 28), (20, 28), 1, fit="crop", interpolation="bicubic", rescale=1 / 255,
        samplewise_center=True, samplewise_std_normalization=True,
    )  # fmt: skip
    grays = torch.arange(256, dtype=torch.uint8)[:, None, None, None]
    images = grays.expand(-1, 1, 48, 64).contiguous()
    expected = torch.full((256, 1, 20, 28), -0.3 / 0.5)
    torch.testing.assert_close(normalize(fit(images, preprocessing), preprocessing), expected)
    whole = nn.Sequential(Fit(preprocessing), Normalize(preprocessing))
    for run in in_runtimes(whole, 1).values():
        torch.testing.assert_close(run(nhwc(images)), expected)
