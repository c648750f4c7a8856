"""Stopping between two batches on SIGINT or SIGTERM, so that nothing is lost."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from zoo.errors import InterruptionError, TerminationError


@contextmanager
def graceful_stop() -> Iterator[Callable[[], None]]:
    """Yields a check that raises once a signal has come. A second signal stops at once.

    Outside the main thread, where signals can't be caught, the check never raises.

    Raises (from the check):
        InterruptionError: after SIGINT.
        TerminationError: after SIGTERM.
    """
    received: list[int] = []

    def check() -> None:
        if received:
            stopped = TerminationError if received[0] == signal.SIGTERM else InterruptionError
            raise stopped("Training was stopped; epochs that were finished are kept.")

    if threading.current_thread() is not threading.main_thread():
        yield check
        return

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def remember(number: int, _: FrameType | None) -> None:
        received.append(number)
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, remember)
    try:
        yield check
    finally:
        restore()
