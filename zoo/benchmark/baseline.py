"""An earlier benchmark, and which rows are slower than its."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zoo.benchmark.row import Key, Row, key_of
from zoo.errors import UsageError
from zoo.files import disk_errors

_FEW = 3


class _Earlier(BaseModel):
    """What is read of a row; the rest is for people."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str
    format: str
    precision: str
    batch_size: int
    threads: int
    latency_ms: float = Field(gt=0, allow_inf_nan=False)
    interval_ms: tuple[float, float]

    @property
    def key(self) -> Key:
        """As a row's."""
        return key_of(self.model, self.format, self.precision, self.batch_size, self.threads)

    def __str__(self) -> str:
        return (
            f"{self.model} ({self.format}, {self.precision}, batch {self.batch_size}, "
            f"threads {self.threads})"
        )


class Baseline(BaseModel):
    """An earlier benchmark."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    rows: tuple[_Earlier, ...]
    machine: dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """A row beside its partner in the baseline."""

    row: Row
    before_ms: float
    is_slower: bool
    """By more than is tolerated, whatever the two medians are within their intervals."""

    @property
    def times(self) -> float:
        """How many times as long as before."""
        return self.row.latency_ms / self.before_ms


def read(path: Path) -> Baseline:
    """Reads what `zoo benchmark --json` wrote.

    Raises:
        UsageError: it is not there, or something else.
        DiskError: it can't be read.
    """
    if not path.is_file():
        raise UsageError(
            f"--baseline: {path} does not exist.",
            hint=f"zoo benchmark MODEL --json > {path} writes one.",
        )
    with disk_errors("read", path):
        content = path.read_bytes()
    try:
        document = json.loads(content)
        if not isinstance(document, dict) or not document.get("rows"):
            raise ValueError("no rows")
        return Baseline.model_validate(document)
    except (ValueError, RecursionError, ValidationError) as error:
        raise UsageError(
            f"--baseline: {path} is no result of a benchmark.",
            hint="zoo benchmark MODEL --json > FILE writes one.",
        ) from error


def check_has_partner(keys: Collection[Key], baseline: Baseline, path: Path) -> None:
    """Refuses a baseline in which nothing is that will be measured.

    Args:
        keys: of the rows to come.
        baseline: measured before.
        path: of the baseline.

    Raises:
        UsageError: names what it holds.
    """
    if not any(row.key in keys for row in baseline.rows):
        held = [str(row) for row in baseline.rows]
        more = f" and {len(held) - _FEW} more" if len(held) > _FEW else ""
        raise UsageError(
            f"--baseline: no row of {path} has a partner here; it has "
            f"{', '.join(held[:_FEW])}{more}.",
            hint="A partner has the same model, format, precision, batch size and threads.",
        )


def compare(rows: Sequence[Row], baseline: Baseline, tolerance: float) -> list[Comparison]:
    """Each row that has a partner beside it.

    A row is slower only where even the low end of its interval is above the high end of the other's
    by more than the tolerance: noise alone should fail nobody.

    Args:
        rows: measured now.
        baseline: measured before.
        tolerance: a share of the latency before.
    """
    partners = {row.key: row for row in baseline.rows}
    found = []
    for row in rows:
        if before := partners.get(row.key):
            limit = before.interval_ms[1] * (1 + tolerance)
            found.append(Comparison(row, before.latency_ms, row.interval_ms[0] > limit))
    return found


def notes(
    rows: Sequence[Row], baseline: Baseline, machine: dict[str, Any], path: Path
) -> list[str]:
    """What keeps the two from being compared."""
    here, there = {row.key for row in rows}, {row.key for row in baseline.rows}
    alone = [f"{row} is not in {path}" for row in rows if row.key not in there]
    alone += [f"{row} of {path} was not measured" for row in baseline.rows if row.key not in here]
    other = [
        f"{path} was measured with {name} {baseline.machine.get(name)}, this with {value}"
        for name, value in machine.items()
        if baseline.machine.get(name) != value
    ]
    return [*other, *alone]
