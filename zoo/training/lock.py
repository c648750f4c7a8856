"""One process writes a run directory. Imports no torch: a second one is refused at once."""

import fcntl
import os
import shlex
from pathlib import Path

from zoo.errors import RunInUseError
from zoo.files import disk_errors

NAME = ".lock"


def lock(directory: Path) -> int:
    """Holds a run directory until the descriptor is closed or the process ends, however it ends.

    Raises:
        RunInUseError: another process holds it.
        DiskError: there is no permission.
    """
    with disk_errors("lock", directory):
        descriptor = os.open(directory / NAME, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise RunInUseError(
                f"{directory} is being written by another process.",
                hint="Wait until it ends; how far it is: zoo runs show "
                f"{shlex.quote(str(directory))}",
            ) from error
    return descriptor


def check_free(directory: Path) -> None:
    """Refuses a run directory that another process writes.

    Raises:
        RunInUseError: it does.
    """
    if (directory / NAME).is_file():
        os.close(lock(directory))
