"""What `zoo benchmark` prints of what was measured."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.cli.app import OUTPUT
from zoo.cli.output import Column, Result, Table, compact, percent, plural, speed
from zoo.errors import ThresholdError, ZooError

if TYPE_CHECKING:
    from zoo.benchmark import Benchmark
    from zoo.benchmark.baseline import Baseline, Comparison


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _megabytes(value: int | None) -> str:
    return "–" if value is None else f"{value / 1e6:.2f} MB"


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


COLUMNS = (
    Column("model", "Model"),
    Column("format", "Format"),
    Column("precision", "Precision"),
    Column("batch_size", "Batch", right=True),
    Column("latency_ms", "Latency, ms", _ms, right=True),
    Column("spread", "±", percent, right=True),
    Column("p95_ms", "p95, ms", _ms, right=True),
    Column("images_per_second", "Speed", speed, right=True),
    Column("ceiling_share", "Of ceiling", percent, right=True),
    Column("mult_adds", "Mult-adds", compact, right=True),
    Column("file_bytes", "File", _megabytes, right=True),
    Column("peak_memory_bytes", "Peak memory", _megabytes, right=True),
)
SPARES = ("peak_memory_bytes", "mult_adds", "file_bytes", "p95_ms", "ceiling_share")
"""What a narrow terminal leaves out first."""
TOP1 = Column("top1", "Top-1", percent, right=True)
BEFORE = (
    Column("baseline_ms", "Before, ms", _ms, right=True),
    Column("baseline_times", "Times", _times, right=True),
)


@dataclass(frozen=True)
class Against:
    """What to compare with, and how strictly."""

    path: Path
    baseline: "Baseline"
    tolerance: float


@dataclass
class _Compared:
    """How the rows stand beside those of the baseline."""

    by_row: "dict[tuple[object, ...], Comparison]" = field(default_factory=dict)
    document: dict[str, Any] | None = None
    text: str = ""
    failure: ZooError | None = None


def result_of(
    measured: "Benchmark", against: Against | None, png: Path | None, failure: ZooError | None
) -> Result:
    """Table, JSON and picture of a benchmark.

    Args:
        measured: as far as it came.
        against: the baseline, if any.
        png: the picture to write, if any.
        failure: what ended it early; figures that are missing then fail no comparison.
    """
    from zoo.benchmark.plot import draw

    rows = measured.rows
    compared = _Compared() if against is None or failure else _compare(measured, against)
    for note in measured.notes:
        OUTPUT.note(note)
    if png is not None:
        draw(rows, png)
    documents = [{**asdict(row), **_before(compared.by_row.get(row.key))} for row in rows]
    columns = [*COLUMNS]
    columns += [TOP1] if any(row.top1 is not None for row in rows) else []
    columns += BEFORE if compared.by_row else []
    text = [_summary(measured), compared.text, f"picture: {png}" if png else ""] if rows else []
    return Result(
        {"rows": documents, **_document(measured, png), "baseline": compared.document},
        "\n".join(line for line in text if line),
        Table(columns, documents, spares=SPARES) if rows else None,
        failure=failure or compared.failure,
    )


def _before(comparison: "Comparison | None") -> dict[str, Any]:
    if comparison is None:
        return {}
    return {
        "baseline_ms": comparison.before_ms,
        "baseline_times": comparison.times,
        "is_slower": comparison.is_slower,
    }


def _document(measured: "Benchmark", png: Path | None) -> dict[str, Any]:
    from zoo.timing import CONFIDENCE

    turns, goal = measured.turns, measured.request.goal
    return {
        "machine": measured.machine,
        "ceilings": [
            {
                "precision": one.name,
                "device": str(one.device),
                "mult_adds_per_second": top.mult_adds_per_second,
            }
            for one, top in measured.ceilings.items()
        ],
        "measuring": {
            "confidence": CONFIDENCE,
            "spread": goal.spread,
            "seconds_a_row": goal.seconds,
            "seed": measured.request.seed,
            "seconds": turns.seconds if turns else None,
            "settled": measured.settled,
        },
        "judged_by": {
            name: {"recipe": shown.recipe, "split": shown.split}
            for name, shown in measured.judged_by.items()
        },
        "too_large": measured.too_large,
        "png": None if png is None else str(png),
    }


def _summary(measured: "Benchmark") -> str:
    """How it was measured, and how sure the figures are."""
    rows, turns = measured.rows, measured.turns
    assert turns is not None
    rounds, goal = max(row.rounds for row in rows), measured.request.goal
    worst = percent(max(row.spread for row in rows))
    sure = (
        f"every median is known within {percent(goal.spread)}"
        if measured.settled
        else f"time was up before every median was known within {percent(goal.spread)}: the least "
        f"known within {worst}"
    )
    devices = dict.fromkeys(row.device for row in rows)
    where = f"{' and '.join(devices)}, {plural(measured.threads, 'thread')}"
    ceilings = ", ".join(
        f"{one.name} {top.mult_adds_per_second / 1e9:.1f} G/s"
        for one, top in measured.ceilings.items()
    )
    lines = [
        f"{where}: {plural(rounds, 'round')} of turns in {turns.seconds:.1f} s; {sure} (95 % "
        "confidence)",
        f"ceiling, multiply-adds of matrix products: {ceilings}",
    ]
    tasks = {f"{shown.split} pictures of {shown.recipe}" for shown in measured.judged_by.values()}
    if tasks:
        lines.append(f"top-1 on {', '.join(sorted(tasks))}")
    return "\n".join(lines)


def _compare(measured: "Benchmark", against: Against) -> _Compared:
    from zoo.benchmark.baseline import compare, notes

    rows, path = measured.rows, against.path
    for note in notes(rows, against.baseline, measured.machine, path):
        OUTPUT.note(note)
    found = compare(rows, against.baseline, against.tolerance)
    slower = [one for one in found if one.is_slower]
    limit = f"{percent(against.tolerance)} and the intervals of both medians"
    failure: ZooError | None = None
    if slower:
        each = "; ".join(f"{one.row} takes {one.times:.2f} times as long" for one in slower)
        failure = ThresholdError(f"Slower than {path} by more than {limit}: {each}.")
    return _Compared(
        {one.row.key: one for one in found},
        {
            "file": str(path),
            "tolerance": against.tolerance,
            "compared": len(found),
            "slower": len(slower),
        },
        f"{len(slower)} of {plural(len(found), 'row')} slower than {path} by more than {limit}",
        failure,
    )
