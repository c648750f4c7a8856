"""What a run's directory says of it.

Whatever is missing or damaged is left out, never raised: a run of an earlier version, or one whose
disk was full, is still worth a line.
"""

import fcntl
import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError
from zoo.runs import results
from zoo.tensorfile import Entry, read_header
from zoo.training.outcome import Best

if TYPE_CHECKING:
    import pandas as pd

_OUTCOME = frozenset({
    "schema", "status", "exit_code", "error", "run", "epochs", "best", "test",
    "images_per_second", "seconds",
})  # fmt: skip
# What a model file holds besides parameters; integers need no name. A test counts every network.
_BUFFERS = frozenset({"running_mean", "running_var", "codes"})


@dataclass(frozen=True)
class Record:
    """A run: `run.json`, and on demand what else lies in its directory."""

    name: str
    """The directory, as a command takes it."""
    status: str
    """running, finished, interrupted, diverged or failed, as `run.json` says; killed where
    `running` is no longer true, unreadable where `run.json` is damaged, unknown where it does not
    say."""
    document: Mapping[str, Any]
    """`run.json`; empty where it is damaged."""
    problem: str = ""
    """What is wrong with `run.json`."""

    @property
    def omission(self) -> str:
        """A sentence where a sound `run.json` does not say what was trained."""
        if self.problem or self.word("model"):
            return ""
        return f"{self.path / 'run.json'} does not say what was trained."

    @property
    def path(self) -> Path:
        """The directory."""
        return Path(self.name)

    @property
    def can_go_on(self) -> bool:
        """Whether it was stopped and has a state to go on from."""
        stopped = self.status in {"interrupted", "killed", "failed"}
        return stopped and (self.path / "state.safetensors").is_file()

    @property
    def settings(self) -> dict[str, Any]:
        """`run.json` without how the run ended."""
        return {key: value for key, value in self.document.items() if key not in _OUTCOME}

    @cached_property
    def _results(self) -> "tuple[pd.DataFrame, str]":
        return results.read(self.path / "results.csv")

    @property
    def epochs(self) -> "pd.DataFrame":
        """A row per finished epoch."""
        return self._results[0]

    @property
    def results_problem(self) -> str:
        """What is wrong with `results.csv`."""
        return self._results[1]

    @property
    def finished_epochs(self) -> int:
        """How many; of a run that hasn't ended, those in `results.csv`."""
        stated = self.integer("epochs")
        return len(self.epochs) if stated is None else stated

    @cached_property
    def best(self) -> Best | None:
        """The best epoch: that of `run.json`, else, in a run that hasn't ended, of the epochs."""
        epoch = self.integer("best", "epoch")
        if epoch is not None:
            return Best(epoch, self.number("best", "top1"), self.number("best", "loss"))
        if self.epochs.empty:
            return None
        # Training's own order: accuracy, then loss, then the earlier one. Without validation the
        # latest counts.
        ranked = self.epochs.sort_values(
            ["val_top1", "val_loss", "epoch"], ascending=[False, True, True]
        )
        row = (ranked if self.epochs["val_top1"].notna().any() else self.epochs[::-1]).iloc[0]
        return Best(int(row["epoch"]), _finite(row["val_top1"]), _finite(row["val_loss"]))

    @property
    def final(self) -> dict[str, Any] | None:
        """The last finished epoch's row."""
        rows = results.to_rows(self.epochs.tail(1))
        return rows[0] if rows else None

    @property
    def test(self) -> Any:
        """Figures of the best weights on the test pictures; None where there are none."""
        return self._value("test")

    @property
    def params(self) -> int | None:
        """Parameters in PyTorch's count."""
        stated = self.integer("params")
        if stated is not None:
            return stated
        for name in ("best.safetensors", "last.safetensors"):
            with suppress(ZooError):
                return count_params(read_header(self.path / name).entries)
        return None

    @property
    def seconds(self) -> float | None:
        """Training alone."""
        stated = self.number("seconds")
        if stated is not None or self.epochs.empty:
            return stated
        return _finite(self.epochs["seconds"].sum(min_count=1))

    @property
    def images_per_second(self) -> float | None:
        """Over all of training."""
        stated, seconds = self.number("images_per_second"), self.seconds
        if stated is not None or not seconds:
            return stated
        images = (self.epochs["images_per_second"] * self.epochs["seconds"]).sum(min_count=1)
        return _finite(images / seconds)

    @property
    def started(self) -> str | None:
        """When, in ISO 8601; where `events.jsonl` doesn't say, when `run.json` was written."""
        moment = None
        with (
            suppress(OSError, ValueError, KeyError, TypeError),
            (self.path / "events.jsonl").open("rb") as file,
        ):
            moment = float(json.loads(file.readline(10_000))["time"])
        with suppress(OSError, ValueError, OverflowError):
            if moment is None:
                moment = (self.path / "run.json").stat().st_mtime
            return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
        return None

    @property
    def overridden(self) -> list[str]:
        """The settings that changed when the run went on, such as `train.lr: 0.1 before, ...`."""
        found = []
        with suppress(KeyError, TypeError, ValueError):
            for one in self.document["overridden"]:
                place = f"from epoch {int(one['epoch'])}, step {int(one['step']) + 1} on"
                found += [f"{difference}, {place}" for difference in map(str, one["differences"])]
        return found

    def word(self, *keys: str) -> str | None:
        """A text in `run.json`; None where there is none."""
        value = self._value(*keys)
        return value if isinstance(value, str) else None

    def integer(self, *keys: str) -> int | None:
        """A whole number in `run.json`."""
        value = self._value(*keys)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def number(self, *keys: str) -> float | None:
        """A finite number in `run.json`."""
        value = self._value(*keys)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return _finite(value) if is_number else None

    def _value(self, *keys: str) -> Any:
        value: Any = self.document
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value


def read(path: Path) -> Record:
    """What a run's directory says of it."""
    document, problem = _read_json(path / "run.json")
    if problem:
        return Record(str(path), "unreadable", {}, problem)
    status = document.get("status")
    if status == "running" and not _is_held(path):
        # It may have ended between the two looks.
        document = _read_json(path / "run.json")[0] or document
        status = "killed" if document.get("status") == "running" else document.get("status")
    return Record(str(path), status if isinstance(status, str) else "unknown", document)


def is_run(path: Path) -> bool:
    """Whether a run lies there, be it damaged."""
    with suppress(OSError):  # such as a name too long
        return (path / "run.json").is_file()
    return False


def count_params(entries: Mapping[str, Entry]) -> int:
    """Parameters among a model file's tensors, in PyTorch's count."""
    return sum(
        math.prod(entry.shape)
        for name, entry in entries.items()
        if "float" in entry.dtype and name.rpartition(".")[2] not in _BUFFERS
    )


def _is_held(path: Path) -> bool:
    """Whether a process is writing the run, or it can't be told."""
    try:
        descriptor = os.open(path / ".lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        # Shared, so that two who look don't take one another for a writer.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _read_json(path: Path) -> tuple[dict[str, Any], str]:
    """The object in a JSON file, or what is wrong with it."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        return {}, f"{path}:{error.lineno}:{error.colno}: is no valid JSON: {error.msg}."
    except (ValueError, RecursionError):
        return {}, f"{path} is no valid JSON."
    except OSError as error:
        return {}, f"{path} can't be read: {error.strerror}."
    return (document, "") if isinstance(document, dict) else ({}, f"{path} is no JSON object.")


def _finite(value: float) -> float | None:
    """Plain, or None for NaN and infinity."""
    with suppress(OverflowError):  # JSON's whole numbers have no end
        return float(value) if math.isfinite(value) else None
    return None
