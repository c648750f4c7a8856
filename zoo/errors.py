"""Every deliberate error, each with its exit code.

    ZooError
    ├── UsageError            2   the command line asks for something that can't be
    │   ├── NotFoundError         MODEL names nothing
    │   ├── OutputExistsError     and --force was not given
    │   ├── DeviceError           a device that this machine lacks
    │   └── StructureError        layers that would not fit one another
    ├── RecipeError           3   a recipe is invalid
    ├── DataError             4   pictures are missing or bad
    ├── ModelFileError        5   a model file is refused or corrupt
    ├── DiskError             6   disk full, or no permission
    ├── RunInUseError         7   another process writes this run
    ├── DivergedError         8   the loss is NaN or infinite
    ├── OutOfMemoryError      9
    ├── ThresholdError       10   an asserted figure is not met
    └── InterruptionError   130   Ctrl-C
        └── TerminationError  143   SIGTERM

Code below `zoo/cli` raises these and never prints; `zoo/cli/main.py` turns them into words.
"""

import difflib
import errno
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any, ClassVar


class ExitCode(IntEnum):
    """What the process ends with; scripts rely on these numbers."""

    OK = 0
    BUG = 1
    USAGE = 2
    RECIPE = 3
    DATA = 4
    MODEL_FILE = 5
    DISK = 6
    RUN_IN_USE = 7
    DIVERGED = 8
    OUT_OF_MEMORY = 9
    THRESHOLD = 10
    INTERRUPTED = 130
    TERMINATED = 143

    @property
    def meaning(self) -> str:
        """A few words for `zoo --help` and the README."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "success",
    ExitCode.BUG: "a bug of ours",
    ExitCode.USAGE: "usage: also MODEL not found, output exists, device or extra missing",
    ExitCode.RECIPE: "recipe invalid",
    ExitCode.DATA: "data missing or bad",
    ExitCode.MODEL_FILE: "model file refused or corrupt",
    ExitCode.DISK: "disk full or no permission",
    ExitCode.RUN_IN_USE: "run directory in use",
    ExitCode.DIVERGED: "training diverged (NaN or infinity)",
    ExitCode.OUT_OF_MEMORY: "out of memory",
    ExitCode.THRESHOLD: "an asserted threshold was not met",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C)",
    ExitCode.TERMINATED: "terminated (SIGTERM)",
}


@dataclass(frozen=True)
class Detail:
    """One of several things wrong with one file."""

    file: str
    message: str
    line: int | None = None
    column: int | None = None
    path: str = ""
    """Dotted path of the key, such as `augment.rotation_range`."""
    suggestion: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        suggestion = f" {self.suggestion}" if self.suggestion else ""
        return f"{place}: {self.message}{suggestion}"


@dataclass(eq=False)
class ZooError(Exception):
    """An error with a message for people, a hint of what to do, and an exit code for scripts."""

    code: ClassVar[ExitCode] = ExitCode.BUG

    message: str
    """What failed, where and why."""
    hint: str = ""
    """The next command to try."""
    details: list[Detail] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)
    """What was obtained before the failure; stands beside the error in the JSON."""

    def __post_init__(self) -> None:
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message

    def to_json(self) -> dict[str, Any]:
        """The `error` object of the command line's JSON."""
        return {
            "code": int(self.code),
            "kind": type(self).__name__,
            "message": self.message,
            "hint": self.hint,
            "details": [asdict(detail) for detail in self.details],
        }


class UsageError(ZooError):
    """The command line asks for something that can't be."""

    code = ExitCode.USAGE


class NotFoundError(UsageError):
    """MODEL is neither an architecture nor a file nor a run."""


class OutputExistsError(UsageError):
    """The output exists and --force was not given."""


class DeviceError(UsageError):
    """The device asked for is not on this machine."""


class StructureError(UsageError):
    """Layers that would not fit one another."""


class RecipeError(ZooError):
    """A recipe is invalid; `details` lists everything that is wrong with it."""

    code = ExitCode.RECIPE


class DataError(ZooError):
    """Pictures are missing or bad."""

    code = ExitCode.DATA


class ModelFileError(ZooError):
    """A model file is refused or corrupt."""

    code = ExitCode.MODEL_FILE


class DiskError(ZooError):
    """Disk full, or no permission."""

    code = ExitCode.DISK


class RunInUseError(ZooError):
    """Another process writes this run."""

    code = ExitCode.RUN_IN_USE


class DivergedError(ZooError):
    """The loss is NaN or infinite."""

    code = ExitCode.DIVERGED


class OutOfMemoryError(ZooError):
    """Not enough memory for this batch."""

    code = ExitCode.OUT_OF_MEMORY


class ThresholdError(ZooError):
    """A figure the user asserted is not met."""

    code = ExitCode.THRESHOLD


class InterruptionError(ZooError):
    """Ctrl-C; what was done so far is kept."""

    code = ExitCode.INTERRUPTED


class TerminationError(InterruptionError):
    """SIGTERM; what was done so far is kept."""

    code = ExitCode.TERMINATED


class SigtermInterrupt(KeyboardInterrupt):
    """What SIGTERM raises outside the training loop; no `except Exception` swallows it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch or Python ran out of memory; torch's CPU allocator has no class of its own."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
        or "CUDA error: out of memory" in str(error)
        or "_STATUS_ALLOC_FAILED" in str(error)  # cuBLAS and cuDNN
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    )


def reason_of(error: BaseException) -> str:
    """The first line that another library's error says, without its full stop, or its name."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__).rstrip(".")


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that a misspelt one most likely means, or None."""
    by_lower = {name.lower(): name for name in known}
    matches = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`Did you mean lenet5?`, or nothing where no known word is close."""
    match = closest(word, known)
    return f"Did you mean {match}?" if match else ""
