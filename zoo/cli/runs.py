"""`zoo runs list | show | compare`."""

import json
import shlex
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.app import OUTPUT, command, group
from zoo.cli.output import (
    Column,
    Result,
    Table,
    count,
    figure,
    percent,
    plural,
    speed,
    terminal_width,
)
from zoo.cli.sparkline import sparkline

if TYPE_CHECKING:
    from zoo.runs import Difference, Record

runs = group(
    "runs",
    help="Runs: what zoo train wrote, in a list, one by one, and side by side.",
    example="zoo runs list",
)

# Rows of epochs that people read; --csv and --json have all.
_ENDS = 3


def _duration(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:,.1f}"


def _local(moment: str | None) -> str:
    """A moment on the user's clock, to the minute."""
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}" if moment else "–"


def _setting(value: Any) -> str:
    """A setting's value as it would be typed."""
    return "–" if value is None else value if isinstance(value, str) else json.dumps(value)


_RUN = Column("run", "Run")
_VAL_TOP1 = Column("val_top1", "Val top-1", percent, right=True)
_VAL_LOSS = Column("val_loss", "Val loss", figure, right=True)
_TEST_TOP1 = Column("test_top1", "Test top-1", percent, right=True)
_PARAMS = Column("params", "Parameters", count, right=True)
_SECONDS = Column("seconds", "Seconds", _duration, right=True)
_SPEED = Column("images_per_second", "Speed", speed, right=True)

LIST = (
    _RUN,
    Column("model", "Model"),
    Column("recipe", "Recipe"),
    Column("status", "Status"),
    Column("epochs", "Epochs", right=True),
    Column("planned_epochs", "Planned", count, right=True),
    _VAL_TOP1,
    Column("best_epoch", "Best epoch", count, right=True),
    _TEST_TOP1,
    _PARAMS,
    _SECONDS,
    Column("started", "Started", _local),
)
COMPARE = (
    _RUN,
    _VAL_TOP1,
    _VAL_LOSS,
    _TEST_TOP1,
    _PARAMS,
    _SECONDS,
    _SPEED,
    Column("epochs", "Epochs", count, right=True),
)
EPOCHS = (
    Column("epoch", "Epoch", right=True),
    Column("train_loss", "Loss", figure, right=True),
    Column("train_top1", "Top-1", percent, right=True),
    _VAL_LOSS,
    _VAL_TOP1,
    Column("lr", "Rate", lambda rate: "–" if rate is None else f"{rate:.3g}", right=True),
    _SECONDS,
    _SPEED,
)

# Columns that a narrow terminal does without, the first to go first.
_LIST_SPARES = ("best_epoch", "planned_epochs", "recipe", "seconds", "started", "params", "model")
_COMPARE_SPARES = ("epochs", "seconds", "images_per_second", "params")
_EPOCHS_SPARES = ("seconds", "lr", "images_per_second")

RunArg = Annotated[str, typer.Argument(metavar="RUN", help="A directory that zoo train wrote.")]
Sort = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Order of the rows: the newest, most accurate and fastest first, all else ascending.",
    ),
]


@command(runs, "list", example="zoo runs list\nzoo runs list --sort test_top1 --csv", table=True)
def list_runs(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where the runs lie, also a few levels below.")
    ] = Path("runs"),
    sort: Sort = None,
) -> Result:
    """List runs, the newest first."""
    from zoo.runs import find, listed_row, sort_rows

    records = find(directory)
    for record in records:
        if problem := record.problem or record.omission:
            OUTPUT.note(problem)
    if not records:
        OUTPUT.note(f"no run lies in {directory}")
    keys = [column.key for column in LIST]
    rows = sort_rows([listed_row(record) for record in records], sort or "started", keys)
    return Result({"runs": rows}, table=Table(LIST, rows, spares=_LIST_SPARES))


