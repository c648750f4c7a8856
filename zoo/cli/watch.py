"""What people see while data are fetched and decoded: a bar on a terminal, else a few lines."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.cli.app import OUTPUT

if TYPE_CHECKING:
    from rich.progress import Progress

    from zoo.cli.options import BadPictures
    from zoo.downloads import Downloads

# Fewer pictures than this are decoded before anyone wonders what is going on.
_WORTH_A_LINE = 1000


def on_bad_setting(on_bad: "BadPictures | None") -> list[str]:
    """`--on-bad` as the recipe's own option."""
    return [] if on_bad is None else [f"dataset.on_bad={on_bad.value}"]


@dataclass(frozen=True)
class Watch:
    """Follows downloads and decoding."""

    bar: "Progress | None"
    downloads: "Downloads"

    def decoded(self, done: int, total: int) -> None:
        """Called with each picture that is decoded."""
        if self.bar is not None:
            _advance(self.bar, "decoding", done, total)
        elif done == 1 and total >= _WORTH_A_LINE:
            OUTPUT.progress(f"decoding {total:,} pictures")


@contextmanager
def watched(*, offline: bool) -> Iterator[Watch]:
    """Shows progress while the block runs.

    Args:
        offline: `--offline`; ZOO_OFFLINE says the same.
    """
    from zoo.downloads import Downloads, is_offline

    if not OUTPUT.animated:
        downloads = Downloads(is_offline(offline), OUTPUT.progress, lambda _done, _total: None)
        yield Watch(None, downloads)
        return

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, no_color=not OUTPUT.colored, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        downloads = Downloads(
            is_offline(offline),
            OUTPUT.progress,
            lambda done, total: _advance(bar, "downloading", done, total),
        )
        yield Watch(bar, downloads)


def _advance(bar: "Progress", what: str, done: int, total: int | None) -> None:
    task = next((task.id for task in bar.tasks if task.description == what), None)
    if task is None:
        task = bar.add_task(what)
    bar.update(task, completed=done, total=total)
