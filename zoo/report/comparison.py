"""The page that compares several runs."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from zoo import modelfile
from zoo.description import read_description
from zoo.errors import ModelFileError, UsageError
from zoo.precision import Precision
from zoo.report import charts
from zoo.report.charts import Chart, Place, Series
from zoo.report.page import render
from zoo.report.svg import SERIES_COLOURS
from zoo.runs import Record, compared_row, differences
from zoo.runs.judged import Split, grouped
from zoo.runs.results import to_rows
from zoo.timing import Goal, Pass, forward_pass, medians_ms
from zoo.wording import count, figure, percent, plural

_TIMED = Goal(spread=0.02, seconds=0.7)
_COLUMNS = 8
"""Of more runs a setting's values are listed, each with its runs, instead of a column for each."""
_CURVES = (
    ("Validation accuracy", "val_top1", percent, True),
    ("Validation loss", "val_loss", figure, False),
    ("Training loss", "train_loss", figure, False),
)


@dataclass(frozen=True)
class Compared:
    """A run beside others."""

    index: int
    """From 0."""
    record: Record
    row: dict[str, Any]
    """Its figures, as `zoo runs compare` has them."""
    latency_ms: float | None
    """Of one picture, measured here; None where there are no weights."""
    problem: str
    """Why there is no latency."""

    @property
    def val_loss(self) -> float | None:
        """Of the last epoch; of the best one where the table of epochs can't be read."""
        last: float | None = self.row["val_loss"]
        best = self.record.best
        return best.loss if best and self.lacks_epochs else last

    @property
    def lacks_epochs(self) -> bool:
        """Whether the table of epochs can't be read at all."""
        return bool(self.record.results_problem) and self.record.epochs.empty

    @property
    def letter(self) -> str:
        """By which the page calls it."""
        return _letters(self.index)

    @property
    def split(self) -> Split:
        """The pictures that it is judged by: test, or validation where there is no test figure."""
        return "validation" if self.row["test_top1"] is None else "test"

    @property
    def top1(self) -> float | None:
        """On those pictures."""
        found: float | None = self.row["test_top1" if self.split == "test" else "val_top1"]
        return found


def comparison_page(records: Sequence[Record], arithmetic: Precision) -> tuple[str, list[str]]:
    """The page of several runs, and what the user should know of it.

    Args:
        records: two or more.
        arithmetic: in which a picture's way through each network is timed.
    """
    compared = _compared(records, arithmetic)
    found = differences(records)
    judged = [one for one in compared if one.top1 is not None]
    groups = grouped([(one.letter, one.record, one.split) for one in judged])
    notes = [f"no latency of {one.record.name}: {one.problem}" for one in compared if one.problem]
    if len(groups) > 1:
        notes.append("the runs were judged by different pictures: the page says by which")
    drawn = [_curve(compared, *settings) for settings in _CURVES]
    drawn += [
        _scatter(
            judged, "Accuracy against parameters", "parameters",
            [one.row["params"] for one in judged], count, mixed=len(groups) > 1,
        ),
        _scatter(
            judged, "Accuracy against latency", "milliseconds for one picture",
            [one.latency_ms for one in judged], lambda value: f"{value:.3g} ms",
            mixed=len(groups) > 1,
        ),
    ]  # fmt: skip
    names = ", ".join(record.name for record in records)
    page = render(
        "comparison.html",
        title=f"{plural(len(records), 'run')} compared",
        names=names,
        compared=compared,
        groups=groups,
        charts=[one for one in drawn if one is not None],
        differences=[(one.key, [_setting(value) for value in one.values]) for one in found],
        by_value=[(one.key, _by_value(one.values)) for one in found],
        columns=_COLUMNS,
        device=str(arithmetic.device),
        threads=torch.get_num_threads(),
        series_colours=SERIES_COLOURS,
    )
    return page, notes


