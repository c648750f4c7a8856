"""Runs that were made: finding, listing and comparing them. Imports no torch."""

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import ModelFileError, NotFoundError, UsageError, closest, did_you_mean
from zoo.files import disk_errors
from zoo.runs.record import Record, is_run, read

__all__ = [
    "Difference", "Record", "compared_row", "differences", "find", "listed_row",
    "open_run", "open_several", "sort_rows",
]  # fmt: skip

_DEPTH = 4  # levels below DIR: a dataset beside the runs is not searched to its end
_DESCENDING = frozenset({"started", "val_top1", "test_top1", "images_per_second"})
_COMPARED = (
    "model", "recipe", "arguments", "edits", "seed", "max_steps", "device", "precision",
    "threads", "versions",
)  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """One setting in which runs differ."""

    key: str
    """Dotted; a recipe's as `--set` takes it, such as `train.lr`."""
    values: tuple[Any, ...]
    """In the order of the runs; None where a run doesn't say."""


def find(directory: Path) -> list[Record]:
    """Every run in a directory and a few levels below; hidden directories are left out.

    Raises:
        NotFoundError: there is no such directory.
        DiskError: it can't be read.
    """
    if not directory.is_dir():
        raise NotFoundError(
            f"There is no directory {directory}.", hint="zoo train lenet5 makes a first run."
        )
    with disk_errors("read", directory):
        os.listdir(directory)
    return [read(path) for path in _search(directory, _DEPTH, set())]


def open_run(name: str) -> Record:
    """The run that a command line names.

    Raises:
        NotFoundError: it is no run's directory.
        ModelFileError: its `run.json` is damaged.
    """
    path = Path(name)
    if not name or not is_run(path):
        names = [other.name for other in _search(path.parent, 1, set()) if other != path.parent]
        match = closest(path.name, names)
        meant = path.parent if is_run(path.parent) else path.parent / match if match else None
        suggestion = f" Did you mean {meant}?" if meant else ""
        raise NotFoundError(
            f"{name!r} is no run: no run.json lies there.{suggestion}",
            hint=f"zoo runs list {shlex.quote(str(path.parent))} shows every run there.",
        )
    record = read(path)
    if record.problem:
        raise ModelFileError(record.problem)
    return record


def open_several(names: Sequence[str]) -> list[Record]:
    """Runs to be compared.

    Raises:
        UsageError: fewer than two, or one twice.
        NotFoundError: one is no run's directory.
        ModelFileError: a `run.json` is damaged.
    """
    if len(names) < 2:
        raise UsageError("Comparing takes at least two runs.", hint="zoo runs list shows them.")
    seen: dict[str, str] = {}
    for name in names:
        place = os.path.realpath(name)
        if place in seen:
            also = "" if seen[place] == name else f" (also as {seen[place]})"
            raise UsageError(f"{name} is given twice{also}.")
        seen[place] = name
    return [open_run(name) for name in names]


def listed_row(record: Record) -> dict[str, Any]:
    """A run in one line; what it doesn't say is None.

    Of a run that has ended this reads no table of epochs, so that listing hundreds is quick.
    """
    best = record.best
    return {
        "run": record.name,
        "model": record.word("model"),
        "recipe": record.word("recipe"),
        "status": record.status,
        "epochs": record.finished_epochs,
        "planned_epochs": record.integer("resolved_recipe", "train", "epochs"),
        "val_top1": best.top1 if best else None,
        "best_epoch": best.epoch if best else None,
        "test_top1": record.number("test", "top1"),
        "params": record.params,
        "seconds": record.seconds,
        "started": record.started,
    }


def compared_row(record: Record) -> dict[str, Any]:
    """A run's figures beside those of others; what it doesn't say is None."""
    best, final = record.best, record.final or {}
    return {
        "run": record.name,
        "val_top1": best.top1 if best else None,
        "val_loss": final.get("val_loss"),
        "test_top1": record.number("test", "top1"),
        "params": record.params,
        "seconds": record.seconds,
        "images_per_second": record.images_per_second,
        "epochs": record.finished_epochs,
    }


def sort_rows(
    rows: Sequence[dict[str, Any]], key: str, keys: Sequence[str]
) -> list[dict[str, Any]]:
    """The rows in order: the newest, best and fastest first, all else ascending, gaps last.

    Args:
        rows: one per run.
        key: what to sort by.
        keys: what each row has.

    Raises:
        UsageError: `key` is none of them.
    """
    asked, key = key, key.replace("-", "_")
    if key not in keys:
        raise UsageError(
            f"--sort {asked}: no column has that name. {did_you_mean(key, keys)}".rstrip(),
            hint=f"Columns: {', '.join(keys)}.",
        )
    known = [row for row in rows if row[key] is not None]
    gaps = [row for row in rows if row[key] is None]
    return sorted(known, key=lambda row: row[key], reverse=key in _DESCENDING) + gaps


def differences(records: Sequence[Record]) -> list[Difference]:
    """The settings in which runs differ; what one of them doesn't say counts as None."""
    settings = [_compared(record.document) for record in records]
    keys = dict.fromkeys(key for one in settings for key in one)
    found = [Difference(key, tuple(one.get(key) for one in settings)) for key in keys]
    return [one for one in found if any(value != one.values[0] for value in one.values)]


def _search(directory: Path, depth: int, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Runs in a directory and below it, each once: what is a link comes after what is not."""
    with suppress(OSError):  # what may not be read holds no run of the user's
        status = directory.stat()
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        if is_run(directory):
            yield directory
        elif depth > 0:
            with os.scandir(directory) as entries:
                below = [one for one in entries if one.name[0] != "." and one.is_dir()]
            for entry in sorted(below, key=lambda one: (one.is_symlink(), one.name)):
                yield from _search(directory / entry.name, depth - 1, seen)


def _compared(document: Mapping[str, Any]) -> dict[str, Any]:
    """The settings worth comparing, under dotted keys."""
    recipe = _without_surplus(document.get("resolved_recipe"))
    chosen = {key: document[key] for key in _COMPARED if key in document}
    flat = dict(_flat({**chosen, **recipe} if isinstance(recipe, dict) else chosen))
    flat.pop("description", None)  # words about the recipe
    if "seed" in flat:
        flat.pop("train.seed", None)  # the same number
    return flat


def _without_surplus(recipe: Any) -> Any:
    """A recipe without the options of other sources, optimizers and schedules than its own."""
    from zoo.schema import Dataset, Train  # pydantic takes its time

    if not isinstance(recipe, dict):
        return recipe
    kept = dict(recipe)
    for name, section in (("dataset", Dataset), ("train", Train)):
        if isinstance(given := recipe.get(name), dict):
            surplus = section.model_construct(**given).surplus_options()
            kept[name] = {key: value for key, value in given.items() if key not in surplus}
    return kept


def _flat(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
