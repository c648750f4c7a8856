"""`zoo evaluate`: how good a model is, per class, and what it confuses."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.app import OUTPUT, app, command
from zoo.cli.layer_settings import dataset_settings
from zoo.cli.options import (
    DataDirectory,
    DatasetSettings,
    Device,
    Force,
    Offline,
    OnBad,
    PrecisionName,
    PrecisionOption,
    RecipeOption,
    SplitFile,
    Threads,
    TrainedArg,
    check_share,
)
from zoo.cli.output import (
    Column,
    Result,
    Table,
    count,
    figure,
    percent,
    plural,
    printable,
    shortened,
    terminal_width,
)
from zoo.cli.watch import on_bad_setting, watched
from zoo.errors import ThresholdError, UsageError
from zoo.files import check_output_file

if TYPE_CHECKING:
    from zoo.evaluation import Evaluation
    from zoo.figures import Figures

COLUMNS = (
    Column("name", "Class"),
    Column("images", "Pictures", count, right=True),
    Column("precision", "Precision", percent, right=True),
    Column("recall", "Recall", percent, right=True),
    Column("f1", "F1", percent, right=True),
)

# A matrix of more classes than this does not fit a terminal.
_MATRIX_CLASSES = 20
_PIPED_WIDTH = 120
_MOST_CONFUSED = 10
# Backgrounds of the 256 colours, from pale to strong, all dark enough for white letters.
_RIGHT = (17, 18, 19, 25, 26)
_WRONG = (52, 88, 124, 160)


class SplitName(StrEnum):
    """Which pictures."""

    train = "train"
    validation = "validation"
    test = "test"


@command(
    app,
    "evaluate",
    example="zoo evaluate runs/lenet5-digits\n"
    "zoo evaluate runs/lenet5-digits --min-top1 0.95 --json\n"
    "zoo evaluate runs/lenet5-digits --mistakes mistakes.csv",
    table=True,
)
def evaluate(
    model: TrainedArg,
    recipe: RecipeOption = None,
    data: DataDirectory = None,
    settings: DatasetSettings = None,
    split: Annotated[
        SplitName | None,
        typer.Option(help="Which pictures; left out, test, or validation where there is no test."),
    ] = None,
    split_file: SplitFile = None,
    on_bad: OnBad = None,
    offline: Offline = False,
    min_top1: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Exit 10 below this accuracy, such as 0.95."),
    ] = None,
    mistakes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write every mistake as CSV, the largest loss first: path, label, predicted, "
            "probability (of the predicted class), loss.",
        ),
    ] = None,
    force: Force = False,
    device: Device = "auto",
    precision: PrecisionOption = PrecisionName.fp32,
    threads: Threads = None,
) -> Result:
    """Evaluate a model file, a run or an exported file on its recipe's test pictures."""
    check_share("--min-top1", min_top1)
    if mistakes is not None:
        check_output_file(mistakes, force=force, suffix=".csv")
    elif force:
        raise UsageError("--force does not apply without --mistakes.")
    for_recipe = dataset_settings(settings, "evaluate")

    from zoo import devices, evaluation

    devices.keep_freed_memory()
    with watched(offline=offline) as watch:
        found = evaluation.evaluate(
            model,
            recipe_name=recipe,
            overrides=(*for_recipe, *on_bad_setting(on_bad)),
            data_directory=data,
            split_file=split_file,
            split=None if split is None else split.value,
            device=device,
            precision=precision.value,
            threads=threads,
            downloads=watch.downloads,
            progress=watch.decoded,
        )
    for note in found.notes:
        OUTPUT.note(note)
    rows = [
        {**vars(figures), "f1": figures.f1, "support": figures.images}
        for figures in found.figures.per_class
    ]
    document, text = _document(found, rows), _headline(found)
    if mistakes is not None:
        from zoo.judging import write_csv

        write_csv(found.mistakes, mistakes)
        document |= {"mistakes": {"output": str(mistakes), "pictures": len(found.mistakes)}}
        text += f"\n{mistakes}: {plural(len(found.mistakes), 'mistake')}, the worst first"
    result = Result(document, text, Table(COLUMNS, rows), drawing=_matrix(found.figures))
    if min_top1 is not None and found.figures.top1 < min_top1:
        result.failure = ThresholdError(
            f"Top-1 is {percent(found.figures.top1)}, below --min-top1 {min_top1:g}."
        )
    return result


