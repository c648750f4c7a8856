"""A curve in one line of text."""

import math
from collections.abc import Sequence
from itertools import pairwise

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII = "_.:-=+*#"


def sparkline(
    values: Sequence[float | None], *, width: int = 40, encoding: str | None = "utf-8"
) -> str:
    """The values as bars from their smallest to their largest.

    Args:
        values: in order; a blank stands for None, NaN and infinity.
        width: of the line at most; each bar of a longer curve is the mean of several values.
        encoding: of the stream; one without block characters gets ASCII.
    """
    bars = [_mean(group) for group in _grouped(values, width)]
    known = [bar for bar in bars if bar is not None]
    if not known:
        return ""
    low, span = min(known) / 2, max(known) / 2 - min(known) / 2  # a whole span may overflow
    levels = _BLOCKS if _can_write(_BLOCKS, encoding) else _ASCII
    top = len(levels) - 1
    return "".join(
        " " if bar is None else levels[round((bar / 2 - low) / span * top) if span else top // 2]
        for bar in bars
    )


def _grouped(values: Sequence[float | None], width: int) -> list[Sequence[float | None]]:
    count = min(width, len(values))
    edges = [index * len(values) // count for index in range(count + 1)] if count else []
    return [values[start:stop] for start, stop in pairwise(edges)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return math.fsum(value / len(known) for value in known) if known else None


def _can_write(text: str, encoding: str | None) -> bool:
    try:
        text.encode(encoding or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True
