"""Showing downloads: a bar where stderr is a terminal, a line per file elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zoo.cli.app import OUTPUT

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from zoo.downloads import Downloads


@contextmanager
def shown_downloads(offline: bool) -> Iterator["Downloads"]:
    """Downloads whose announcements and progress go to stderr.

    Args:
        offline: the flag --offline; `ZOO_OFFLINE` says the same.
    """
    from zoo.downloads import Downloads, is_offline

    if not OUTPUT.animated:
        yield Downloads(is_offline(offline), OUTPUT.progress, _nothing)
        return
    with _bars() as bars:
        shown = _Bar(bars)
        yield Downloads(is_offline(offline), shown.announce, shown.advance)


def _nothing(_done: int, _total: int | None) -> None:
    """No bar: a line per file has to do."""


def _bars() -> "Progress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    console = Console(stderr=True, no_color=not OUTPUT.colored)
    return Progress(*columns, console=console, transient=True)


class _Bar:
    """The one bar of the file that is being downloaded."""

    def __init__(self, bars: "Progress") -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def announce(self, line: str) -> None:
        """A line above the bar; the next file's bar starts anew."""
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
        OUTPUT.progress(line)

    def advance(self, done: int, total: int | None) -> None:
        """Moves the bar to that many bytes."""
        if self._task is None:
            self._task = self._bars.add_task("", total=total)
        self._bars.update(self._task, completed=done, total=total)
