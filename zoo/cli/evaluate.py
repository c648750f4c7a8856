"""`zoo evaluate`: how good a model is, per class, and what it confuses."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.app import OUTPUT, app, command
from zoo.cli.layer_settings import dataset_settings
from zoo.cli.options import (
    DataDirectory,
    DatasetSettings,
    Device,
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
from zoo.cli.output import Column, Result, Table, count, figure, percent, plural, terminal_width
from zoo.cli.watch import on_bad_setting, watched
from zoo.errors import ThresholdError

if TYPE_CHECKING:
    from zoo.evaluation import Evaluation

COLUMNS = (
    Column("name", "Class"),
    Column("images", "Pictures", count, right=True),
    Column("precision", "Precision", percent, right=True),
    Column("recall", "Recall", percent, right=True),
    Column("f1", "F1", percent, right=True),
)

# A matrix of more classes than this does not fit a terminal.
_MATRIX_CLASSES = 20


class SplitName(StrEnum):
    """Which pictures."""

    train = "train"
    validation = "validation"
    test = "test"


@command(
    app,
    "evaluate",
    example="zoo evaluate runs/lenet5-digits\n"
    "zoo evaluate runs/lenet5-digits --min-top1 0.95 --json",
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
    device: Device = "auto",
    precision: PrecisionOption = PrecisionName.fp32,
    threads: Threads = None,
) -> Result:
    """Evaluate a model file, a run or an exported file on its recipe's test pictures."""
    check_share("--min-top1", min_top1)
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
    result = Result(_document(found, rows), _text(found), Table(COLUMNS, rows))
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


def _text(found: "Evaluation") -> str:
    figures = found.figures
    headline = (
        f"{found.model} on {plural(figures.images, f'{found.split} picture')} of {found.recipe}: "
        f"top-1 {percent(figures.top1)}, top-5 {percent(figures.top5)}, "
        f"loss {figure(figures.loss)}, calibration error "
        f"{percent(figures.expected_calibration_error)}, macro F1 {percent(figures.macro_f1)}; "
        f"always guessing {figures.naive_class!r} gives "
        f"{percent(figures.naive_top1)}"
    )
    if len(figures.classes) > _MATRIX_CLASSES:
        return headline
    columns = [Column("true", "true \\ predicted")]
    columns += [
        Column(str(index), name, lambda n: str(n) if n else "·", right=True)
        for index, name in enumerate(figures.classes)
    ]
    rows = [
        {"true": name, **{str(index): number for index, number in enumerate(row)}}
        for name, row in zip(figures.classes, figures.confusion, strict=True)
    ]
    return f"{Table(columns, rows).to_text(terminal_width())}\n\n{headline}"
