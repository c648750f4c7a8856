"""`zoo explain`: the group, and `conv` and `pool`, worked as on a slide."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.app import OUTPUT, command, group
from zoo.cli.grids import beside, image_block, lines_of, number, plain
from zoo.cli.options import Force
from zoo.cli.output import Result
from zoo.errors import UsageError
from zoo.files import check_output_file

if TYPE_CHECKING:
    from zoo.explain.convolution import Step, Worked
    from zoo.explain.grid import Grid

explain = group(
    "explain",
    help="What CNN lectures draw, computed: convolution, pooling, formulas, filters and maps.",
    example="zoo explain layers lenet5",
)

_MAX_STEPS = 100
_MAX_STEP_VALUES = 20_000  # of all windows


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


def _padding(text: str) -> str | int:
    if text in ("valid", "same"):
        return text
    if not text.isdecimal() or len(text) > 9:
        raise UsageError(f"--padding {text}: expected valid, same, or a number of pixels.")
    return int(text)


def _check_png(png: Path | None, *, force: bool) -> None:
    if png is not None:
        check_output_file(png, force=force, suffix=".png")
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
        rows, columns = found.left_over
        OUTPUT.note(
            f"the last {rows} of {found.image.shape[0]} rows and the last {columns} of "
            f"{found.image.shape[1]} columns are left out: no whole window fits there"
        )
    if steps:
        count = max(1, min(_MAX_STEPS, _MAX_STEP_VALUES // (found.size[0] * found.size[1])))
        shown = list(islice(found.steps(), count))
        if found.output.size > len(shown):
            OUTPUT.note(f"the first {len(shown)} of {found.output.size:,} steps")
        document["steps"] = [_step(one) for one in shown]
        for index, one in enumerate(shown, start=1):
            text += ["", *_step_text(found, one, index)]
    if png is not None:
        from zoo.data.preview import write_png
        from zoo.explain.drawing import draw_grid

        write_png(draw_grid(found.output), png)
        document["png"] = str(png)
        low, high = (number(float(end)) for end in (found.output.min(), found.output.max()))
        text += ["", f"{png}: the output, from black ({low}) to white ({high})"]
    return Result(document, "\n".join(text))


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


def _step_text(found: "Worked", one: "Step", index: int) -> list[str]:
    head = f"step {index}: row {one.row + 1}, column {one.column + 1}"
    value = number(one.value)
    if found.kernel is None:
        word = {"max": "the largest is", "average": "the mean is", "sum": "the sum is"}
        return [head, *beside([lines_of(one.window), [f"{word[str(found.kind)]} {value}"]])]
    assert one.products is not None
    blocks = [lines_of(one.window), ["×"], lines_of(found.kernel), ["="], lines_of(one.products)]
    return [head, *beside([*blocks, [f"sum {value}"]])]
