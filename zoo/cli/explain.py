"""`zoo explain conv | pool | learn`: worked examples, as a lecture draws them."""

import math
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.app import OUTPUT, command, group
from zoo.cli.grids import beside, image_block, lines_of, plain
from zoo.cli.options import Force
from zoo.cli.output import Result
from zoo.cli.sparkline import sparkline
from zoo.errors import UsageError
from zoo.files import check_output_file

if TYPE_CHECKING:
    from zoo.explain.convolution import Step, Worked
    from zoo.explain.grid import Grid
    from zoo.explain.learning import Moment, Trial

explain = group(
    "explain",
    help="What CNN lectures draw, computed: convolution, pooling, formulas, filters and maps.",
    example="zoo explain layers lenet5",
)

_MAX_STEPS = 100
_ENDS = 3


class Kind(StrEnum):
    """What becomes of a window; the names of zoo/explain/convolution.py, which imports numpy."""

    max = "max"
    average = "average"
    sum = "sum"


Numbers = Annotated[
    str | None,
    typer.Option(
        metavar="ROWS", help='Rows of numbers, such as "1 0 1; 0 1 0"; ; or a line\'s end ends one.'
    ),
]
Picture = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A picture instead: its gray values, 0 black to 255 white."),
]
Png = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the output as a PNG, from black to white."),
]
Steps = Annotated[
    bool, typer.Option("--steps", help=f"Show each position, {_MAX_STEPS} at most.")
]  # fmt: skip


@command(
    explain,
    "conv",
    example='zoo explain conv --image "1 1 0; 0 1 1; 0 0 1" --kernel "1 0; 0 1" --steps\n'
    'zoo explain conv --picture photo.jpg --kernel "1 0 1; 0 1 0; 1 0 1" --png edges.png',
)
def conv(
    kernel: Annotated[str, typer.Option(metavar="ROWS", help="The filter, as rows of numbers.")],
    image: Numbers = None,
    picture: Picture = None,
    stride: Annotated[
        int, typer.Option(min=1, metavar="S", help="Pixels from one position to the next.")
    ] = 1,
    padding: Annotated[
        str,
        typer.Option(
            metavar="valid|same|P",
            help="Zeros around the image: none, as many as keep its size at stride 1, or P.",
        ),
    ] = "valid",
    steps: Steps = False,
    png: Png = None,
    force: Force = False,
) -> Result:
    """Convolve an image with a filter, number by number.

    As in every CNN, this is cross-correlation: the filter is laid on as it is, not flipped.
    """
    zeros = _padding(padding)
    _check_png(png, force=force)

    from zoo.explain.convolution import convolve
    from zoo.explain.grid import parse

    weights = parse(kernel, "--kernel")
    return _worked(
        convolve(_image(image, picture), weights, stride=stride, padding=zeros), steps, png
    )


@command(
    explain,
    "pool",
    example='zoo explain pool --kind max --image "1 3 2 1; 4 6 5 0; 7 2 9 8; 1 0 3 4"\n'
    "zoo explain pool --kind average --size 4 --picture photo.jpg --png small.png",
)
def pool(
    kind: Annotated[Kind, typer.Option(help="What becomes of the values in a window.")] = Kind.max,
    size: Annotated[int, typer.Option(min=1, metavar="N", help="Side of the window.")] = 2,
    stride: Annotated[
        int | None,
        typer.Option(min=1, metavar="S", help="Pixels between windows; left out, their side."),
    ] = None,
    image: Numbers = None,
    picture: Picture = None,
    steps: Steps = False,
    png: Png = None,
    force: Force = False,
) -> Result:
    """Pool an image: the largest, the mean or the sum of each window."""
    _check_png(png, force=force)

    from zoo.explain.convolution import pool as pooled

    found = pooled(_image(image, picture), size, kind.value, stride=stride)
    return _worked(found, steps, png)


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


def _padding(text: str) -> str | int:
    if text in ("valid", "same"):
        return text
    if not text.isdecimal() or len(text) > 4:
        raise UsageError(f"--padding {text}: expected valid, same, or a number of pixels.")
    return int(text)


def _check_png(png: Path | None, *, force: bool) -> None:
    if png is not None:
        check_output_file(png, force=force)
    elif force:
        raise UsageError("--force does not apply without --png.")


