"""The directory that one `zoo train` writes (DESIGN: a run)."""

import csv
import io
import json
import os
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from itertools import count
from pathlib import Path
from typing import Any

from torch import nn

from zoo import modelfile
from zoo.description import Description
from zoo.errors import (
    DiskError,
    ExitCode,
    ModelFileError,
    NotFoundError,
    OutputExistsError,
    SigtermInterrupt,
    ZooError,
    is_out_of_memory,
)
from zoo.files import check_is_no_dash, check_is_run, disk_errors, remove_leftovers, write_text
from zoo.training.curves import draw
from zoo.training.engine import Epoch
from zoo.training.lock import NAME as LOCK
from zoo.training.lock import check_free, lock

STATE = "state.safetensors"
_STATUSES = {
    ExitCode.DIVERGED: "diverged",
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.TERMINATED: "interrupted",
}


class Run:
    """A run being written.

    `run.json` says everything that was resolved and how it ended, `results.csv` has a row per
    epoch, `split.csv` the split, `best.safetensors` and `last.safetensors` the models,
    `state.safetensors` all that going on needs, `events.jsonl` what happened when, and, once it
    has ended, `curves.png` its loss and accuracy.
    """

    def __init__(self, path: Path, replaced: Path | None = None) -> None:
        self.path = path
        self._replaced = replaced
        """The run that stood here, until this one has something worth keeping."""
        self._lock: int | None = lock(path)
        self._settings: dict[str, Any] = {}
        self._epochs: tuple[Sequence[Epoch], int | None] = ((), None)
        """Those that are on the disk, and the best."""

    @property
    def best(self) -> Path:
        """The model with the best validation accuracy."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """The model of the last finished epoch; before the first, the initial weights."""
        return self.path / "last.safetensors"

    @property
    def state(self) -> Path:
        """What going on needs; its rename is the commit of an epoch."""
        return self.path / STATE

    def start(
        self,
        settings: dict[str, Any],
        split_csv: str | None,
        network: nn.Module,
        description: Description,
        save_state: Callable[[], None],
    ) -> None:
        """Writes what is known before the first step.

        The initial weights go to disk now: a disk too small for a model is found before hours of
        training, and a run that diverges at once leaves a finite model. If anything can't be
        written, the directory goes away again.

        Raises:
            DiskError: the disk is full, or there is no permission.
        """
        try:
            self._settings = settings
            self._write_status("running")
            if split_csv is not None:
                write_text(self.path / "split.csv", split_csv)
            modelfile.save(self.last, network, description)
            save_state()
            self.event("started")
        except BaseException:
            self._abandon()
            raise

    def recorded(self, key: str) -> Any:
        """What `run.json` says.

        Raises:
            ModelFileError: it is damaged.
        """
        path = self.path / "run.json"
        try:
            with disk_errors("read", path):
                return json.loads(path.read_text(encoding="utf-8")).get(key)
        except (ValueError, AttributeError) as error:
            raise ModelFileError(f"{path} is damaged: {error}.") from error

    def go_on(self, settings: dict[str, Any], **content: Any) -> None:
        """Writes that a run that was stopped goes on, and clears what a killed process left.

        Args:
            settings: of `run.json` from now on.
            content: what `events.jsonl` says besides.

        Raises:
            DiskError: the disk is full, or there is no permission.
        """
        self._settings = settings
        remove_leftovers(self.path)
        self._write_status("running")
        self.event("resumed", **content)

    def write_results(self, epochs: Sequence[Epoch], best: int | None = None) -> None:
        """Writes `results.csv`, a row per epoch.

        Args:
            epochs: all that were finished.
            best: which of them is marked in `curves.png`.

        Raises:
            DiskError: the disk is full.
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, [field.name for field in fields(Epoch)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(epoch) for epoch in epochs)
        write_text(self.path / "results.csv", text.getvalue())
        self._epochs = (tuple(epochs), best)

    @property
    def is_provisional(self) -> bool:
        """Whether it goes away again if it fails now, for the run that stood here to come back."""
        return self._replaced is not None

    def keep(self) -> None:
        """Says that it holds something worth keeping; the run that stood here goes."""
        if self._replaced is not None:
            shutil.rmtree(self._replaced, ignore_errors=True)
            self._replaced = None

    def _abandon(self) -> None:
        """Removes the directory and puts the run that stood here, if any, back."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.release()
        if self._replaced is not None:
            with suppress(OSError):
                self._replaced.rename(self.path)
            self._replaced = None

    def finish(self, status: str, exit_code: int, results: dict[str, Any]) -> None:
        """Says in `run.json` how it ended: finished, interrupted, diverged or failed.

        Raises:
            DiskError: the disk is full.
        """
        self._draw_curves()
        self._end(status, exit_code, results)

    def _end(self, status: str, exit_code: int, results: dict[str, Any]) -> None:
        self._write_status(status, **{**results, "exit_code": exit_code})
        self.event(status)
        self.release()

    def _draw_curves(self) -> None:
        epochs, best = self._epochs
        # A picture that does not fit the disk makes no failure of a training that ended well.
        with suppress(DiskError):
            if epochs:
                draw(epochs, best, self.path / "curves.png")

    @contextmanager
    def recorded_failure(self) -> Iterator[None]:
        """Repeats in `run.json` how the block failed, and adds the run to a ZooError's results."""
        try:
            yield
        except BaseException as error:
            if self._replaced is not None:
                self._abandon()
                raise
            if isinstance(error, ZooError):
                error.results.setdefault("run", str(self.path))
                error.hint = error.hint or f"{shlex.quote(str(self.path))} keeps what was done."
            code = _exit_code(error)
            status = _STATUSES.get(code, "failed")
            # A second signal is not to wait for a picture.
            end = self.finish if isinstance(error, Exception) else self._end
            with suppress(DiskError):  # often the disk is why; the first error is the one to show
                end(status, code, {"error": str(error)})
            raise

    def release(self) -> None:
        """Lets other processes write the directory."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _write_status(self, status: str, **results: Any) -> None:
        document = {**self._settings, "exit_code": None, **results, "status": status}
        write_text(self.path / "run.json", json.dumps(document, indent=2, allow_nan=False) + "\n")

    def event(self, event: str, **content: Any) -> None:
        """Adds a line to `events.jsonl`.

        Raises:
            DiskError: the disk is full.
        """
        line = json.dumps({"time": round(time.time(), 3), "event": event, **content})
        path = self.path / "events.jsonl"
        with disk_errors("write", path), path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def check_run_output(output: Path | None, *, force: bool) -> None:
    """Refuses an output that can't be, before hours of decoding.

    Raises:
        OutputExistsError: `output` exists and `force` is false.
        UsageError: `force` would remove a directory that no run wrote, or it is `-`.
        RunInUseError: another process is writing it.
    """
    if output is not None:
        check_is_no_dash(output)
    if output is None or not os.path.lexists(output) or _is_empty_directory(output):
        return
    if not force:
        hint = "Replace it with --force."
        if (output / STATE).is_file():
            hint = f"zoo train --resume {shlex.quote(str(output))}, or replace it with --force."
        raise OutputExistsError(f"{output} exists.", hint=hint)
    check_is_run(output)
    check_free(output)


def create_run(name: str, output: Path | None, *, force: bool) -> Run:
    """Makes and locks the directory: `output`, or `runs/NAME`, `runs/NAME-2` and so on.

    An empty directory may exist. With `force` a run there is set aside; it comes back if the new
    one fails before its first epoch is on the disk.

    Raises:
        OutputExistsError: `output` exists and `force` is false.
        UsageError: `force` would remove a directory that no run wrote.
        RunInUseError: another process is writing it.
        DiskError: there is no permission.
    """
    if output is None:
        return Run(_numbered(Path("runs"), name))
    replaced = None
    check_run_output(output, force=force)
    if os.path.lexists(output) and not _is_empty_directory(output):
        os.close(lock(output))  # refuses one that is being written
        replaced = _aside(output)
        with disk_errors("set aside", output):
            if replaced.is_dir() and not (output / "results.csv").exists():
                shutil.rmtree(output)  # it was killed before it had replaced anything
            else:
                shutil.rmtree(replaced, ignore_errors=True)
                output.rename(replaced)
    with disk_errors("make the directory", output):
        output.mkdir(parents=True, exist_ok=True)
    return Run(output, replaced)


def _exit_code(error: BaseException) -> ExitCode:
    if isinstance(error, ZooError):
        return error.code
    if is_out_of_memory(error):
        return ExitCode.OUT_OF_MEMORY
    if isinstance(error, OSError):
        return ExitCode.DISK
    if isinstance(error, SigtermInterrupt):
        return ExitCode.TERMINATED
    if isinstance(error, KeyboardInterrupt | GeneratorExit):  # the latter: nobody asks for more
        return ExitCode.INTERRUPTED
    return ExitCode.BUG


def open_run(path: Path) -> Run:
    """Locks a run directory that exists.

    Raises:
        NotFoundError: it is none.
        RunInUseError: another process is writing it.
    """
    if not (path / "run.json").is_file():
        raise NotFoundError(
            f"{path} is no run: it holds no run.json.", hint="zoo runs list shows every run."
        )
    replaced = _aside(path)
    return Run(path, replaced if replaced.is_dir() else None)


def _aside(path: Path) -> Path:
    """Where a run stands while one that replaces it has no epoch yet."""
    return path.with_name(f".{path.name}.replaced")


def _is_empty_directory(path: Path) -> bool:
    """Also where only a lock is left, of a process that was killed at once."""
    return path.is_dir() and not [entry for entry in path.iterdir() if entry.name != LOCK]


def _numbered(parent: Path, name: str) -> Path:
    for number in count(1):
        path = parent / (name if number == 1 else f"{name}-{number}")
        with disk_errors("make the directory", path):
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                if not parent.is_dir():
                    raise
                continue
        return path
    raise AssertionError("count() never ends")
