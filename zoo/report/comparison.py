"""The page that compares several runs."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
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
from zoo.wording import count, figure, percent, plural

_WARM_UPS, _PASSES, _SECONDS = 3, 30, 1.5
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
    compared = [
        _compared(_letters(index), record, arithmetic) for index, record in enumerate(records)
    ]
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


def _compared(letter: str, record: Record, arithmetic: Precision) -> Compared:
    latency, problem = None, ""
    try:
        latency = latency_ms(record.path, arithmetic)
    except (UsageError, ModelFileError) as error:
        problem = error.message
    return Compared(letter, record, compared_row(record), latency, problem)


@torch.inference_mode()
def latency_ms(run: Path, arithmetic: Precision) -> float:
    """Milliseconds that one picture takes through a run's best network: the median of some passes.

    Raises:
        UsageError, ModelFileError: there are no weights to use.
    """
    path = modelfile.locate(str(run))
    description = read_description(path)
    network = arithmetic.place(modelfile.load_network(path, description))
    picture = torch.zeros(1, *description.input_shape, device=arithmetic.device)
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < _WARM_UPS + _PASSES and time.perf_counter() - start < _SECONDS:
        times.append(_pass_ms(network, picture, arithmetic))
    while len(times) <= _WARM_UPS:
        times.append(_pass_ms(network, picture, arithmetic))
    return median(times[_WARM_UPS:])


def _pass_ms(network: torch.nn.Module, picture: torch.Tensor, arithmetic: Precision) -> float:
    before = time.perf_counter()
    arithmetic.logits(network, picture).cpu()  # which waits for a GPU
    return 1000 * (time.perf_counter() - before)


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