def _image(text: str | None, picture: Path | None) -> "Grid":
    """What --image or --picture says.

    Raises:
        UsageError: both are given, or neither.
    """
    if (text is None) == (picture is None):
        raise UsageError("Which image? Give either --image or --picture.")
    from zoo.explain.grid import parse, read_gray

    if text is not None:
        return parse(text, "--image")
    assert picture is not None
    gray, (height, width) = read_gray(picture)
    if gray.shape != (height, width):
        OUTPUT.note(
            f"{picture} has {height}×{width} pixels: shrunk to {gray.shape[0]}×{gray.shape[1]}"
        )
    return gray


def _worked(found: "Worked", steps: bool, png: Path | None) -> Result:
    from itertools import islice

    above, below, left, right = found.padding
    document: dict[str, Any] = {
        "output": plain(found.output),
        "input_size": [found.image.shape[0] - above - below, found.image.shape[1] - left - right],
        "window": list(found.size),
        "stride": found.stride,
        "padding": {"top": above, "bottom": below, "left": left, "right": right},
        "output_size": list(found.output.shape),
    }
    text = [*_sides_text(found), "", *_drawn(found)]
    if any(found.left_over):
        OUTPUT.note(
            f"{found.left_over[0]} rows at the bottom and {found.left_over[1]} columns at the "
            "right are left out: no whole window fits there"
        )
    if steps:
        shown = list(islice(found.steps(), _MAX_STEPS))
        if found.output.size > len(shown):
            OUTPUT.note(f"the first {len(shown)} of {found.output.size:,} steps")
        document["steps"] = [_step(one) for one in shown]
        for number, one in enumerate(shown, start=1):
            text += ["", *_step_text(found, one, number)]
    if png is not None:
        from zoo.data.preview import write_png
        from zoo.explain.drawing import draw_grid

        write_png(draw_grid(found.output), png)
        document["png"] = str(png)
        text += ["", f"{png}: the output, from black ({_least(found)}) to white ({_most(found)})"]
    return Result(document, "\n".join(text))


def _least(found: "Worked") -> str:
    return _number(float(found.output.min()))


def _most(found: "Worked") -> str:
    return _number(float(found.output.max()))


def _number(value: float) -> str:
    from zoo.cli.grids import number

    return number(value)


def _sides_text(found: "Worked") -> list[str]:
    """The formula of the output's size."""
    above, below, left, right = found.padding
    heights = (found.image.shape[0] - above - below, above, below, found.size[0])
    widths = (found.image.shape[1] - left - right, left, right, found.size[1])
    lines = []
    for name, (side, before, after, window), size in zip(
        ("rows", "columns"), (heights, widths), found.output.shape, strict=True
    ):
        added = f" + 2·{before}" if before == after else f" + {before} + {after}"
        division = f"({side}{added if before + after else ''} − {window})/{found.stride}"
        exact = (side + before + after - window) % found.stride == 0
        lines.append(f"{name:<8} {division if exact else f'⌊{division}⌋'} + 1 = {size}")
    return lines


def _drawn(found: "Worked") -> list[str]:
    """Image, kernel and feature map side by side, or below one another."""
    title = "image" if not any(found.padding) else "image with its padding"
    blocks = [image_block(title, found.image)]
    if found.kernel is not None:
        blocks += [["", "", "∗"], image_block("filter", found.kernel)]
        name = "feature map"
    else:
        name = f"{found.kind} of each window,"
    blocks += [["", "", "="], image_block(name, found.output)]
    return beside(blocks)


def _step(one: "Step") -> dict[str, Any]:
    document = {"row": one.row, "column": one.column, "window": plain(one.window)}
    if one.products is not None:
        document["products"] = plain(one.products)
    return {**document, "value": one.value}


def _step_text(found: "Worked", one: "Step", number: int) -> list[str]:
    head = f"step {number}: row {one.row + 1}, column {one.column + 1}"
    value = _number(one.value)
    if found.kernel is None:
        word = {"max": "the largest is", "average": "the mean is", "sum": "the sum is"}
        return [head, *beside([lines_of(one.window), [f"{word[str(found.kind)]} {value}"]])]
    assert one.products is not None
    blocks = [lines_of(one.window), ["×"], lines_of(found.kernel), ["="], lines_of(one.products)]
    return [head, *beside([*blocks, [f"sum {value}"]])]


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
    yield "A filter is wanted to score the pixels that agree with its pattern less those that"
    yield f"differ. At each step, weight = weight - {RATE:g} · d error / d weight."
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
