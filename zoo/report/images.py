"""Pictures inside the page: PNG as data URIs, with what they show in words."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image
from torch import Tensor

from zoo.explain.drawing import as_picture, cell

_SMALL_PX = 64
"""Pictures up to this size are shown enlarged, pixel by pixel."""
_GAP_PX = 4


@dataclass(frozen=True)
class Picture:
    """One picture of the page."""

    uri: str
    alt: str
    width: int
    height: int

    @property
    def is_small(self) -> bool:
        """Whether single pixels are worth seeing."""
        return max(self.width, self.height) <= _SMALL_PX


def embedded(drawn: Image.Image, alt: str) -> Picture:
    """A picture as it is."""
    file = io.BytesIO()
    drawn.save(file, "PNG", optimize=True)
    text = base64.b64encode(file.getvalue()).decode("ascii")
    return Picture(f"data:image/png;base64,{text}", alt, *drawn.size)


def shrunk(drawn: Image.Image, alt: str, side_px: int) -> Picture:
    """A picture whose longer side has at most so many pixels."""
    if max(drawn.size) > side_px:
        drawn = drawn.copy()
        drawn.thumbnail((side_px, side_px), Image.Resampling.BOX)
    return embedded(drawn, alt)


def pixels(image: Tensor, alt: str, side_px: int) -> Picture:
    """A picture as the network sees it, (C, H, W), uint8."""
    return shrunk(as_picture(image), alt, side_px)


def strip(grids: Sequence[Tensor], alt: str, *, side_px: int, columns: int) -> Picture:
    """Maps or filters, each on its own scale, in rows on nothing: any page shines through.

    Args:
        grids: (h, w) or (h, w, 3) each, all of one shape.
        alt: what they are.
        side_px: of one, about.
        columns: in a row, at most.
    """
    mode = "LA" if grids[0].ndim == 2 else "RGBA"
    cells = [cell(grid.double().numpy(), side_px).convert(mode) for grid in grids]
    width, height = cells[0].size
    across = min(columns, len(cells))
    down = -(-len(cells) // columns)
    size = across * (width + _GAP_PX) - _GAP_PX, down * (height + _GAP_PX) - _GAP_PX
    sheet = Image.new(mode, size)
    for index, drawn in enumerate(cells):
        row, column = divmod(index, columns)
        sheet.paste(drawn, (column * (width + _GAP_PX), row * (height + _GAP_PX)))
    return embedded(sheet, alt)