def _compared(records: Sequence[Record], arithmetic: Precision) -> list[Compared]:
    """The runs, their networks timed in turns."""
    passes, problems = dict[int, Pass](), dict[int, str]()
    for index, record in enumerate(records):
        try:
            passes[index] = _pass(record.path, arithmetic)
        except (UsageError, ModelFileError) as error:
            problems[index] = error.message
    latencies = dict(zip(passes, medians_ms([*passes.values()], _TIMED), strict=True))
    return [
        Compared(
            index,
            record,
            compared_row(record),
            latencies.get(index),
            problems.get(index, ""),
        )
        for index, record in enumerate(records)
    ]


def _pass(run: Path, arithmetic: Precision) -> Pass:
    """One picture's way through a run's best network.

    Raises:
        UsageError, ModelFileError: there are no weights to use.
    """
    path = modelfile.locate(str(run))
    description = read_description(path)
    network = modelfile.load_network(path, description)
    return forward_pass(network, description.input_shape, arithmetic)


def _letters(index: int) -> str:
    """A, B, … Z, AA, AB and so on."""
    head, tail = divmod(index, 26)
    return (_letters(head - 1) if head else "") + chr(ord("A") + tail)


def _curve(
    compared: Sequence[Compared], title: str, key: str, text: Any, is_share: bool
) -> Chart | None:
    tables = [to_rows(one.record.epochs) for one in compared]
    series = [
        Series(
            f"{one.letter} {one.record.name}",
            [row[key] for row in rows],
            [f"{one.letter}: {text(row[key])}" for row in rows],
            index,
            dashed=index // SERIES_COLOURS % 2 == 1,
        )
        for index, (one, rows) in enumerate(zip(compared, tables, strict=True))
    ]
    epochs = [[row["epoch"] for row in rows] for rows in tables]
    last = [
        f"{one.letter} ends at {text(rows[-1][key])}"
        for one, rows in zip(compared, tables, strict=True)
        if rows and rows[-1][key] is not None
    ]
    label = f"{title} of {plural(len(compared), 'run')} over their epochs: {', '.join(last)}."
    return charts.curves(title, label, epochs, series, is_share=is_share, clips=not is_share)


def _scatter(
    judged: Sequence[Compared],
    title: str,
    x_label: str,
    costs: Sequence[float | None],
    text: Any,
    *,
    mixed: bool,
) -> Chart | None:
    shown = [
        (one, cost)
        for one, cost in zip(judged, costs, strict=True)
        if cost is not None and math.isfinite(cost) and cost > 0
    ]
    if not shown:
        return None
    places = [
        Place(
            cost,
            one.top1 or 0.0,
            one.letter,
            f"{one.letter} {one.record.name}: {percent(one.top1)} ({one.split}), {text(cost)}",
            one.index,
            is_hollow=one.split == "validation",
        )
        for one, cost in shown
    ]
    told = [f"{title}: {'; '.join(place.text for place in places)}."]
    caption = _marks({one.split for one, _ in shown})
    if mixed:
        caption += " Not all were judged by the same pictures."
        told.append("Not all were judged by the same pictures.")
    return charts.scatter(title, " ".join(told), x_label, places, caption)


def _marks(splits: set[Split]) -> str:
    """What the marks mean."""
    if len(splits) > 1:
        return (
            "Filled: on test pictures. Hollow: on validation pictures, of runs without a test "
            "figure."
        )
    if "test" in splits:
        return "On test pictures."
    return "On validation pictures, hence hollow: no run has a test figure."


def _setting(value: Any) -> str:
    """A setting's value as it would be typed."""
    return "–" if value is None else value if isinstance(value, str) else json.dumps(value)


def _by_value(values: Sequence[Any]) -> list[tuple[str, str]]:
    """Each value of a setting, and the letters of the runs that have it."""
    found: dict[str, list[str]] = {}
    for index, value in enumerate(values):
        found.setdefault(_setting(value), []).append(_letters(index))
    return [(text, ", ".join(letters)) for text, letters in found.items()]
