"""The learning-rate range test: which rates a training can start from (Smith 2015, section 3.3)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.plotting import check_can_draw, new_figure, write_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.training.session import Prepared

# A mean over about the last ten batches.
_SMOOTHING = 0.9
# fastai's: beyond four times its best the loss does not come back.
_LOST = 4.0
# The first smoothed losses are means of few batches.
_IGNORED_SHARE = 0.1
_SIZE_INCHES = (7.0, 4.2)


@dataclass(frozen=True)
class RangeTest:
    """Losses of one training whose rate rose at each step."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    """Of one batch each; the last may be NaN or infinite."""
    smoothed: tuple[float, ...]
    suggestion: float | None
    """Where the smoothed loss falls most steeply, to two digits; None where it never fell."""
    stopped_early: bool
    """Whether the loss left the field before the highest rate."""


def find_rate(prepared: "Prepared", steps: int = 100) -> RangeTest:
    """The range test of a training; its network is of no use afterwards.

    Args:
        prepared: everything but the run.
        steps: of the optimizer.

    Raises:
        OutOfMemoryError: a batch does not fit.
    """
    from zoo.training.engine import steps_at_will

    with steps_at_will(prepared.learner, prepared.batches) as step:
        return range_test(step, steps=steps)


def range_test(
    step: Callable[[float], float],
    *,
    lowest: float = 1e-7,
    highest: float = 10.0,
    steps: int = 100,
) -> RangeTest:
    """Trains with rates that rise evenly on a logarithmic axis until the loss is lost.

    Args:
        step: trains one batch at a rate and returns its loss before the step.
        lowest: the first rate.
        highest: the last one, where the loss allows.
        steps: batches, 2 at least.
    """
    rates: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    average, is_lost = 0.0, False
    for index in range(steps):
        rates.append(lowest * (highest / lowest) ** (index / (steps - 1)))
        losses.append(step(rates[-1]))
        average = _SMOOTHING * average + (1 - _SMOOTHING) * losses[-1]
        # The average starts at 0: what that takes away is given back (Kingma and Ba 2014).
        smoothed.append(average / (1 - _SMOOTHING ** (index + 1)))
        is_lost = not math.isfinite(smoothed[-1]) or smoothed[-1] > _LOST * min(smoothed)
        if is_lost:
            break
    return RangeTest(
        rates=tuple(rates),
        losses=tuple(losses),
        smoothed=tuple(smoothed),
        suggestion=_steepest(rates, smoothed, ignored=int(_IGNORED_SHARE * steps)),
        stopped_early=is_lost and len(rates) < steps,
    )


def _steepest(rates: Sequence[float], smoothed: Sequence[float], ignored: int) -> float | None:
    """The rate at which the loss falls fastest, before it is lowest."""
    considered = [i for i in range(ignored, len(rates)) if math.isfinite(smoothed[i])]
    if not considered:
        return None
    lowest = min(considered, key=lambda i: smoothed[i])
    # Rates rise evenly on the logarithmic axis, so differences are slopes on it.
    slopes = {i: smoothed[i + 1] - smoothed[i - 1] for i in range(max(1, ignored), lowest)}
    steepest = min(slopes, key=lambda i: slopes[i], default=None)
    if steepest is None or slopes[steepest] >= 0:
        return None
    return float(f"{rates[steepest]:.1e}")


def draw(test: RangeTest, path: Path) -> None:
    """Writes the curve as a PNG, atomically.

    Raises:
        UsageError: matplotlib is missing.
        DiskError: the disk is full, or there is no permission.
    """
    check_can_draw()
    write_png(_figure(test), path)


def _figure(test: RangeTest) -> "Figure":
    figure = new_figure(*_SIZE_INCHES)
    axes = figure.add_subplot(
        xscale="log", xlabel="learning rate", ylabel="loss", title="Learning-rate range test"
    )
    axes.plot(test.rates, test.losses, color="0.75", linewidth=1, label="each batch")
    axes.plot(test.rates, test.smoothed, color="tab:blue", linewidth=2, label="smoothed")
    axes.set_ylim(*_limits(test))
    if test.suggestion is not None:
        axes.axvline(
            test.suggestion,
            color="tab:red",
            linestyle="--",
            label=f"suggestion {test.suggestion:g}",
        )
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="lower left")
    return figure


def _limits(test: RangeTest) -> tuple[float, float]:
    """Of the loss's axis: the last batches would press the rest of the curve flat."""
    finite = [loss for loss in (*test.losses, *test.smoothed) if math.isfinite(loss)] or [0.0]
    first, lowest = finite[0], min(finite)
    fall = first - lowest or abs(first) or 1.0
    return lowest - 0.1 * fall, min(max(finite), first + fall) + 0.1 * fall
