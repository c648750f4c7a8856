"""How good against how fast, as a diagram."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.benchmark.row import Row
from zoo.plotting import new_figure, write_png
from zoo.wording import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import Locator

_PANEL_INCHES = (4.6, 4.2)
_LEGEND_INCHES = 2.6
_PANELS_A_ROW = 3
_SHAPES = "os^DvP*X<>hd"
_POINTS = 8
_WIDE = 8.0


@dataclass(frozen=True)
class _Measure:
    """What stands against latency."""

    label: str
    of: Callable[[Row], float | None]
    scale: str
    highest: float | None = None
    """Where its axis ends."""


_TOP1 = _Measure(
    "top-1 accuracy, %", lambda row: None if row.top1 is None else 100 * row.top1, "linear", 100.5
)
_MULT_ADDS = _Measure("multiply-adds for one picture", lambda row: row.mult_adds, "log")


def draw(rows: Sequence[Row], path: Path) -> None:
    """Writes a PNG: a panel for each size of batch, a point for each row.

    Further left is faster. Accuracy stands upwards, or multiply-adds where none was measured; a
    colour is a model, a shape a format in an arithmetic, a bar the interval of the median.

    Raises:
        DiskError: the disk is full, or there is no permission.
    """
    write_png(figure_of(rows), path)


def figure_of(rows: Sequence[Row]) -> "Figure":
    """The diagram; there is a row at least."""
    measure = _TOP1 if any(row.top1 is not None for row in rows) else _MULT_ADDS
    sizes = sorted({row.batch_size for row in rows})
    across = min(len(sizes), _PANELS_A_ROW)
    down = -(-len(sizes) // across)
    width, height = _PANEL_INCHES
    figure = new_figure(across * width + _LEGEND_INCHES, down * height)
    panels = list(figure.subplots(down, across, squeeze=False, sharey=True).flat)
    looks = _looks(rows)
    for axes, size in zip(panels, sizes, strict=False):
        _fill(axes, [row for row in rows if row.batch_size == size], measure, looks)
        axes.set_title(f"{plural(size, 'picture')} at a time")
    for axes in panels[len(sizes) :]:
        axes.set_visible(False)
    figure.supxlabel("latency, ms: median and its 95 % interval")
    figure.supylabel(measure.label)
    figure.legend(handles=[*_key(looks)], loc="outside right upper", frameon=False)
    return figure


@dataclass(frozen=True)
class _Looks:
    """The colour of each model and the shape of each kind of file."""

    colours: dict[str, str]
    shapes: dict[str, str]


def _looks(rows: Sequence[Row]) -> _Looks:
    names = dict.fromkeys(row.model for row in rows)
    kinds = dict.fromkeys(_kind(row) for row in rows)
    return _Looks(
        {name: f"C{index}" for index, name in enumerate(names)},
        {kind: _SHAPES[index % len(_SHAPES)] for index, kind in enumerate(kinds)},
    )


def _kind(row: Row) -> str:
    return f"{row.format}, {row.precision}"


def _fill(axes: "Axes", rows: Sequence[Row], measure: _Measure, looks: _Looks) -> None:
    from matplotlib.ticker import EngFormatter, NullLocator

    axes.set_xscale("log")
    axes.set_yscale(measure.scale)
    for row in rows:
        height = measure.of(row)
        if height is None:
            continue
        low, high = row.interval_ms
        axes.errorbar(
            row.latency_ms,
            height,
            xerr=[[row.latency_ms - low], [high - row.latency_ms]],
            color=looks.colours[row.model],
            marker=looks.shapes[_kind(row)],
            markersize=_POINTS,
            markeredgecolor="white",
            capsize=3,
        )
    axes.margins(0.15)
    if measure.highest is not None:
        axes.set_ylim(top=min(axes.get_ylim()[1], measure.highest))
    axes.xaxis.set_major_locator(_ticks(rows))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    if measure.scale == "log":
        axes.yaxis.set_major_formatter(EngFormatter())
    axes.grid(visible=True, alpha=0.3)


def _ticks(rows: Sequence[Row]) -> "Locator":
    """1, 2, 5, 10 and so on; evenly where the latencies are so near that few of these fit."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    ends = [end for row in rows for end in row.interval_ms]
    if max(ends) > _WIDE * min(ends):
        return LogLocator(subs=(1.0, 2.0, 5.0))
    return MaxNLocator(nbins=5)


def _key(looks: _Looks) -> "Iterator[Line2D]":
    """What colours and shapes mean."""
    from matplotlib.lines import Line2D

    for name, colour in looks.colours.items():
        yield Line2D([], [], color=colour, linewidth=5, label=_plain(name))
    for kind, shape in looks.shapes.items():
        yield Line2D(
            [], [], color="0.4", linestyle="", marker=shape, markersize=_POINTS, label=kind
        )


def _plain(name: str) -> str:
    """A name that matplotlib takes as it is: no formula, nothing unprintable, and not hidden."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in name)
    shown = shown.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown
