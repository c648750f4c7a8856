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
from zoo.report.charts import Chart, Series
from zoo.report.page import render
from zoo.runs import Record, compared_row, differences
from zoo.runs.results import to_rows
from zoo.timing import Goal, Pass, forward_pass, medians_ms
from zoo.wording import count, figure, percent, plural

_TIMED = Goal(spread=0.02, seconds=0.7)
_CURVES = (
    ("Validation accuracy", "val_top1", percent, True),
    ("Validation loss", "val_loss", figure, False),
    ("Training loss", "train_loss", figure, False),
)


@dataclass(frozen=True)
class Compared:
    """A run beside others."""

    letter: str
    record: Record
    row: dict[str, Any]
    """Its figures, as `zoo runs compare` has them."""
    latency_ms: float | None
    """Of one picture, measured here; None where there are no weights."""
    problem: str
    """Why there is no latency."""

    @property
    def top1(self) -> float | None:
        """On the test pictures; where there is none, on validation."""
        test: float | None = self.row["test_top1"]
        validation: float | None = self.row["val_top1"]
        return validation if test is None else test


def comparison_page(records: Sequence[Record], arithmetic: Precision) -> str:
    """The page of several runs.

    Args:
        records: two or more.
        arithmetic: in which a picture's way through each network is timed.
    """
    compared = _compared(records, arithmetic)
    found = differences(records)
    drawn = [_curve(compared, *settings) for settings in _CURVES]
    drawn += [
        _scatter(
            compared, "Accuracy against parameters", "parameters",
            [one.row["params"] for one in compared], count,
        ),
        _scatter(
            compared, "Accuracy against latency", "milliseconds for one picture",
            [one.latency_ms for one in compared], lambda value: f"{value:.3g} ms",
        ),
    ]  # fmt: skip
    names = ", ".join(record.name for record in records)
    return render(
        "comparison.html",
        title=f"{plural(len(records), 'run')} compared",
        names=names,
        compared=compared,
        charts=[one for one in drawn if one is not None],
        differences=[(one.key, [_setting(value) for value in one.values]) for one in found],
        device=str(arithmetic.device),
        threads=torch.get_num_threads(),
        series_colours=charts.SERIES_COLOURS,
    )


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
            _letters(index),
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
            dashed=index // charts.SERIES_COLOURS % 2 == 1,
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
    return charts.curves(title, label, epochs, series, is_share=is_share)


def _scatter(
    compared: Sequence[Compared],
    title: str,
    x_label: str,
    costs: Sequence[float | None],
    text: Any,
) -> Chart | None:
    places = [
        (
            cost,
            one.top1,
            one.letter,
            f"{one.letter} {one.record.name}: {percent(one.top1)}, {text(cost)}",
            index,
        )
        for index, (one, cost) in enumerate(zip(compared, costs, strict=True))
        if cost is not None and one.top1 is not None and math.isfinite(cost) and cost > 0
    ]
    if not places:
        return None
    label = f"{title}: {'; '.join(place[3] for place in places)}."
    return charts.scatter(title, label, x_label, places)


def _setting(value: Any) -> str:
    """A setting's value as it would be typed."""
    return "–" if value is None else value if isinstance(value, str) else json.dumps(value)
