"""`curves.png`: a run's loss and accuracy over its epochs.

Drawn with Pillow, which is always there; what more there is to see, `zoo report` shows.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from zoo.files import atomic_path
from zoo.training.engine import Epoch

_PANEL_PX = (520, 340)
_LEFT_PX, _TOP_PX, _RIGHT_PX, _BOTTOM_PX = 64, 56, 20, 50
_FINER = 2  # drawn so much larger and shrunk, for smooth lines
_FONT_PX, _TITLE_PX = 13, 16
_TICKS = 5
_TEXT, _FAINT, _GRID = (27, 31, 39), (95, 103, 117), (222, 226, 233)
_COLOURS = ((26, 102, 204), (194, 65, 12))


@dataclass(frozen=True)
class _Panel:
    title: str
    curves: tuple[tuple[str, Sequence[float | None]], ...]
    is_share: bool


def draw(epochs: Sequence[Epoch], best: int | None, path: Path) -> None:
    """Writes the picture atomically.

    Args:
        epochs: one or more.
        best: the epoch to mark.
        path: of the PNG.

    Raises:
        DiskError: the disk is full, or there is no permission.
    """
    numbers = [epoch.epoch for epoch in epochs]
    panels = (
        _Panel(
            "Loss",
            (
                ("training", [epoch.train_loss for epoch in epochs]),
                ("validation", [epoch.val_loss for epoch in epochs]),
            ),
            is_share=False,
        ),
        _Panel(
            "Accuracy",
            (
                ("training", [epoch.train_top1 for epoch in epochs]),
                ("validation", [epoch.val_top1 for epoch in epochs]),
            ),
            is_share=True,
        ),
    )
    width, height = _PANEL_PX
    sheet = Image.new("RGB", (width * len(panels), height), "white")
    for index, panel in enumerate(panels):
        sheet.paste(_drawn(panel, numbers, best), (width * index, 0))
    with atomic_path(path) as temporary:
        sheet.save(temporary, "PNG")


def _drawn(panel: _Panel, epochs: Sequence[int], best: int | None) -> Image.Image:
    width, height = (side * _FINER for side in _PANEL_PX)
    drawn = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(drawn)
    left, right = _LEFT_PX * _FINER, width - _RIGHT_PX * _FINER
    top, bottom = _TOP_PX * _FINER, height - _BOTTOM_PX * _FINER
    ticks = _ticks(
        [
            value
            for _, curve in panel.curves
            for value in curve
            if value is not None and math.isfinite(value)
        ]
    )
    low, high = ticks[0], ticks[-1]
    first, last = epochs[0], epochs[-1]
    if first == last:  # a single epoch lies in the middle
        first, last = first - 1, last + 1

    def across(epoch: float) -> float:
        return left + (epoch - first) / (last - first) * (right - left)

    def down(value: float) -> float:
        return bottom - (value / 2 - low / 2) / (high / 2 - low / 2) * (bottom - top)

    font = ImageFont.load_default(_FONT_PX * _FINER)
    pen.text((left, 10 * _FINER), panel.title, _TEXT, ImageFont.load_default(_TITLE_PX * _FINER))
    for tick in ticks:
        pen.line((left, down(tick), right, down(tick)), _GRID, _FINER)
        text = f"{100 * tick:g} %" if panel.is_share else f"{tick:.4g}"
        pen.text((left - 8 * _FINER, down(tick)), text, _FAINT, font, anchor="rm")
    for epoch in _whole_ticks(epochs):
        pen.text((across(epoch), bottom + 8 * _FINER), str(epoch), _FAINT, font, anchor="ma")
    pen.text(((left + right) / 2, bottom + 26 * _FINER), "epoch", _FAINT, font, anchor="ma")
    has_best = best is not None and epochs[0] <= best <= epochs[-1]
    if best is not None and has_best:
        for start in range(top, bottom, 8 * _FINER):
            pen.line((across(best), start, across(best), start + 4 * _FINER), _FAINT, _FINER)
    x, middle = left, 42 * _FINER
    for (name, curve), colour in zip(panel.curves, _COLOURS, strict=True):
        if any(_is_known(value) for value in curve):
            _draw_curve(pen, [(across(e), v) for e, v in zip(epochs, curve, strict=True)], down,
                        colour)  # fmt: skip
            pen.line((x, middle, x + 18 * _FINER, middle), colour, 3 * _FINER)
            pen.text((x + 24 * _FINER, middle), name, _TEXT, font, anchor="lm")
            x += 50 * _FINER + round(font.getlength(name))
    if has_best:
        for y in range(middle - 9 * _FINER, middle + 9 * _FINER, 8 * _FINER):
            pen.line((x + 4 * _FINER, y, x + 4 * _FINER, y + 4 * _FINER), _FAINT, _FINER)
        pen.text((x + 14 * _FINER, middle), "best epoch", _TEXT, font, anchor="lm")
    return drawn.resize(_PANEL_PX, Image.Resampling.LANCZOS)


def _draw_curve(
    pen: ImageDraw.ImageDraw,
    points: Sequence[tuple[float, float | None]],
    down: Callable[[float], float],
    colour: tuple[int, int, int],
) -> None:
    """A line through the values that there are, broken where one is missing."""
    run: list[tuple[float, float]] = []
    radius = 2 * _FINER
    for x, value in [*points, (0.0, None)]:
        if value is not None and math.isfinite(value):
            run.append((x, down(value)))
            continue
        if len(run) == 1:  # a line of one point would not be seen
            (x, y), run = run[0], []
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), colour)
        elif run:
            pen.line(run, colour, 2 * _FINER, joint="curve")
            run = []


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _ticks(values: Sequence[float]) -> list[float]:
    """About five round numbers that hold all values between them."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    span = high - low if high > low else abs(high) or 1.0
    if not math.isfinite(span):
        return [low, high]
    step = 10.0 ** math.floor(math.log10(span / _TICKS))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= _TICKS)
    start, stop = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    return [step * number for number in range(start, stop + 1)]


def _whole_ticks(epochs: Sequence[int]) -> list[int]:
    step = max(1, math.ceil((epochs[-1] - epochs[0] + 1) / 8))
    return [epoch for epoch in range(epochs[0], epochs[-1] + 1) if (epoch - epochs[0]) % step == 0]
