"""The worked convolution and pooling against torch's, and what is refused."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import UsageError
from zoo.explain.convolution import convolve, pool
from zoo.explain.grid import parse

SLIDE = parse("1 1 1 0 0; 0 1 1 1 0; 0 0 1 1 1; 0 0 1 1 0; 0 1 1 0 0", "--image")
KERNEL = parse("1 0 1; 0 1 0; 1 0 1", "--kernel")


def test_the_slides_example() -> None:
    worked = convolve(SLIDE, KERNEL)
    assert worked.output.tolist() == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]
    first = next(worked.steps())
    assert first.window.tolist() == [[1, 1, 1], [0, 1, 1], [0, 0, 1]]
    assert first.products is not None
    assert first.products.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
    assert first.value == 4


@settings(deadline=None)  # the first call into torch takes long
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 4),
    padding=st.integers(0, 3),
)
def test_any_convolution_is_torchs(
    height: int, width: int, kernel: tuple[int, int], stride: int, padding: int
) -> None:
    draws = np.random.default_rng(height * width)
    image, weights = draws.normal(size=(height, width)), draws.normal(size=kernel)
    tensors = torch.from_numpy(image)[None, None], torch.from_numpy(weights)[None, None]
    fits = height + 2 * padding >= kernel[0] and width + 2 * padding >= kernel[1]
    if not fits or padding >= min(kernel):
        with pytest.raises(UsageError):
            convolve(image, weights, stride=stride, padding=padding)
        return
    worked = convolve(image, weights, stride=stride, padding=padding)
    expected = F.conv2d(*tensors, stride=stride, padding=padding)[0, 0].numpy()
    np.testing.assert_allclose(worked.output, expected, atol=1e-12)
    for step in worked.steps():
        assert step.products is not None
        assert step.products.sum() == pytest.approx(step.value)
        assert worked.output[step.row, step.column] == step.value


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_same_padding_is_torchs_and_with_a_stride_kerass(size: int) -> None:
    kernel = np.arange(size * size, dtype=float).reshape(size, size)
    tensors = torch.from_numpy(SLIDE)[None, None], torch.from_numpy(kernel)[None, None]
    expected = F.conv2d(*tensors, padding="same")[0, 0]
    assert convolve(SLIDE, kernel, padding="same").output.tolist() == expected.tolist()
    # Keras's rule: ceil(side / stride) outputs.
    assert convolve(SLIDE, kernel, stride=2, padding="same").output.shape == (3, 3)


@pytest.mark.parametrize(("size", "stride"), [(2, None), (2, 1), (3, 2), (5, 3), (1, 4)])
def test_any_pooling_is_torchs(size: int, stride: int | None) -> None:
    image = np.random.default_rng(0).normal(size=(7, 5))
    tensor = torch.from_numpy(image)[None]
    step = stride or size
    most = pool(image, size, "max", stride=stride)
    mean = pool(image, size, "average", stride=stride)
    assert most.output.tolist() == F.max_pool2d(tensor, size, step)[0].tolist()
    np.testing.assert_allclose(mean.output, F.avg_pool2d(tensor, size, step)[0].numpy())
    total = pool(image, size, "sum", stride=stride).output
    np.testing.assert_allclose(total, mean.output * size**2)
    for one in most.steps():
        assert one.products is None
        assert one.window.max() == one.value
    rows, columns = most.left_over
    assert (7 - rows - size) % step == 0
    assert (5 - columns - size) % step == 0


def test_what_does_not_fit_is_said_with_both_sizes() -> None:
    with pytest.raises(UsageError, match="kernel of 3×3 does not fit into an image of 2×2"):
        convolve(np.ones((2, 2)), KERNEL)
    with pytest.raises(UsageError, match=r"kernel of 5×1 .* an image of 2×2"):
        convolve(np.ones((2, 2)), np.ones((5, 1)))
    with pytest.raises(UsageError, match="padded to 4×4"):
        convolve(np.ones((2, 2)), np.ones((5, 5)), padding=1)
    with pytest.raises(UsageError, match="window of 6×6 does not fit into an image of 5×5"):
        pool(SLIDE, 6, "max")


def test_sums_beyond_floating_point_are_refused() -> None:
    with pytest.raises(UsageError, match="too large for a floating-point number"):
        convolve(np.full((2, 2), 1e308), np.full((2, 2), 1.0))
    with pytest.raises(UsageError, match="too large for a floating-point number"):
        pool(np.full((2, 2), 1e308), 2, "sum")
