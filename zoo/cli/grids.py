"""Grids of numbers as text, side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zoo.cli.output import terminal_width

if TYPE_CHECKING:
    from zoo.explain.grid import Grid

_SHADES = " .:-=+*#%@"
_PIPED_WIDTH = 80
_MAX_ROWS = 40
_GAP = "   "


def plain(grid: "Grid") -> list[list[float]]:
    """Nested lists; whole numbers as integers."""
    return [[int(x) if x.is_integer() else x for x in row] for row in grid.tolist()]


def number(value: float) -> str:
    """`4`, `-0.25`, `1.234e+10`: four digits where it is not whole."""
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
    lines = _shaded(grid, width)
    low, high = number(float(grid.min())), number(float(grid.max()))
    return [f"{head}, shaded from {low} (blank) to {high} (@)", *lines]


def beside(blocks: Sequence[Sequence[str]]) -> list[str]:
    """Blocks of lines side by side; below one another where the terminal is too narrow."""
    widths = [max(map(len, block)) for block in blocks]
    if sum(widths) + len(_GAP) * (len(blocks) - 1) > (terminal_width() or _PIPED_WIDTH):
        return [line for block in blocks for line in ([*block, ""] if len(block) > 1 else block)]
    height = max(map(len, blocks))
    rows = zip(*([*block, *[""] * (height - len(block))] for block in blocks), strict=True)
    return [
        _GAP.join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _shaded(grid: "Grid", width: int) -> list[str]:
    """A letter for each block of pixels, darker where its mean is larger."""
    import numpy as np

    rows, columns = grid.shape
    across = min(width, columns * 2)
    # A letter is about twice as high as it is wide.
    down = max(1, min(rows, _MAX_ROWS, round(across / 2 * rows / columns)))
    across = min(across, max(1, round(down * 2 * columns / rows)))
    row_edges = np.linspace(0, rows, down + 1).astype(int)
    column_edges = np.linspace(0, columns, across + 1).astype(int)
    values = np.array([
        [
            grid[top : max(bottom, top + 1), left : max(right, left + 1)].mean()
            for left, right in zip(column_edges[:-1], column_edges[1:], strict=True)
        ]
        for top, bottom in zip(row_edges[:-1], row_edges[1:], strict=True)
    ])  # fmt: skip
    low, high = grid.min() / 2, grid.max() / 2
    shares: Any = (values / 2 - low) / (high - low) if high > low else np.zeros_like(values)
    levels = np.rint(shares * (len(_SHADES) - 1)).astype(int)
    return ["".join(_SHADES[level] for level in row).rstrip() for row in levels]
