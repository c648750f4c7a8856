"""Sheets of labelled pictures: filters, feature maps, and a grid of numbers in gray."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from zoo.data.letters import drawn
from zoo.explain.grid import Grid
from zoo.explain.maps import Filters, Stage
from zoo.wording import shortened

_MARGIN_PX = 24
_GAP_PX = 8
_TITLE_PX = 22
_TITLE_LETTERS = 80  # a longer title would make the sheet wide
_LABEL_PX = 14
_NUMBER_PX = 12
_TEXT, _FAINT = (24, 28, 36), (110, 116, 128)

_FRAME = (200, 204, 212)
_FILTER_PX, _MANY_FILTERS_PX = 80, 56
_MAP_PX = 112
_CAM_PX = 288
_HEAT_SHARES = (0.0, 0.35, 0.65, 1.0)
_HEAT = ((40, 50, 160), (40, 180, 190), (250, 210, 60), (220, 40, 40))  # RGB at these shares
_HEAT_OPACITY = 0.5
_GRID_PX = 1024  # nothing that is worked on is larger

MAX_FILTERS = 256
"""Filters on one sheet."""
MAPS_A_ROW = 16


@dataclass(frozen=True)
class _Row:
    """Cells side by side below a line of text."""

    label: str
    cells: Sequence[Image.Image]
    numbers: Sequence[str] = ()
    """Below each cell; none where there are none."""


def draw_filters(found: Filters, model: str, note: str = "") -> Image.Image:
    """A sheet of a convolution's filters, each on its own scale.

    Args:
        found: the filters; those of three channels are drawn in colour, others in gray.
        model: what to call the network.
        note: said below the title.
    """
    weights = found.weights.float()  # (filters, channels, height, width)
    count, channels, height, width = weights.shape
    if channels == 3:
        grids, seen = weights.permute(0, 2, 3, 1), "in colour: red, green and blue are the channels"
    elif channels == 1:
        grids, seen = weights[:, 0], "in gray"
    else:
        grids, seen = weights.mean(dim=1), f"in gray, the mean of {channels} channels"
    columns, side = (8, _FILTER_PX) if count <= 64 else (16, _MANY_FILTERS_PX)
    cells = [cell(grid.double().numpy(), side) for grid in grids[:MAX_FILTERS]]
    rows = [
        _Row(
            "",
            cells[start : start + columns],
            [str(start + index + 1) for index in range(len(cells[start : start + columns]))],
        )
        for start in range(0, len(cells), columns)
    ]
    shown = f"{count} filters" if len(cells) == count else f"{len(cells)} of {count} filters"
    scale = "Each on its own scale, from its smallest weight (dark) to its largest (bright)"
    lines = [f"{scale}, {seen}.", *([f"{note[0].upper()}{note[1:]}."] if note else [])]
    return _sheet(f"{model}, {found.layer}: {shown} of {height}x{width}", lines, rows)


def draw_maps(picture: Tensor, stages: Sequence[Stage], model: str, note: str = "") -> Image.Image:
    """A sheet of feature maps, a row for each resolution, each map on its own scale.

    Args:
        picture: as the network sees it, (C, H, W), uint8.
        stages: in the order they run.
        model: what to call the network.
        note: said below the title.
    """
    channels, height, width = picture.shape
    seen = as_picture(picture)
    rows = [_Row(f"the picture, {channels}x{height}x{width}", [sized(seen, _MAP_PX)])]
    for stage in stages:
        maps, height, width = stage.shape
        shown = len(stage.maps)
        count = f"{maps} maps" if shown == maps else f"{shown} of {maps} maps"
        cells = [cell(values.double().numpy(), _MAP_PX) for values in stage.maps]
        label = f"{stage.layer}: {count} of {height}x{width}"
        rows.append(_Row(label, cells))
    lines = [
        "Each map on its own scale, from its smallest value (black) to its largest (white).",
        *([f"{note[0].upper()}{note[1:]}."] if note else []),
    ]
    return _sheet(f"{model}: the last layer of each resolution", lines, rows)


def draw_cam(picture: Tensor, shares: Tensor, title: str, lines: Sequence[str]) -> Image.Image:
    """A sheet of a picture, beside it which places of it speak for a class.

    Args:
        picture: as the network sees it, (C, H, W), uint8.
        shares: (H, W), in [0, 1].
        title: above them.
        lines: below the title.
    """
    both = (as_picture(picture), heated(picture, shares))
    cells = [sized(one, _CAM_PX) for one in both]
    return _sheet(title, lines, [_Row("", cells, ("the picture", "what speaks for it"))])


def as_picture(pixels: Tensor) -> Image.Image:
    """Pixels as the network sees them, (C, H, W), uint8: gray, or the first three channels."""
    colours = pixels[:3] if len(pixels) >= 3 else pixels[:1].expand(3, -1, -1)
    return Image.fromarray(colours.permute(1, 2, 0).contiguous().numpy())


def heated(picture: Tensor, shares: Tensor) -> Image.Image:
    """A picture in gray, under colours from blue, nothing, over green to red, the most.

    Args:
        picture: (C, H, W), uint8.
        shares: (H, W), in [0, 1].
    """
    gray = np.asarray(as_picture(picture).convert("L"), dtype=np.float64)[..., None]
    hot = shares.double().numpy()
    stops = [[np.interp(hot, _HEAT_SHARES, channel)] for channel in zip(*_HEAT, strict=True)]
    colours = np.concatenate(stops).transpose(1, 2, 0)  # (H, W, 3)
    blended = gray * (1 - _HEAT_OPACITY) + colours * _HEAT_OPACITY
    return Image.fromarray(np.rint(blended).astype(np.uint8))


def draw_grid(values: Grid) -> Image.Image:
    """A feature map in gray on its own scale, enlarged where it is small.

    Its sides are at most those of a picture that is worked on, so nothing is lost.
    """
    return cell(values, _GRID_PX)


def _sheet(title: str, lines: Sequence[str], rows: Sequence[_Row]) -> Image.Image:
    """A white sheet with a title and rows of cells."""
    title = shortened(drawn(title), _TITLE_LETTERS)
    line = _LABEL_PX + _GAP_PX
    heading = _MARGIN_PX + _TITLE_PX + _GAP_PX + len(lines) * line + _GAP_PX
    width = max(
        *(_row_width(row) for row in rows),
        _length(title, _TITLE_PX),
        *(_length(text, _LABEL_PX) for text in (*lines, *(row.label for row in rows))),
    )
    height = heading + sum(_row_height(row) for row in rows) + _MARGIN_PX - _GAP_PX
    sheet = Image.new("RGB", (width + 2 * _MARGIN_PX, height), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN_PX, _MARGIN_PX), title, _TEXT, ImageFont.load_default(_TITLE_PX))
    top = _MARGIN_PX + _TITLE_PX + _GAP_PX
    for text in lines:
        pen.text((_MARGIN_PX, top), text, _FAINT, ImageFont.load_default(_LABEL_PX))
        top += line
    top += _GAP_PX
    for row in rows:
        _draw_row(sheet, pen, row, top)
        top += _row_height(row)
    return sheet


def cell(values: Grid, side_px: int) -> Image.Image:
    """A map or filter on its own scale: from its smallest value, black, to its largest, white.

    Args:
        values: (rows, columns), or (rows, columns, 3) for colours.
        side_px: of the longer side, about.
    """
    finite = np.nan_to_num(values)
    low, high = finite.min() / 2, finite.max() / 2  # halves: a whole span may overflow
    shares = (finite / 2 - low) / (high - low) if high > low else np.full_like(finite, 0.5)
    return sized(Image.fromarray(np.rint(shares * 255).astype(np.uint8)), side_px)


def sized(picture: Image.Image, side_px: int) -> Image.Image:
    """A picture whose longer side has about so many pixels: whole multiples, or shrunk."""
    factor = side_px // max(picture.size)
    if factor < 1:
        picture.thumbnail((side_px, side_px), Image.Resampling.BOX)
        return picture
    size = picture.width * factor, picture.height * factor
    return picture.resize(size, Image.Resampling.NEAREST)


def _draw_row(sheet: Image.Image, pen: ImageDraw.ImageDraw, row: _Row, top: int) -> None:
    if row.label:
        pen.text((_MARGIN_PX, top), row.label, _TEXT, ImageFont.load_default(_LABEL_PX))
        top += _LABEL_PX + _GAP_PX
    left, font = _MARGIN_PX, ImageFont.load_default(_NUMBER_PX)
    for index, picture in enumerate(row.cells):
        sheet.paste(picture, (left, top))
        # So that white maps do not fade into the sheet.
        frame = (left - 1, top - 1, left + picture.width, top + picture.height)
        pen.rectangle(frame, outline=_FRAME)
        if row.numbers:
            middle = left + picture.width // 2
            below = top + picture.height + 2
            pen.text((middle, below), row.numbers[index], _FAINT, font, anchor="ma")
        left += picture.width + _GAP_PX


def _row_width(row: _Row) -> int:
    return sum(picture.width + _GAP_PX for picture in row.cells) - _GAP_PX


def _row_height(row: _Row) -> int:
    label = _LABEL_PX + _GAP_PX if row.label else 0
    numbers = _NUMBER_PX + 4 if row.numbers else 0
    gap = 2 * _GAP_PX if row.label else _GAP_PX
    return label + max(picture.height for picture in row.cells) + numbers + gap


def _length(text: str, size_px: int) -> int:
    return round(ImageFont.load_default(size_px).getlength(text))
