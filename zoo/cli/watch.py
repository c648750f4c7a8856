"""What people see while pictures are fetched, decoded or predicted: a bar, or a few lines."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.cli.app import OUTPUT
from zoo.cli.output import plural

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
    """Follows downloads, decoding and predictions."""

    downloads: "Downloads"
    bars: "Progress | None"

    def decoded(self, done: int, total: int) -> None:
        """Called with each picture that is decoded."""
        self._follow("decoding", done, total, is_first=done == 1)

    def predicted(self, done: int, total: int) -> None:
        """Called at the start, with 0, and after each batch that is predicted."""
        self._follow("predicting", done, total, is_first=done == 0)

    def _follow(self, what: str, done: int, total: int, *, is_first: bool) -> None:
        if self.bars is not None:
            _advance(self.bars, what, done, total, f"{done:,}/{plural(total, 'picture')}")
        elif is_first and total >= _WORTH_A_LINE:
            OUTPUT.progress(f"{what} {total:,} pictures")


@contextmanager
def watched(*, offline: bool) -> Iterator[Watch]:
    """Shows progress while the block runs; a bar from the first picture or byte on.

    Args:
        offline: `--offline`; `ZOO_OFFLINE` says the same.
    """
    from zoo.downloads import Downloads, format_bytes, is_offline

    if not OUTPUT.animated:
        downloads = Downloads(is_offline(offline), OUTPUT.progress, lambda _done, _total: None)
        yield Watch(downloads, None)
        return

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    def advance(done: int, total: int | None) -> None:
        of = "" if total is None else f"/{format_bytes(total)}"
        _advance(bars, "downloading", done, total, f"{format_bytes(done)}{of}")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True, no_color=not OUTPUT.colored, highlight=False)
    # Standard output is the command's: rich would print it on the bars' console.
    bars = Progress(*columns, console=console, transient=True, redirect_stdout=False)
    try:
        yield Watch(Downloads(is_offline(offline), OUTPUT.progress, advance), bars)
    finally:
        if bars.live.is_started:
            bars.stop()


def _advance(bars: "Progress", what: str, done: int, total: int | None, amount: str) -> None:
    known = next((task for task in bars.tasks if task.description == what), None)
    if known is None or done < known.completed:  # the next file starts anew
        if known is not None:
            bars.remove_task(known.id)
        bars.add_task(what, completed=done, total=total, amount=amount)
    else:
        bars.update(known.id, completed=done, total=total, amount=amount)
    bars.start()  # not before: rich draws an empty line and erases it