@command(runs, "show", example="zoo runs show runs/lenet5-digits", table=True)
def show(run: RunArg) -> Result:
    """Show a run: its epochs, its outcome, its settings."""
    from zoo.runs import open_run
    from zoo.runs.results import to_rows

    record = open_run(run)
    rows = to_rows(record.epochs)
    _note_problems(record)
    document = {
        "run": record.name,
        "status": record.status,
        "settings": record.settings,
        "best": asdict(record.best) if record.best else None,
        "final": record.final,
        "test": record.test,
        "epochs": rows,
        "params": record.params,
        "seconds": record.seconds,
        "images_per_second": record.images_per_second,
        "started": record.started,
        "error": record.word("error"),
    }
    if OUTPUT.csv or OUTPUT.markdown:
        known = {column.key for column in EPOCHS}
        others = [Column(key, key) for key in record.epochs.columns if key not in known]
        return Result(document, table=Table([*EPOCHS, *others], rows))
    return Result(document, _show_text(record, rows))


@command(
    runs,
    "compare",
    example="zoo runs compare runs/*\nzoo runs compare runs/a runs/b --sort test_top1 --json",
    table=True,
)
def compare(
    names: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Two or more directories of runs.")
    ],
    sort: Sort = None,
) -> Result:
    """Compare runs: their figures, and the settings in which they differ."""
    from zoo.runs import compared_row, differences, open_several, sort_rows

    records = {record.name: record for record in open_several(names)}
    rows = [compared_row(record) for record in records.values()]
    if sort is not None:
        rows = sort_rows(rows, sort, [column.key for column in COMPARE])
    for record in records.values():
        _note_problems(record)
    if several := _judged_apart(rows, records):
        OUTPUT.note(several)
    found = differences([records[row["run"]] for row in rows])
    document = {"runs": rows, "differences": [asdict(one) for one in found]}
    if not (OUTPUT.csv or OUTPUT.markdown):
        table = Table(COMPARE, rows, spares=_COMPARE_SPARES)
        return Result(document, _differences_text(found, rows), table)
    columns = [*COMPARE, *(Column(one.key, one.key, _setting) for one in found)]
    wide = [
        {**row, **{one.key: _typed(one.values[index]) for one in found}}
        for index, row in enumerate(rows)
    ]
    return Result(document, table=Table(columns, wide))


def _judged_apart(rows: list[dict[str, Any]], records: "dict[str, Record]") -> str:
    """A sentence where accuracies are of different pictures; empty where they compare."""
    from zoo.runs.judged import Split, grouped

    parts: list[str] = []
    splits: dict[Split, str] = {"test": "test_top1", "validation": "val_top1"}
    for split, key in splits.items():
        shown = [row["run"] for row in rows if row[key] is not None]
        groups = grouped([(name, records[name], split) for name in shown])
        if len(groups) > 1:
            parts += [f"{', '.join(one.letters)} by {one.pictures}" for one in groups]
    if not parts:
        return ""
    return f"runs judged by different pictures do not compare: {'; '.join(parts)}"


def _note_problems(record: "Record") -> None:
    for problem in (record.omission, record.results_problem):
        if problem:
            OUTPUT.note(problem)


def _show_text(record: "Record", rows: list[dict[str, Any]]) -> str:
    epochs = Table(EPOCHS, _excerpt(record, rows), spares=_EPOCHS_SPARES)
    table, left_out = epochs.fitting(terminal_width())
    parts = [
        f"{record.name}: {_setting(record.word('model'))} on {_setting(record.word('recipe'))}, "
        f"{record.status}",
        table.to_text(terminal_width()) if rows else "",
        left_out,
        "\n".join(_curves(rows)),
        "\n".join(_outcome(record)),
        "\n".join(["settings:", *_settings(record)]),
        "\n".join(["next:", *(f"  {line}" for line in _next(record))]),
    ]
    return "\n\n".join(part for part in parts if part)


