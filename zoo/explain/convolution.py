"""A convolution and a pooling by hand: the output, and each window with its sum.

As in every CNN library, the kernel is not flipped: what is called convolution is cross-correlation.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from zoo.errors import UsageError
from zoo.explain.grid import Grid

Kind = Literal["max", "average", "sum"]

_REDUCE: dict[str, Callable[..., Grid]] = {"max": np.max, "average": np.mean, "sum": np.sum}


@dataclass(frozen=True)
class Step:
    """One position of the window."""

    row: int
    column: int
    """Of the output, from 0."""
    window: Grid
    products: Grid | None
    """Window times kernel, number by number; None for a pooling."""
    value: float
    """Their sum, or what the pooling makes of the window."""


@dataclass(frozen=True)
class Worked:
    """A worked example."""

    image: Grid
    """Padding included."""
    kernel: Grid | None
    size: tuple[int, int]
    """Of the window."""
    stride: int
    padding: tuple[int, int, int, int]
    """Zeros added above, below, left and right."""
    output: Grid
    kind: Kind | None = None
    """None for a convolution."""

    @property
    def left_over(self) -> tuple[int, int]:
        """Rows at the bottom and columns at the right that no window reaches."""
        height, width = (
            (side - window) % self.stride
            for side, window in zip(self.image.shape, self.size, strict=True)
        )
        # A stride longer than the window leaves gaps elsewhere too; these are the last ones.
        return height, width

    def steps(self) -> Iterator[Step]:
        """Every position, row by row."""
        for (row, column), value in np.ndenumerate(self.output):
            top, left = row * self.stride, column * self.stride
            window = self.image[top : top + self.size[0], left : left + self.size[1]]
            products = None if self.kernel is None else window * self.kernel
            yield Step(row, column, window, products, float(value))


def convolve(image: Grid, kernel: Grid, *, stride: int = 1, padding: str | int = "valid") -> Worked:
    """Slides a kernel over an image: at each position the sum of the products.

    Args:
        image: (rows, columns)
        kernel: (rows, columns), as it is laid on the image.
        stride: pixels from one position to the next.
        padding: zeros on each side; `valid` is none, and `same` as many as give
            ceil(side / stride) outputs, an odd one at the bottom and right (as Keras has it).

    Raises:
        UsageError: the kernel is larger than the padded image, the padding larger than the kernel,
            or a sum too large for a floating-point number.
    """
    above, below = _padding(image.shape[0], kernel.shape[0], stride, padding)
    left, right = _padding(image.shape[1], kernel.shape[1], stride, padding)
    padded = np.pad(image, ((above, below), (left, right)))
    _check_fits(padded, kernel.shape, image, "kernel")
    # A fixed order of additions, so that every machine gives the same digits.
    output = np.zeros_like(_shifted(padded, (0, 0), kernel.shape, stride))
    with np.errstate(over="ignore", invalid="ignore"):  # said below
        for (row, column), weight in np.ndenumerate(kernel):
            output += _shifted(padded, (row, column), kernel.shape, stride) * weight
    _check_finite(output)
    return Worked(padded, kernel, _pair(kernel), stride, (above, below, left, right), output)


def pool(image: Grid, size: int, kind: Kind, *, stride: int | None = None) -> Worked:
    """Slides a window over an image: at each position the maximum, mean or sum of its values.

    Args:
        image: (rows, columns)
        size: side of the window.
        kind: what becomes of a window.
        stride: pixels from one window to the next; left out, as many as the window is wide.

    Raises:
        UsageError: the window is larger than the image, or a sum too large.
    """
    stride = stride or size
    _check_fits(image, (size, size), image, "window")
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size))
    with np.errstate(over="ignore", invalid="ignore"):  # said below
        output = _REDUCE[kind](windows[::stride, ::stride], axis=(2, 3))
    _check_finite(output)
    return Worked(image, None, (size, size), stride, (0, 0, 0, 0), output, kind)


def _padding(side: int, kernel: int, stride: int, padding: str | int) -> tuple[int, int]:
    """Zeros before and after."""
    if padding == "valid":
        return 0, 0
    if padding == "same":
        total = max(0, (-(-side // stride) - 1) * stride + kernel - side)
        return total // 2, total - total // 2
    assert isinstance(padding, int)
    if padding >= kernel:
        raise UsageError(
            f"--padding {padding} is too much for a kernel of side {kernel}: it would meet nothing "
            "but zeros.",
            hint=f"At most {kernel - 1}; or same, or valid.",
        )
    return padding, padding


def _shifted(image: Grid, start: tuple[int, ...], kernel: tuple[int, ...], stride: int) -> Grid:
    """The pixel of each window that one weight meets."""
    rows, columns = (
        slice(first, side - size + first + 1, stride)
        for first, side, size in zip(start, image.shape, kernel, strict=True)
    )
    return image[rows, columns]


def _check_fits(padded: Grid, window: tuple[int, ...], image: Grid, what: str) -> None:
    if all(size <= side for size, side in zip(window, padded.shape, strict=True)):
        return
    place = f"an image of {_sides(image.shape)}"
    if padded.shape != image.shape:
        place += f" padded to {_sides(padded.shape)}"
    raise UsageError(f"A {what} of {_sides(window)} does not fit into {place}.")


def _check_finite(output: Grid) -> None:
    if not np.isfinite(output).all():
        raise UsageError("A sum is too large for a floating-point number (about 1.8e308).")


def _pair(grid: Grid) -> tuple[int, int]:
    return grid.shape[0], grid.shape[1]


def _sides(sides: tuple[int, ...]) -> str:
    return "×".join(str(side) for side in sides)