def _document(found: "Evaluation", rows: list[dict[str, Any]]) -> dict[str, Any]:
    figures = found.figures
    return {
        "model": found.model,
        "recipe": found.recipe,
        "split": found.split,
        "precision": found.precision,
        "images": figures.images,
        "top1": figures.top1,
        "top5": figures.top5,
        "loss": figures.loss,
        "expected_calibration_error": figures.expected_calibration_error,
        "macro_f1": figures.macro_f1,
        "naive_top1": figures.naive_top1,
        "classes": figures.classes,
        "per_class": rows,
        "confusion": figures.confusion,
    }


def _headline(found: "Evaluation") -> str:
    figures = found.figures
    return (
        f"{found.model} on {plural(figures.images, f'{found.split} picture')} of {found.recipe}: "
        f"top-1 {percent(figures.top1)}, top-5 {percent(figures.top5)}, "
        f"loss {figure(figures.loss)}, calibration error "
        f"{percent(figures.expected_calibration_error)}, macro F1 {percent(figures.macro_f1)}; "
        f"always guessing {figures.naive_class!r} gives "
        f"{percent(figures.naive_top1)}"
    )


def _matrix(figures: "Figures") -> str:
    """The confusion matrix, in colours on a terminal; where it doesn't fit, its worst places.

    Where the names of the classes make it too wide, they are numbered.
    """
    classes, room = figures.classes, terminal_width() or _PIPED_WIDTH
    numbers = [str(index) for index in range(len(classes))]
    if len(classes) <= _MATRIX_CLASSES:
        tables = (_table(figures, classes, classes), _table(figures, numbers, _numbered(classes)))
        for table in tables:
            if table.width() <= room:
                return table.to_text(None)
        reason = f"it does not fit into {room} columns"
    else:
        reason = f"{len(classes):,} classes are more than {_MATRIX_CLASSES}"
    head = f"no confusion matrix here: {reason} (--json holds it)"
    lines = [
        f"  {printable(pair.true)} as {printable(pair.predicted)}: "
        f"{plural(pair.images, 'picture')}, {percent(pair.share)} of its class"
        for pair in figures.confused[:_MOST_CONFUSED]
    ]
    return "\n".join([head, "most confused:", *lines] if lines else [head, "nothing is confused"])


def _table(figures: "Figures", heads: Sequence[str], names: Sequence[str]) -> Table:
    """The matrix as a table, with a class's predictions below its head."""
    columns = [Column("true", "true \\ predicted")]
    columns += [
        Column(str(index), head, lambda n: str(n) if n else "·", right=True)
        for index, head in enumerate(heads)
    ]
    rows = [
        {"true": name, **{str(index): number for index, number in enumerate(row)}}
        for name, row in zip(names, figures.confusion, strict=True)
    ]
    return Table(columns, rows, shade=_shade(figures) if OUTPUT.paints else None)


def _numbered(classes: Sequence[str]) -> list[str]:
    """`3 a long na…`: long names shortened, for the table above holds them whole."""
    width = len(str(len(classes) - 1))
    return [f"{index:>{width}} {shortened(name, 16)}" for index, name in enumerate(classes)]


def _shade(figures: "Figures") -> "Callable[[int, str], str]":
    """The escape code of a cell: right answers on blue, mistakes on red, the more the stronger."""

    def code(row: int, key: str) -> str:
        numbers = figures.confusion[row]
        if key == "true" or not numbers[int(key)]:
            return ""
        share = numbers[int(key)] / sum(numbers)
        colours = _RIGHT if int(key) == row else _WRONG
        return f"\033[97;48;5;{colours[min(int(share * len(colours)), len(colours) - 1)]}m"

    return code
