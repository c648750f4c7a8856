"""By which pictures runs were judged, so that only what compares is compared. Imports no torch."""

import csv
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from zoo.runs.record import Record
from zoo.wording import plural

Split = Literal["test", "validation"]


@dataclass(frozen=True)
class Judged:
    """Runs that were judged by the same pictures."""

    letters: tuple[str, ...]
    pictures: str
    """Such as `359 test pictures of digits`."""


def grouped(runs: Sequence[tuple[str, Record, Split]]) -> list[Judged]:
    """Runs that were judged by the same pictures together, in the order of the runs.

    Args:
        runs: a letter or a name, what is known of the run, and the split whose accuracy it shows.
    """
    groups: list[list[tuple[str, Record, Split]]] = []
    for run in runs:
        same = next((group for group in groups if _is_same(group[0], run)), None)
        if same is None:
            groups.append([run])
        else:
            same.append(run)
    return [
        Judged(tuple(letter for letter, *_ in group), _told(group[0][1], group[0][2]))
        for group in groups
    ]


def _is_same(one: tuple[str, Record, Split], other: tuple[str, Record, Split]) -> bool:
    (_, record, split), (_, other_record, other_split) = one, other
    if split != other_split:
        return False
    digest, other_digest = (each.word("pictures_digest") for each in (record, other_record))
    if digest is None or other_digest is None:  # of a run that says no more than its settings
        return bool(_settings(record) == _settings(other_record))
    # The digest is of all splits: where training differs, validation and test may still agree.
    if digest == other_digest:
        return True
    drawn = _drawn(record, split)
    return bool(drawn) and drawn == _drawn(other_record, split)


def _settings(record: Record) -> Any:
    resolved = record.settings.get("resolved_recipe")
    dataset = resolved.get("dataset") if isinstance(resolved, dict) else None
    return record.word("data"), dataset


def _drawn(record: Record, split: Split) -> frozenset[str]:
    """The content hashes of a split that zoo drew; empty where the source has split itself."""
    with (
        suppress(OSError, ValueError, KeyError, csv.Error),
        (record.path / "split.csv").open(encoding="utf-8", newline="") as file,
    ):
        return frozenset(row["hash"] for row in csv.DictReader(file) if row["split"] == split)
    return frozenset()


def _told(record: Record, split: Split) -> str:
    number = record.integer("pictures", split)
    pictures = f"{split} pictures" if number is None else plural(number, f"{split} picture")
    source = record.word("resolved_recipe", "dataset", "source") or "an unknown source"
    data = record.word("data")
    return f"{pictures} of {source}" + (f" in {data}" if data else "")
