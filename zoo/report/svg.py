"""Axes in the page's own letters and colours, and their drawing as an element of the page."""

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_POINTS_PER_INCH = 72
_SIZE = (390, 245)
FONT_PX = 12
SERIES_COLOURS = 8

# Colours that matplotlib writes and the page replaces by its own, so that light and dark agree.
INK, _LINE = "#010203", "#010204"
SERIES = tuple(f"#0102{0x10 + index:02x}" for index in range(SERIES_COLOURS))
_VARIABLES = {
    INK: "var(--muted)",
    _LINE: "var(--line)",
    **{colour: f"var(--series-{index + 1})" for index, colour in enumerate(SERIES)},
}
_STYLE: dict[Any, Any] = {
    "font.size": FONT_PX,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": _LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": _LINE,
    "grid.linewidth": 0.8,
    "axes.formatter.useoffset": False,
    "svg.fonttype": "none",
    "path.simplify": True,
}


@dataclass(frozen=True)
class Point:
    """A mark that hovering tells of."""

    x: float
    y: float
    colour: int
    text: str
    group: int
    """Points that are told together."""
    radius: float = 3
    is_hollow: bool = False


def blank(x_label: str, is_share: bool) -> "tuple[Figure, Axes]":
    """Axes to draw on; `is_share` where the values are shares in [0, 1]."""
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


def element(
    figure: "Figure",
    axes: "Axes",
    title: str,
    label: str,
    points: Sequence[Point],
    *,
    hides_points: bool = False,
) -> str:
    """The drawing as an `svg`.

    Args:
        figure: with its axes.
        axes: on which the points lie.
        title: which no other drawing of the page has.
        label: what it shows, for those who don't see it.
        points: drawn above all else.
        hides_points: whether they are seen on hover alone.
    """
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
        place = {"cx": f"{x:.1f}", "cy": f"{height - y:.1f}", "r": f"{point.radius:.3g}"}
        more = {"style": f"--colour: {colour}", "data-group": str(point.group)}
        if point.is_hollow:
            more["class"] = "hollow"
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
        style = re.sub(r"font: ([\d.]+px)[^;]*", r"font-size: \1", style)
        element.set("style", re.sub(r"font-family: [^;]*; ", "", style))