def _excerpt(record: "Record", rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first rows, the best one, the last ones, and a row of dots for each gap."""
    best = record.best.epoch if record.best else None
    kept: list[dict[str, Any]] = []
    left_out = False
    for index, row in enumerate(rows):
        is_end = index < _ENDS or index >= len(rows) - _ENDS
        if is_end or row["epoch"] == best:
            kept += [{"epoch": "..."}] if left_out else []
            kept.append(row)
        left_out = not (is_end or row["epoch"] == best)
    return kept


def _curves(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    for key, title, text in (
        ("train_loss", "loss     ", figure),
        ("val_loss", "val loss ", figure),
        ("val_top1", "val top-1", percent),
    ):
        values = [row[key] for row in rows]
        line = sparkline(values, encoding=sys.stdout.encoding)
        if line:
            lines.append(f"{title}  {line}  {text(values[0])} to {text(values[-1])}")
    return lines


def _outcome(record: "Record") -> list[str]:
    lines = []
    if record.number("test", "top1") is not None:
        named = record.word("test", "naive_class")  # not in runs of earlier versions
        lines.append(
            f"test accuracy {percent(record.number('test', 'top1'))} of "
            f"{plural(record.integer('test', 'images'), 'picture')} "
            f"(loss {figure(record.number('test', 'loss'))}); always guessing "
            f"{'the commonest class' if named is None else repr(named)} gives "
            f"{percent(record.number('test', 'naive_top1'))}"
        )
    if record.best:
        lines.append(
            f"best epoch {record.best.epoch}: validation accuracy {percent(record.best.top1)} "
            f"(loss {figure(record.best.loss)})"
        )
    planned = plural(record.integer("resolved_recipe", "train", "epochs"), "epoch")
    if record.finished_epochs:
        lines.append(
            f"{record.finished_epochs:,} of {planned} in "
            f"{_duration(record.seconds)} s of training, {speed(record.images_per_second)}"
        )
    else:
        lines.append(f"none of {planned} is finished")
    if record.word("error"):
        lines.append(f"error: {record.word('error')}")
    return lines


def _settings(record: "Record") -> list[str]:
    versions = record.settings.get("versions")
    command = record.settings.get("command")
    weights, data = record.word("weights"), record.word("data")
    pairs = {
        "started": _local(record.started),
        "parameters": count(record.params),
        "seed": _setting(record.integer("seed")),
        "max steps": _setting(record.integer("max_steps")),
        "device": _setting(record.word("device")),
        "precision": _setting(record.word("precision")),
        "threads": _setting(record.integer("threads")),
        "versions": ", ".join(f"{name} {text}" for name, text in versions.items())
        if isinstance(versions, dict)
        else "–",
        "weights": _setting(weights),
        "data": _setting(data),
        "command": shlex.join(["zoo", *map(str, command)]) if isinstance(command, list) else "–",
    }
    lines = [f"  {name:<10}  {text}" for name, text in pairs.items() if text != "–"]
    for one in record.overridden:
        lines.append(f"  {'overridden':<10}  {one}")
    return lines


def _next(record: "Record") -> list[str]:
    run, lines = shlex.quote(record.name), []
    if record.can_go_on:
        lines.append(f"zoo train --resume {run}")
    if (record.path / "best.safetensors").is_file():
        lines.append(f"zoo evaluate {run}")
    if not (record.path / "report.html").exists():
        lines.append(f"zoo report {run}")
    model = record.word("origin") or record.word("model")
    if record.status != "running" and model:
        again = f"zoo train {shlex.quote(model)} --recipe {run}"
        lines.append(f"{again}{_smaller_rate(record)}")
    return lines


def _smaller_rate(record: "Record") -> str:
    """` --lr 0.01` for a run that diverged, whose own rate would diverge again."""
    rate = record.number("resolved_recipe", "train", "lr")
    return f" --lr {rate / 10:.3g}" if record.status == "diverged" and rate else ""


def _differences_text(found: "list[Difference]", rows: list[dict[str, Any]]) -> str:
    if not found:
        return "The settings are the same."
    columns = [Column("key", "Setting")]
    columns += [Column(str(index), row["run"], _setting) for index, row in enumerate(rows)]
    lines = [
        {"key": one.key, **{str(index): value for index, value in enumerate(one.values)}}
        for one in found
    ]
    return Table(columns, lines).to_text(terminal_width())


def _typed(value: Any) -> Any:
    """A setting in a cell of CSV: what is no plain value as JSON."""
    return json.dumps(value) if isinstance(value, list | dict) else value
