"""The page of one run."""

import json
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from zoo import edit_texts, recipe
from zoo.errors import RecipeError
from zoo.figures import Figures
from zoo.report import charts
from zoo.report.charts import Chart, Group, Series
from zoo.report.looking import Look
from zoo.report.page import render
from zoo.runs import Record
from zoo.runs.results import to_rows
from zoo.summary import LayerSummary, Summary
from zoo.wording import count, figure, percent, plural, told_apart

MATRIX_CLASSES = 60
"""Of more classes the page shows the most confused pairs alone."""
DETAILED_CLASSES = 20
"""Of more classes the matrix's cells are small and say no share."""
_LABEL, _SMALL_LABEL = 24, 16  # letters
_PAIRS = 20
_CALLED = {
    "running": "is still running",
    "interrupted": "was interrupted",
    "killed": "was killed",
    "diverged": "diverged",
    "failed": "failed",
}


@dataclass(frozen=True)
class Cell:
    """One place of the confusion matrix."""

    images: int
    share: float
    """Of the true class's pictures."""
    title: str
    is_right: bool

    @property
    def tint(self) -> float:
        """How strong its colour is, so that a single mistake is seen too."""
        return 0.0 if not self.images else 0.2 + 0.8 * self.share

    @property
    def is_strong(self) -> bool:
        """Whether white letters are easier to read on it than black ones, on a light page."""
        return self.tint >= (0.88 if self.is_right else 0.92)


@dataclass(frozen=True)
class LayerRow:
    """One layer, and how long its bars are."""

    layer: LayerSummary
    params_share: float
    mult_adds_share: float


def run_page(record: Record, look: Look) -> str:
    """The page of one run: whatever is known of it.

    Args:
        record: of the run's directory.
        look: what its weights and pictures show.
    """
    rows = to_rows(record.epochs)
    figures = look.pictures.figures if look.pictures else None
    network = look.network
    return render(
        "run.html",
        record=record,
        title=record.name,
        marked=_mark(record),
        facts=_facts(record, figures, look),
        commands=_commands(record),
        charts=run_charts(record, rows),
        rows=rows,
        best=record.best.epoch if record.best else None,
        look=look,
        figures=figures,
        matrix=_matrix(figures) if figures else None,
        labels=_labels(figures) if figures else [],
        detailed=figures is not None and len(figures.classes) <= DETAILED_CLASSES,
        matrix_classes=MATRIX_CLASSES,
        pairs=figures.confused[:_PAIRS] if figures else [],
        total_pairs=len(figures.confused) if figures else 0,
        reliability=_reliability(figures) if figures else None,
        layers=_layers(network.summary) if network else [],
        edits=edit_texts.sentences(network.description.edits) if network else [],
        recipe=_recipe(record),
        settings=_settings(record),
    )


def run_charts(record: Record, rows: list[dict[str, Any]]) -> list[Chart]:
    """Loss, accuracy and rate over the epochs; none where no epoch was finished."""
    epochs = [row["epoch"] for row in rows]
    best = record.best.epoch if record.best else None
    note = "" if best is None else f" The dotted line is the best epoch, {best}."

    def drawn(
        title: str, columns: dict[str, str], text: Any, is_share: bool = False, extra: str = ""
    ) -> Chart | None:
        series = [
            Series(
                name,
                [row[key] for row in rows],
                [f"{name}: {text(row[key])}" for row in rows],
                colour,
            )
            for colour, (key, name) in enumerate(columns.items())
        ]
        told = [
            f"{name} from {text(one.values[0])} to {text(one.values[-1])}"
            for name, one in zip(columns.values(), series, strict=True)
            if one.values and one.values[-1] is not None
        ]
        label = f"{title} over {plural(len(rows), 'epoch')}: {', '.join(told)}."
        return charts.curves(
            title, label, [epochs] * len(series), series, marked=best, is_share=is_share,
            clips=title == "Loss", caption=extra,
        )  # fmt: skip

    found = [
        drawn("Loss", {"train_loss": "training", "val_loss": "validation"}, figure,
              extra=f"Cross-entropy, lower is better.{note}"),
        drawn("Accuracy", {"train_top1": "training", "val_top1": "validation"}, percent,
              is_share=True, extra="Training accuracy is of the augmented pictures, while the "
              "weights change."),
        drawn("Learning rate", {"lr": "rate"}, lambda rate: "–" if rate is None else f"{rate:.3g}",
              extra="At the end of each epoch."),
    ]  # fmt: skip
    return [one for one in found if one is not None]


def _mark(record: Record) -> str:
    """A sentence where the run is not finished; empty where it is."""
    if record.status == "finished":
        return ""
    planned = record.integer("resolved_recipe", "train", "epochs")
    called = _CALLED.get(record.status, f"is {record.status}")
    done = plural(record.finished_epochs, "epoch")
    if planned:
        done = f"{record.finished_epochs:,} of {plural(planned, 'epoch')}"
    verb = "is" if 1 in (record.finished_epochs, planned) else "are"
    text = f"This run {called}: {done} {verb} done, and this is what there is."
    error = record.word("error")
    return f"{text} {error}" if error else text


