"""Stopping between two batches on SIGINT or SIGTERM, so that nothing is lost."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from zoo.errors import InterruptionError, TerminationError


@dataclass
class Stop:
    """Whether training is to stop."""

    signal: int = 0
    """The number of the signal that came; 0 for none."""

    def raise_if(self, number: int) -> None:
        """Ends the training if the number is a signal's.

        Raises:
            InterruptionError: SIGINT.
            TerminationError: SIGTERM.
        """
        if number:
            stopped = TerminationError if number == signal.SIGTERM else InterruptionError
            raise stopped("Training was stopped.")


@contextmanager
def graceful_stop(*, launched: bool = False) -> Iterator[Stop]:
    """Remembers the first signal; a second one stops at once.

    Outside the main thread, where signals can't be caught, none is ever remembered.

    Args:
        launched: torchrun started this process; it passes a signal on that may have come here
            already, and kills what takes too long, so that further ones mean nothing.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def remember(number: int, _: FrameType | None) -> None:
        stop.signal = stop.signal or number
        if not launched:
            restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, remember)
    try:
        yield stop
    finally:
        restore()
