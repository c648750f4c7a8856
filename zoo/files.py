"""Writing files so that a crash, a full disk or a second reader never meets half a file."""

import errno
import os
import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zoo.errors import DiskError, OutputExistsError, UsageError

_OTHER_PLACE = "another place: --output names that of results, ZOO_CACHE that of the cache."
_FULL = f"Free some space, or choose {_OTHER_PLACE}"
_CLOSED = f"Choose {_OTHER_PLACE}"
_ELSEWHERE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _CLOSED,
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
    errno.ENOENT: _CLOSED,  # as /proc says of any new file
}


@contextmanager
def disk_errors(action: str, path: object) -> Iterator[None]:
    """Turns an OSError inside the block into a DiskError that says what could not be done where."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        hint = "" if action in {"read", "remove"} else _ELSEWHERE.get(error.errno or 0, "")
        raise DiskError(f"Can't {action} {path}: {reason}.", hint=hint) from error


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path in the same directory that becomes `path` when the block ends well.

    The file is durable before it is visible: it and its directory are fsynced around the rename.
    Its mode is `0666 & ~umask`. If the block fails, nothing is left behind.

    Raises:
        DiskError: the disk is full, or there is no permission.
    """
    path = Path(os.path.realpath(path))  # a link stays, its target is written
    temporary = _unused_name(path)
    with disk_errors("write", path):
        try:  # opening may wait for the disk, and an interrupt comes as soon as it is done
            # O_EXCL with 0o666 lets the umask decide, which mkstemp's 0600 does not.
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            mode = temporary.stat().st_mode
            yield temporary
            temporary.chmod(mode)  # safetensors makes the file anew, with 0600
            _fsync(temporary)
            temporary.replace(path)
            _fsync(path.parent)
        finally:
            with suppress(OSError):
                temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Writes a small text file atomically.

    Raises:
        DiskError: the disk is full, or there is no permission.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_output_file(path: Path, *, force: bool, suffix: str = "") -> None:
    """Refuses an output that can't be written, before any work is done for it.

    Args:
        path: of the output.
        force: whether it may replace a file.
        suffix: of the format that will be written; another format's is refused.

    Raises:
        OutputExistsError: it exists and `force` is false.
        UsageError: it is a directory or `-`, lies in none that exists, or has a wrong suffix.
        DiskError: its directory can't be written to.
    """
    check_is_no_dash(path)
    if path.is_dir():
        raise UsageError(f"{path} is a directory.", hint="Give --output the name of a file.")
    if suffix and path.suffix and path.suffix.lower() != suffix:
        raise UsageError(f"{path} would be no {path.suffix} file.", hint=f"Call it *{suffix}.")
    if os.path.lexists(path):
        if not force:
            raise OutputExistsError(f"{path} exists.", hint="Replace it with --force.")
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is no regular file, so --force does not replace it.")
    if not path.parent.is_dir():
        raise UsageError(
            f"The directory {path.parent} does not exist.",
            hint=f"mkdir -p {shlex.quote(str(path.parent))}",
        )
    # Root passes os.access on a read-only disk's directories: only writing tells.
    with disk_errors("write", path):
        probe = _unused_name(path)
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        probe.unlink()


def check_is_no_dash(path: Path) -> None:
    """Refuses `-`, by which other programs mean standard output.

    Raises:
        UsageError: it is `-`.
    """
    if str(path) == "-":
        raise UsageError(
            "- would be a file of that name: no output goes to standard output.",
            hint="Give the output a name of its own.",
        )


def check_is_run(path: Path) -> None:
    """Refuses a directory that no run wrote: --force removes nothing else.

    Raises:
        UsageError: it holds no `run.json`, so it may be anything of the user's.
    """
    if not (path / "run.json").is_file():
        raise UsageError(
            f"{path} holds no run.json, so --force does not remove it.",
            hint="Give --output a new name.",
        )


def remove_leftovers(directory: Path) -> None:
    """Removes what writers left that were killed. Call it where nobody else writes."""
    for path in directory.glob(".zoo-*.tmp"):
        with suppress(OSError):
            path.unlink()


def _unused_name(path: Path) -> Path:
    """A name beside `path` that nobody has; short, for a name has 255 bytes at most."""
    return path.with_name(f".zoo-{secrets.token_hex(8)}.tmp")


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