def _facts(record: Record, figures: Figures | None, look: Look) -> list[tuple[str, str, str]]:
    """What, its figure, and a line below it."""
    facts = []
    if figures is not None and look.pictures is not None:
        name = "Test accuracy" if look.pictures.split == "test" else "Validation accuracy"
        below = (
            f"of {plural(figures.images, 'picture')}; always guessing “{figures.naive_class}” "
            f"gives {percent(figures.naive_top1)}"
        )
        facts.append((name, percent(figures.top1), below))
    elif record.number("test", "top1") is not None:
        below = (
            f"of {plural(record.integer('test', 'images'), 'picture')}; always guessing the "
            f"commonest class gives {percent(record.number('test', 'naive_top1'))}"
        )
        facts.append(("Test accuracy", percent(record.number("test", "top1")), below))
    if record.best and record.best.top1 is not None:
        facts.append(
            (
                "Best validation accuracy",
                percent(record.best.top1),
                f"in epoch {record.best.epoch}, loss {figure(record.best.loss)}",
            )
        )
    if look.network is not None:
        summary = look.network.summary
        below = f"{count(summary.mult_adds)} multiply-adds a picture"
        facts.append(("Parameters", count(summary.torch_params), below))
    elif record.params is not None:
        facts.append(("Parameters", count(record.params), ""))
    return facts


def _commands(record: Record) -> list[tuple[str, str]]:
    """What each does, and what to type."""
    run, lines = shlex.quote(record.name), []
    command = record.settings.get("command")
    if isinstance(command, list):
        lines.append(("It was trained by", shlex.join(["zoo", *map(str, command)])))
    if record.can_go_on:
        lines.append(("Go on with it", f"zoo train --resume {run}"))
    model = record.word("origin") or record.word("model")
    if model:
        again = f"zoo train {shlex.quote(model)} --recipe {run}"
        lines.append(("Train it again on the same pictures", again))
    if (record.path / "best.safetensors").is_file():
        lines.append(("Evaluate it", f"zoo evaluate {run}"))
    lines.append(("Make this page again", f"zoo report {run} --force"))
    return lines


def _labels(figures: Figures) -> list[str]:
    """The classes' names as the matrix has room for them."""
    is_detailed = len(figures.classes) <= DETAILED_CLASSES
    return told_apart(figures.classes, _LABEL if is_detailed else _SMALL_LABEL)


def _matrix(figures: Figures) -> list[tuple[str, list[Cell]]] | None:
    """A row for each true class; None where they are too many."""
    if len(figures.classes) > MATRIX_CLASSES:
        return None
    return [
        (name, [_cell(figures, true, predicted) for predicted in range(len(figures.classes))])
        for true, name in enumerate(figures.classes)
    ]


def _cell(figures: Figures, true: int, predicted: int) -> Cell:
    row, classes = figures.confusion[true], figures.classes
    images = row[predicted]
    share = images / sum(row) if sum(row) else 0.0
    title = (
        f"{plural(images, 'picture')} of {classes[true]} taken for {classes[predicted]}, "
        f"{percent(share)} of the class"
    )
    return Cell(images, share, title, true == predicted)


def _reliability(figures: Figures) -> Chart:
    known = [
        Group(one.confidence, one.accuracy, one.images)
        for one in figures.reliability
        if one.confidence is not None and one.accuracy is not None
    ]
    error = percent(figures.expected_calibration_error)
    label = (
        f"Accuracy against probability in {len(known)} groups of answers; the expected "
        f"calibration error is {error}."
    )
    caption = (
        f"Answers in 15 equal groups of probability. On the dashed line they are right as often as "
        f"they say; the bars are the gaps, whose mean over all pictures is the expected "
        f"calibration error: {error}."
    )
    return charts.reliability(known, label, caption)


def _layers(summary: Summary) -> list[LayerRow]:
    params = max((row.torch_params for row in summary.layers), default=0) or 1
    work = max((row.mult_adds for row in summary.layers), default=0) or 1
    return [
        LayerRow(row, row.torch_params / params, row.mult_adds / work) for row in summary.layers
    ]


def _recipe(record: Record) -> str:
    """The resolved recipe as YAML; as JSON where it is none of this version's."""
    resolved = record.settings.get("resolved_recipe")
    if not isinstance(resolved, dict):
        return ""
    try:
        return recipe.resolved_yaml(recipe.from_json(resolved, str(record.path / "run.json")))
    except RecipeError:
        return json.dumps(resolved, indent=2)


def _moment(text: str | None) -> str | None:
    """`2026-11-23 06:48 UTC`."""
    return None if text is None else f"{datetime.fromisoformat(text).astimezone(UTC):%F %R} UTC"


def _settings(record: Record) -> list[tuple[str, str]]:
    """Where and how it was trained."""
    versions = record.settings.get("versions")
    names = {
        "started": _moment(record.started),
        "status": record.status,
        "architecture": record.word("model"),
        "recipe": record.word("recipe"),
        "weights": record.word("weights"),
        "data": record.word("data"),
        "seed": record.integer("seed"),
        "max steps": record.integer("max_steps"),
        "device": record.word("device"),
        "processor": record.word("processor"),
        "precision": record.word("precision"),
        "threads": record.integer("threads"),
        "processes": record.integer("processes"),
        "platform": record.word("platform"),
        **(versions if isinstance(versions, dict) else {}),
    }
    found = [(name, str(value)) for name, value in names.items() if value is not None]
    return found + [("overridden", text) for text in record.overridden]
