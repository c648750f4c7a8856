"""Curves as SVG by matplotlib, in the page's own colours, with their values on hover.

matplotlib, for zoo draws with it already: altair would bring a megabyte of script into each page.
No text of the user's is drawn: matplotlib reads `$` in it as mathematics. Names stand in the page.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from zoo.report.svg import FONT_PX, INK, SERIES, SERIES_COLOURS, Point, blank, element
from zoo.wording import compact, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHOWN_POINTS = 60
"""Of longer curves the points are seen on hover alone."""
_MAX_POINTS = 400
"""Of still longer ones only so many can be hovered."""
_HUGE_LOSS = 20
"""Guessing costs less than half of it, even among 20,000 classes: beyond it a run exploded."""
_FLAT = 1e-3
"""Values that differ by a smaller share are drawn as one level."""


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
class Place:
    """One run among others: what it reaches and what that costs."""

    cost: float
    share: float
    letter: str
    """Or two, beside its mark."""
    text: str
    """What hovering says."""
    colour: int
    is_hollow: bool = False
    """Whether only the edge is drawn."""


@dataclass(frozen=True)
class Group:
    """Answers of about one probability."""

    confidence: float
    """Their mean probability."""
    accuracy: float
    """The share that is right."""
    images: int

    @property
    def gap(self) -> float:
        """How much more often they are right than they say."""
        return self.accuracy - self.confidence


@dataclass(frozen=True)
class Chart:
    """A drawing and what stands around it."""

    title: str
    svg: str
    legend: tuple[Series, ...] = ()
    caption: str = ""
    groups: tuple[Group, ...] = ()
    """Its figures as a table."""


def curves(
    title: str,
    label: str,
    epochs: Sequence[Sequence[int]],
    series: Sequence[Series],
    *,
    marked: int | None = None,
    is_share: bool = False,
    clips: bool = False,
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
        clips: whether losses that exploded are drawn at the upper edge, lest they flatten the rest.
        caption: below the drawing.
    """
    from matplotlib.ticker import FixedLocator, MaxNLocator

    known = [
        (where, one, [value if _is_finite(value) else math.nan for value in one.values])
        for where, one in zip(epochs, series, strict=True)
        if any(map(_is_finite, one.values))
    ]
    if not known:
        return None
    figure, axes = blank("epoch", is_share)
    finite = [value for *_, values in known for value in values if _is_finite(value)]
    limit = _limit(finite) if clips else None
    if limit is not None:
        known = [(where, one, _clipped(values, limit)) for where, one, values in known]
        finite = [min(value, limit) for value in finite]
        caption = f"{caption} Values beyond {limit:.3g} are drawn at the upper edge.".lstrip()
    points: list[Point] = []
    for where, one, values in known:
        colour = SERIES[one.colour % SERIES_COLOURS]
        style = "--" if one.dashed else "-"
        axes.plot(where, values, style, color=colour, linewidth=1.8, solid_joinstyle="round")
        every = max(1, -(-len(values) // _MAX_POINTS))
        points += [
            Point(x, y, one.colour, text, x)
            for x, y, text in list(zip(where, values, one.texts, strict=True))[::every]
            if math.isfinite(y)
        ]
    if marked is not None:
        axes.axvline(marked, color=INK, linewidth=1, linestyle=":")
    if not is_share:
        _make_plain(axes, min(finite), max(finite))
    first, last = min(where[0] for where, *_ in known), max(where[-1] for where, *_ in known)
    margin = 0.04 * (last - first) or 0.9
    axes.set_xlim(first - margin, last + margin)
    many = MaxNLocator(nbins=8, integer=True)
    axes.xaxis.set_major_locator(many if last > first else FixedLocator([first]))
    is_long = max(len(where) for where, *_ in known) > _SHOWN_POINTS
    svg = element(figure, axes, title, label, points, hides_points=is_long)
    return Chart(title, svg, tuple(one for _, one, _ in known), caption)


def reliability(groups: Sequence[Group], label: str, caption: str) -> Chart:
    """How probable answers were against how often they were right.

    Args:
        groups: those that have any pictures; the larger, the larger they are drawn.
        label: for those who don't see it.
        caption: below the drawing.
    """
    figure, axes = blank("probability of the answer", is_share=True)
    axes.set_ylabel("share that is right")
    axes.xaxis.set_major_formatter(axes.yaxis.get_major_formatter())
    axes.plot([0, 1], [0, 1], "--", color=INK, linewidth=1)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.06)
    points = []
    most = max((group.images for group in groups), default=1)
    for index, group in enumerate(groups):
        size = math.sqrt(group.images / most)
        axes.plot([group.confidence] * 2, [group.confidence, group.accuracy], "-",
                  color=SERIES[1], linewidth=1 + 4 * size, alpha=0.45,
                  solid_capstyle="butt")  # fmt: skip
        text = (
            f"{plural(group.images, 'answer')} of {100 * group.confidence:.1f} % on average: "
            f"{100 * group.accuracy:.1f} % are right"
        )
        points.append(
            Point(group.confidence, group.accuracy, 0, text, index, radius=2 + 3.5 * size)
        )
    title = "Reliability"
    drawn = element(figure, axes, title, label, points)
    return Chart(title, drawn, (), caption, tuple(groups))


def scatter(
    title: str, label: str, x_label: str, places: Sequence[Place], caption: str = ""
) -> Chart:
    """Accuracy against something that costs, on a logarithmic axis.

    Args:
        title: of the figure.
        label: for those who don't see it.
        x_label: of the axis.
        places: one or more.
        caption: below the drawing.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure, axes = blank(x_label, is_share=True)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda cost, _: compact(cost)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    for place in places:
        axes.plot([place.cost], [place.share], ",", color=INK)  # for the axes' limits
    low, high = min(place.cost for place in places), max(place.cost for place in places)
    axes.set_xlim(low / 1.6, high * 1.6)
    axes.margins(y=0.2)
    figure.draw_without_rendering()  # what is where, so that letters don't hide one another
    for letters, x, y in _labels(axes, places):
        axes.annotate(letters, (x, y), (8, 5), textcoords="offset points", size=FONT_PX,
                      color=INK)  # fmt: skip
    points = [
        Point(place.cost, place.share, place.colour, place.text, index, 5, place.is_hollow)
        for index, place in enumerate(places)
    ]
    return Chart(title, element(figure, axes, title, label, points), (), caption)


def _labels(axes: "Axes", places: Sequence[Place]) -> list[tuple[str, float, float]]:
    """The letters of each place and where; places that lie on one another share a label."""
    found: list[tuple[list[str], Place, tuple[float, float]]] = []
    for place in places:
        x, y = axes.transData.transform((place.cost, place.share))
        for letters, _, (other_x, other_y) in found:
            if abs(x - other_x) < FONT_PX and abs(y - other_y) < FONT_PX:
                letters.append(place.letter)
                break
        else:
            found.append(([place.letter], place, (x, y)))
    return [(", ".join(letters), place.cost, place.share) for letters, place, _ in found]


def _is_finite(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _limit(losses: Sequence[float]) -> float | None:
    """Above the losses that are worth comparing; None where no other would flatten them."""
    huge = _HUGE_LOSS * max(1, min(losses))
    if max(losses) <= huge:
        return None
    return 1.1 * max(loss for loss in losses if loss <= huge)


def _clipped(values: Sequence[float], limit: float) -> list[float]:
    return [value if math.isnan(value) else min(value, limit) for value in values]


def _make_plain(axes: "Axes", least: float, most: float) -> None:
    """Numbers in full, without a factor or a summand at the axis's end."""
    from matplotlib.ticker import FuncFormatter

    if most - least < _FLAT * abs(most):
        axes.set_ylim(min(0.95 * least, 1.05 * least), max(0.95 * most, 1.05 * most))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _number(value)))


def _number(value: float) -> str:
    """`0.002`, `1e18`."""
    return re.sub(r"e([+-])0*", lambda found: "e" + found[1].strip("+"), f"{value:.6g}")
