"""Curves as SVG by matplotlib, in the page's own colours, with their values on hover.

matplotlib, for zoo draws with it already: altair would bring a megabyte of script into each page.
No text of the user's is drawn: matplotlib reads `$` in it as mathematics. Names stand in the page.
"""

import io
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.wording import compact

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_POINTS_PER_INCH = 72
_SIZE = (390, 245)
_FONT_PX = 12
_SHOWN_POINTS = 60
"""Of longer curves the points are seen on hover alone."""
_MAX_POINTS = 400
"""Of still longer ones only so many can be hovered."""
SERIES_COLOURS = 8

# Colours that matplotlib writes and the page replaces by its own, so that light and dark agree.
_INK, _LINE = "#010203", "#010204"
_SERIES = tuple(f"#0102{0x10 + index:02x}" for index in range(SERIES_COLOURS))
_VARIABLES = {
    _INK: "var(--muted)",
    _LINE: "var(--line)",
    **{colour: f"var(--series-{index + 1})" for index, colour in enumerate(_SERIES)},
}
_STYLE: dict[Any, Any] = {
    "font.size": _FONT_PX,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "grid.color": _LINE,
    "grid.linewidth": 0.8,
    "svg.fonttype": "none",
    "path.simplify": True,
}


@dataclass(frozen=True)
class Series:
    """One curve."""

    name: str
    """Of the legend, which stands in the page."""
    values: Sequence[float | None]
    texts: Sequence[str]
    """What hovering says of each value."""
    colour: int = 0
    """From 0; they come round again."""
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """A drawing and what stands around it."""

    title: str
    svg: str
    legend: tuple[Series, ...] = ()
    caption: str = ""


