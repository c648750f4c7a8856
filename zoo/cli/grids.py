"""Grids of numbers as text, side by side."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from zoo.cli.output import terminal_width

if TYPE_CHECKING:
    from zoo.explain.grid import Grid

_SHADES = " .:-=+*#%@"
_PIPED_WIDTH = 80
_MAX_ROWS = 32
_SHADED_ROWS = 24
_GAP = "   "


def plain(grid: "Grid") -> list[list[float]]:
    """Nested lists; whole numbers as integers."""
    return [[int(x) if x.is_integer() else x for x in row] for row in grid.tolist()]


def number(value: float) -> str:
    """`4`, `-0.25`, `1.234e+10`: four digits where it is not whole."""
    if value == round(value) and abs(value) < 1e15:
        return f"{value:.0f}"
    return f"{value:g}" if abs(value) < 1e6 and value == round(value, 4) else f"{value:.4g}"


def lines_of(grid: "Grid") -> list[str]:
    """Aligned rows of numbers."""
    texts = [[number(value) for value in row] for row in grid.tolist()]
    width = max(len(text) for row in texts for text in row)
    return [" ".join(text.rjust(width) for text in row) for row in texts]


def image_block(title: str, grid: "Grid") -> list[str]:
    """A title and the numbers, or shades of the values where the numbers have no room."""
    head = f"{title} {grid.shape[0]}×{grid.shape[1]}"
    width = terminal_width() or _PIPED_WIDTH
    # A number takes two columns at least, so wide grids need not be written to be measured.
    if grid.shape[0] <= _MAX_ROWS and grid.shape[1] * 2 <= width:
        lines = lines_of(grid)
        if len(lines[0]) <= width:
            return [head, *lines]
    return [head, *_shaded(grid, width)]


def beside(blocks: Sequence[Sequence[str]]) -> list[str]:
    """Blocks of lines side by side; below one another where the terminal is too narrow."""
    widths = [max(map(len, block)) for block in blocks]
    if sum(widths) + len(_GAP) * (len(blocks) - 1) > (terminal_width() or _PIPED_WIDTH):
        below = [[line for line in block if line] for block in blocks]
        return [line for block in below for line in (*block, "")][:-1]
    height = max(map(len, blocks))
    rows = zip(*([*block, *[""] * (height - len(block))] for block in blocks), strict=True)
    return [
        _GAP.join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _shaded(grid: "Grid", width: int) -> list[str]:
    """What the letters mean, and a letter for each block of pixels."""
    import numpy as np

    values = grid
    is_signed = bool(grid.min() < 0)
    if is_signed:  # what a filter answers strongly, with either sign
        values = np.abs(grid)
    rows, columns = grid.shape
    # A letter is about twice as high as it is wide.
    down = max(1, min(_SHADED_ROWS, rows, round(width / 2 * rows / columns)))
    across = max(1, min(width, columns * 2, round(down * 2 * columns / rows)))
    row_edges = np.linspace(0, rows, down + 1).astype(int)
    column_edges = np.linspace(0, columns, across + 1).astype(int)
    reduce = np.max if is_signed else np.mean  # the mean of an edge and its surroundings is flat
    blocks = np.array([
        [
            reduce(values[top:bottom, left : max(right, left + 1)])
            for left, right in pairwise(column_edges)
        ]
        for top, bottom in pairwise(row_edges)
    ])  # fmt: skip
    low, high = float(values.min()), float(values.max())
    # Halves, since a whole span may overflow.
    shares = (blocks / 2 - low / 2) / (high / 2 - low / 2) if high > low else np.zeros_like(blocks)
    levels = np.rint(shares * (len(_SHADES) - 1)).astype(int)
    sign = ", either sign" if is_signed else ""
    legend = f"{number(low)} blank to {number(high)} {_SHADES[-1]}{sign}"
    return [legend, *("".join(_SHADES[level] for level in row).rstrip() for row in levels)]
