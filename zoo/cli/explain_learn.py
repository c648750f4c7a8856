"""`zoo explain learn`: how a computer can find filters."""

import math
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli.app import command
from zoo.cli.explain import explain
from zoo.cli.grids import beside
from zoo.cli.output import Result
from zoo.cli.sparkline import sparkline

if TYPE_CHECKING:
    from zoo.explain.learning import Moment, Trial


@command(
    explain, "learn", example="zoo explain learn\nzoo explain learn --size 3 --seed 7 --steps 100"
)
def learn(
    size: Annotated[
        int, typer.Option(min=2, max=3, metavar="2|3", help="Side of the patterns and filters.")
    ] = 2,
    steps: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="N", help="Steps of gradient descent.")
    ] = 50,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Draws the first filters.")] = 0,
) -> Result:
    """Show how a computer can find filters: by trying all of them, and by gradient descent."""
    from zoo.explain import learning

    tried = learning.trials(size)
    history = list(learning.descend(size, steps=steps, seed=seed))
    names = list(learning.PATTERNS[size])
    document = {
        "patterns": {
            name: _rows(pattern, size) for name, pattern in learning.PATTERNS[size].items()
        },
        "trials": [
            {"filter": _rows(one.filter, size), "scores": one.scores, "margin": one.margin}
            for one in tried
        ],
        "history": [
            {
                "step": one.step,
                "filters": [_rows(weights, size) for weights in one.filters],
                "error": one.error,
                "wrong": one.wrong,
            }
            for one in history
        ],
        "pictures": len(learning.examples(size)),
        "seed": seed,
    }
    parts = [*_task(size), *_tried(tried, names, size), *_descended(history, names, size)]
    return Result(document, "\n".join(parts))


def _rows(values: Sequence[float], size: int) -> list[list[float]]:
    return [list(values[start : start + size]) for start in range(0, len(values), size)]


def _filter_lines(values: Sequence[float], size: int, digits: int | None = None) -> list[str]:
    """A filter or a pattern as aligned rows; + and - where it holds only 1 and -1."""
    if digits is None:
        texts = ["+" if value > 0 else "-" for value in values]
    else:
        texts = [f"{value:.{digits}f}" for value in values]
    width = max(map(len, texts))
    return [
        " ".join(text.rjust(width) for text in texts[start : start + size])
        for start in range(0, len(texts), size)
    ]


def _task(size: int) -> Iterator[str]:
    from zoo.explain.learning import PATTERNS

    yield "Two patterns, + for ink (1) and - for paper (-1). Which filter tells them apart?"
    yield "Its score is the sum of pixel times weight."
    yield ""
    yield from beside([
        [name, *_filter_lines(pattern, size)] for name, pattern in PATTERNS[size].items()
    ])  # fmt: skip


def _tried(tried: "Sequence[Trial]", names: Sequence[str], size: int) -> Iterator[str]:
    yield ""
    yield f"1. Try all {len(tried)} filters of + and -"
    yield ""
    best = sorted(tried, key=lambda one: -one.margin)
    shown = tried if len(tried) <= 16 else best[:8]
    blocks = [
        [*_filter_lines(one.filter, size), *_scores(one, names, is_best=one is best[0])]
        for one in shown
    ]
    for start in range(0, len(blocks), 8):
        yield from beside(blocks[start : start + 8])
        yield ""
    if len(shown) < len(tried):
        yield f"These are the best {len(shown)}; --json has all."
    yield (
        f"The best is {'; '.join(_filter_lines(best[0].filter, size))}, which scores "
        f"{best[0].scores[0]:+g} for {names[0]} and {best[0].scores[1]:+g} for {names[1]}."
    )
    weights = 11 * 11 * 3
    yield f"A filter of 11×11 with 3 channels has 2^{weights} such choices: nobody can try them."


def _scores(one: "Trial", names: Sequence[str], *, is_best: bool) -> list[str]:
    lines = [f"{name} {_signed(value)}" for name, value in zip(names, one.scores, strict=True)]
    return [*lines, "best"] if is_best else lines


def _signed(value: float) -> str:
    return f"{value:+g}" if value else " 0"


def _descended(history: "Sequence[Moment]", names: Sequence[str], size: int) -> Iterator[str]:
    from zoo.explain.learning import RATE, examples

    pictures = len(examples(size))
    yield ""
    yield "2. Start with random numbers and follow the derivatives (gradient descent)"
    yield ""
    yield f"It learns from {pictures} pictures: each pattern, and each with any one pixel wrong."
    yield "A filter is wanted to score the pixels that agree with its pattern less those"
    yield f"that differ. At each step, weight = weight - {RATE:g} · d error / d weight."
    yield ""
    for moment in _excerpt(history):
        yield from beside([
            [f"step {moment.step}", f"error {moment.error:.3f}", f"wrong {moment.wrong} of "
             f"{pictures}"],
            *([name, *_filter_lines(weights, size, 2)]
              for name, weights in zip(names, moment.filters, strict=True)),
        ])  # fmt: skip
        yield ""
    first, last = history[0], history[-1]
    curve = sparkline(
        [math.log10(one.error + 1e-6) for one in history], encoding=sys.stdout.encoding
    )
    yield f"error, logarithmic  {curve}  {first.error:.3g} to {last.error:.2g}"
    signs = ["; ".join(_filter_lines(weights, size)) for weights in last.filters]
    yield f"The filters' signs: {signs[0]} for {names[0]}, {signs[1]} for {names[1]}."


def _excerpt(history: "Sequence[Moment]") -> "list[Moment]":
    """The start, and steps that lie ever further apart."""
    last = len(history) - 1
    wanted = {0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, last}
    return [history[step] for step in sorted(wanted) if step <= last]