def curves(
    title: str,
    label: str,
    epochs: Sequence[Sequence[int]],
    series: Sequence[Series],
    *,
    marked: int | None = None,
    is_share: bool = False,
    caption: str = "",
) -> Chart | None:
    """Curves over the epochs; None where none has a value.

    Args:
        title: of the figure.
        label: what the drawing shows, for those who don't see it.
        epochs: of each curve's values.
        series: the curves.
        marked: the best epoch.
        is_share: whether values are shares in [0, 1].
        caption: below the drawing.
    """
    from matplotlib.ticker import FixedLocator, MaxNLocator

    known = [(where, one) for where, one in zip(epochs, series, strict=True) if _known(one.values)]
    if not known:
        return None
    figure, axes = _blank("epoch", is_share)
    points: list[_Point] = []
    for where, one in known:
        values = [math.nan if value is None else value for value in one.values]
        colour = _SERIES[one.colour % SERIES_COLOURS]
        style = "--" if one.dashed else "-"
        axes.plot(where, values, style, color=colour, linewidth=1.8, solid_joinstyle="round")
        every = max(1, -(-len(values) // _MAX_POINTS))
        points += [
            _Point(x, y, one.colour, text, x)
            for x, y, text in list(zip(where, values, one.texts, strict=True))[::every]
            if math.isfinite(y)
        ]
    if marked is not None:
        axes.axvline(marked, color=_INK, linewidth=1, linestyle=":")
    first, last = min(where[0] for where, _ in known), max(where[-1] for where, _ in known)
    margin = 0.02 * (last - first) or 0.9
    axes.set_xlim(first - margin, last + margin)
    many = MaxNLocator(nbins=8, integer=True)
    axes.xaxis.set_major_locator(many if last > first else FixedLocator([first]))
    is_long = max(len(where) for where, _ in known) > _SHOWN_POINTS
    svg = _svg(figure, axes, title, label, points, hides_points=is_long)
    return Chart(title, svg, tuple(one for _, one in known), caption)


def reliability(bins: Sequence[tuple[float, float, int]], label: str, caption: str) -> Chart:
    """How probable answers were against how often they were right.

    Args:
        bins: mean probability, accuracy and number of pictures of each bin that has any.
        label: for those who don't see it.
        caption: below the drawing.
    """
    figure, axes = _blank("probability of the answer", is_share=True)
    axes.set_ylabel("share that is right")
    axes.xaxis.set_major_formatter(axes.yaxis.get_major_formatter())
    axes.plot([0, 1], [0, 1], "--", color=_INK, linewidth=1)
    for confidence, accuracy, _ in bins:
        axes.plot([confidence] * 2, [confidence, accuracy], "-", color=_SERIES[1], linewidth=5,
                  alpha=0.45, solid_capstyle="butt")  # fmt: skip
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.06)
    points = [
        _Point(
            confidence, accuracy, 0,
            f"{count:,} answers of {100 * confidence:.1f} % on average: "
            f"{100 * accuracy:.1f} % are right",
            index,
        )
        for index, (confidence, accuracy, count) in enumerate(bins)
    ]  # fmt: skip
    title = "Reliability"
    return Chart(title, _svg(figure, axes, title, label, points, radius=4.5), (), caption)


def scatter(
    title: str,
    label: str,
    x_label: str,
    places: Sequence[tuple[float, float, str, str, int]],
    caption: str = "",
) -> Chart:
    """Accuracy against something that costs, on a logarithmic axis.

    Args:
        title: of the figure.
        label: for those who don't see it.
        x_label: of the axis.
        places: cost, accuracy, a letter or two, what hovering says, and the colour.
        caption: below the drawing.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure, axes = _blank(x_label, is_share=True)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda cost, _: compact(cost)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    points = []
    for index, (x, y, letter, text, colour) in enumerate(places):
        axes.plot([x], [y], ",", color=_INK)  # for the axes' limits
        axes.annotate(letter, (x, y), (8, 5), textcoords="offset points", size=_FONT_PX)
        points.append(_Point(x, y, colour, text, index))
    low, high = min(place[0] for place in places), max(place[0] for place in places)
    axes.set_xlim(low / 1.6, high * 1.6)
    axes.margins(y=0.2)
    return Chart(title, _svg(figure, axes, title, label, points, radius=5), (), caption)


@dataclass(frozen=True)
class _Point:
    x: float
    y: float
    colour: int
    text: str
    group: int
    """Points that are told together."""


def _known(values: Sequence[float | None]) -> bool:
    return any(value is not None and math.isfinite(value) for value in values)


def _blank(x_label: str, is_share: bool) -> "tuple[Figure, Axes]":
    # Without pyplot, which keeps figures and a backend for the whole process.
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    with rc_context(_STYLE):
        size = [side / _POINTS_PER_INCH for side in _SIZE]
        figure = Figure(figsize=(size[0], size[1]), dpi=_POINTS_PER_INCH, layout="constrained")
        axes = figure.add_subplot(xlabel=x_label)
        axes.grid(visible=True, axis="y")
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
        if is_share:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None, symbol=" %"))
    return figure, axes


def _svg(
    figure: "Figure",
    axes: "Axes",
    title: str,
    label: str,
    points: Sequence[_Point],
    *,
    radius: float = 3,
    hides_points: bool = False,
) -> str:
    """The drawing as an element of the page."""
    from matplotlib import rc_context

    prefix = re.sub("[^a-z]+", "-", title.lower())
    file = io.StringIO()
    unwanted = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with rc_context({**_STYLE, "svg.hashsalt": prefix}):
        figure.savefig(file, format="svg", transparent=True, metadata=unwanted)
    root = ET.fromstring(file.getvalue())  # noqa: S314
    for parent in list(root.iter()):
        for child in [*parent.findall(f"{{{_SVG}}}metadata"), *parent.findall(f"{{{_SVG}}}style")]:
            parent.remove(child)  # a style would be the whole page's
    for element in root.iter():
        _adapt(element, prefix)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.set("class", "hides-points" if hides_points else "")
    root.set("role", "img")
    root.set("aria-label", label)
    height = figure.get_figheight() * _POINTS_PER_INCH
    holder = ET.SubElement(root, f"{{{_SVG}}}g", {"class": "points"})
    for point in points:
        x, y = axes.transData.transform((point.x, point.y))
        colour = f"var(--series-{point.colour % SERIES_COLOURS + 1})"
        place = {"cx": f"{x:.1f}", "cy": f"{height - y:.1f}", "r": f"{radius:g}"}
        more = {"style": f"fill: {colour}", "data-group": str(point.group)}
        circle = ET.SubElement(holder, f"{{{_SVG}}}circle", {**place, **more})
        ET.SubElement(circle, f"{{{_SVG}}}title").text = point.text
    ET.register_namespace("", _SVG)
    text = ET.tostring(root, encoding="unicode")
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    return text


def _adapt(element: ET.Element, prefix: str) -> None:
    """Names of its own for each drawing of a page, and the page's own letters."""
    if "id" in element.attrib:
        element.set("id", f"{prefix}-{element.get('id')}")
    if _LINK in element.attrib:
        element.set("href", f"#{prefix}-{element.attrib.pop(_LINK)[1:]}")
    if "clip-path" in element.attrib:
        element.set("clip-path", element.attrib["clip-path"].replace("#", f"#{prefix}-"))
    style = element.get("style")
    if style is not None:
        element.set("style", re.sub(r"font: ([\d.]+px)[^;]*", r"font-size: \1", style))
