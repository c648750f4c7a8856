"""`zoo predict`: what pictures show, by a trained model."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.app import OUTPUT, app, check_forms, command
from zoo.cli.options import Device, PrecisionName, PrecisionOption, Threads, TrainedArg, check_share
from zoo.cli.output import Column, Result, Table, percent, plural
from zoo.cli.watch import watched
from zoo.errors import (
    DataError,
    InterruptionError,
    SigtermInterrupt,
    TerminationError,
    ZooError,
)

if TYPE_CHECKING:
    from zoo.prediction import Failed, Prediction


@command(
    app,
    "predict",
    example="zoo predict runs/lenet5-digits seven.png --top 3\n"
    "zoo predict runs/lenet5-digits ~/scans 'more/**/*.jpg' --csv\n"
    "zoo predict runs/lenet5-digits - --jsonl",
    table=True,
)
def predict(
    model: TrainedArg,
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURES...",
            help="Files; directories, with every picture below; quoted globs, where ** is any "
            "number of directories; - reads paths from standard input, one a line.",
        ),
    ],
    top: Annotated[int, typer.Option(min=1, metavar="K", help="Show the K likeliest labels.")] = 1,
    min_probability: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Below it, such as 0.9, a picture gets no label (null, a dash in the table); "
            "its probability is still shown.",
        ),
    ] = 0.0,
    jsonl: Annotated[
        bool,
        typer.Option(
            "--jsonl",
            help="A JSON object a line and picture, as soon as it is known; {path, error} for one "
            "that can't be read.",
        ),
    ] = False,
    device: Device = "auto",
    precision: PrecisionOption = PrecisionName.fp32,
    threads: Threads = None,
) -> Result:
    """Tell what pictures show. Exit 4 where one can't be read; the others are predicted."""
    check_share("--min-probability", min_probability)
    if jsonl:
        check_forms("--jsonl")

    from zoo import devices, prediction

    devices.keep_freed_memory()
    classifier = prediction.load(model, device=device, precision=precision.value, threads=threads)
    for note in classifier.notes:
        OUTPUT.note(note)
    found = list(prediction.find(pictures, getattr(sys.stdin, "buffer", ())))
    batches = prediction.predict(
        classifier, found, top=top, min_probability=min_probability, workers=threads
    )
    done, failure = _followed(batches, len(found), jsonl=jsonl)
    if jsonl:
        return Result({}, failure=failure)
    predictions = [asdict(each) for each in done if isinstance(each, prediction.Prediction)]
    failed = [asdict(each) for each in done if isinstance(each, prediction.Failed)]
    document = {"model": classifier.name, "predictions": predictions, "failed": failed}
    return Result(document, table=_table(predictions), failure=failure)


def _followed(
    batches: "Iterator[Sequence[Prediction | Failed]]", total: int, *, jsonl: bool
) -> "tuple[list[Prediction | Failed], ZooError | None]":
    """Every outcome, told as it becomes known, and what to raise once the result is out."""
    from zoo.prediction import Failed

    done: list[Prediction | Failed] = []
    pictures = plural(total, "picture")
    try:
        with _progress(jsonl=jsonl) as progress:
            progress(0, total)
            for batch in batches:
                done += batch
                _report(batch, jsonl=jsonl)
                progress(len(done), total)
    except KeyboardInterrupt as signal:
        kind = TerminationError if isinstance(signal, SigtermInterrupt) else InterruptionError
        return done, kind(f"Interrupted after {len(done):,} of {pictures}.")
    failed = sum(isinstance(outcome, Failed) for outcome in done)
    return done, DataError(f"{failed:,} of {pictures} can't be predicted.") if failed else None


@contextmanager
def _progress(*, jsonl: bool) -> Iterator[Callable[[int, int], None]]:
    """What follows the pictures; on a terminal that shows the lines, these say enough."""
    if jsonl and sys.stdout.isatty():
        yield lambda _done, _total: None
        return
    with watched(offline=True) as watch:
        yield watch.predicted


def _report(batch: "Sequence[Prediction | Failed]", *, jsonl: bool) -> None:
    """What is told at once: with --jsonl everything, else what failed."""
    from zoo.prediction import Failed

    for outcome in batch:
        if isinstance(outcome, Failed):
            if jsonl:
                OUTPUT.line({"path": outcome.path, "error": outcome.message})
            elif not OUTPUT.json:
                with suppress(OSError):  # nobody reads stderr any more: the work goes on
                    OUTPUT.complain(f"{_cell(outcome.path)}: {outcome.message}")
        elif jsonl:
            OUTPUT.line(asdict(outcome))


def _table(predictions: list[dict[str, Any]]) -> Table | None:
    """A row a picture; None where there is none."""
    if not predictions:
        return None
    columns = [
        Column("path", "Picture", _cell),
        Column("label", "Label", _cell),
        Column("probability", "Probability", percent, right=True),
    ]
    for rank in range(2, len(predictions[0]["top"]) + 1):
        columns += [
            Column(f"label_{rank}", f"{rank}.", _cell),
            Column(f"probability_{rank}", "Probability", percent, right=True),
        ]
    rows = [
        {
            **prediction,
            **{
                f"{key}_{rank}": value
                for rank, ranked in enumerate(prediction["top"], start=1)
                for key, value in ranked.items()
            },
        }
        for prediction in predictions
    ]
    return Table(columns, rows)


def _cell(text: str | None) -> str:
    """A name on one line, whatever it holds, or a dash."""
    from zoo.data.pictures import on_one_line

    return "–" if text is None else on_one_line(text)
