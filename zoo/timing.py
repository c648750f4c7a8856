"""How long things take: passes that take turns until their medians are known well enough.

What else a machine does slows it for milliseconds or for minutes. So the passes of one thing come
in blocks, each round gives every thing a block in an order drawn anew, and what counts is how the
blocks' medians vary from round to round: within one block they would agree too well.
"""

import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import nn

from zoo.precision import Precision

CONFIDENCE = 0.95
"""Of the intervals of medians."""

FEWEST_ROUNDS = 6
"""Of fewer values, not even the smallest and the largest hold the median so surely."""

_LEAST_SHARE = 0.2
_WARM_UPS = 3
_WARM_SECONDS = 0.2
_BLOCK_SECONDS = 0.02
_MOST_IN_A_BLOCK = 1000

Pass = Callable[[], object]
"""Does the thing once, and returns when it is done."""


@dataclass(frozen=True)
class Goal:
    """When enough was measured."""

    spread: float = 0.02
    """Half of the median's interval, as a share of the median, that every thing is to reach."""
    seconds: float = 5.0
    """For each thing, on average; then measuring stops as it stands. A fifth of it is spent in any
    case: rounds that follow at once are under the same noise, and agree too well."""


@dataclass
class Times:
    """What one thing took, in the order it was measured."""

    passes_ms: list[float] = field(default_factory=list)
    medians_ms: list[float] = field(default_factory=list)
    """Of each round's block of passes."""

    def add(self, block_ms: Sequence[float]) -> None:
        """Adds the block of a round."""
        self.passes_ms += block_ms
        self.medians_ms.append(statistics.median(block_ms))

    @property
    def median_ms(self) -> float:
        """The median of the blocks' medians."""
        return statistics.median(self.medians_ms)

    @property
    def p95_ms(self) -> float:
        """What 95 % of the passes did not exceed."""
        return sorted(self.passes_ms)[math.ceil(0.95 * len(self.passes_ms)) - 1]

    @property
    def interval_ms(self) -> tuple[float, float]:
        """Where the median lies, with a confidence of 95 % from six rounds on."""
        return median_interval(self.medians_ms)

    @property
    def spread(self) -> float:
        """Half of the interval, as a share of the median."""
        low, high = self.interval_ms
        return (high - low) / 2 / self.median_ms if self.median_ms else 0.0


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """The confidence interval of a median, whatever the distribution.

    Its ends are two of the values, the k-th from below and the k-th from above. The median lies
    below the first with the probability that of n tosses of a coin fewer than k show heads, and
    above the other with the same (Conover 1999, "Practical Nonparametric Statistics", section 3.2).
    Of fewer than six values, all lie inside.
    """
    ordered, rank = sorted(values), _rank(len(values))
    return ordered[rank - 1], ordered[-rank]


@cache
def _rank(count: int) -> int:
    """The largest k that leaves no more than 2.5 % on either side."""
    rank, fewer = 1, 1  # sequences of so many tosses with fewer than `rank` heads
    while 2 * rank < count:
        fewer += math.comb(count, rank)
        if fewer / 2**count > (1 - CONFIDENCE) / 2:
            break
        rank += 1
    return rank


class Turns:
    """Things that take turns at being timed."""

    def __init__(self, things: Sequence[Pass], goal: Goal, *, seed: int = 0) -> None:
        """Measures nothing yet.

        Args:
            things: what to time.
            goal: when to stop.
            seed: draws the order of each round.
        """
        self.times = [Times() for _ in things]
        """So far, in the order of the things."""
        self.seconds = 0.0
        """Since the first round began."""
        self.settled = False
        """Whether every spread reached the goal, before time was up."""
        self._things = things
        self._goal = goal
        self._draws = random.Random(seed)  # noqa: S311
        self._blocks: list[int] = []

    def rounds(self) -> Iterator[int]:
        """Measures; yields the number of finished rounds after each, so that one can stop."""
        self._blocks = [_warmed_up(thing) for thing in self._things]
        start, order = time.perf_counter(), list(range(len(self._things)))
        limit = self._goal.seconds * len(order)
        done = 0
        while done < FEWEST_ROUNDS or not (self.settled or self.seconds >= limit):
            self._draws.shuffle(order)
            for index in order:
                self.times[index].add(self._block(index))
            done += 1
            self.seconds = time.perf_counter() - start
            self.settled = (
                done >= FEWEST_ROUNDS
                and self.seconds >= _LEAST_SHARE * limit
                and all(times.spread <= self._goal.spread for times in self.times)
            )
            yield done

    def _block(self, index: int) -> list[float]:
        one, passes = self._things[index], self._blocks[index]
        if passes > 1:
            one()  # the caches hold what the thing before used; long passes fill them in passing
        return [_timed_ms(one) for _ in range(passes)]


def forward_pass(network: nn.Module, input_shape: Sequence[int], precision: Precision) -> Pass:
    """One picture's way through a network.

    Args:
        network: in evaluation mode; it is placed.
        input_shape: channels, height, width.
        precision: of the pass.
    """
    placed = precision.place(network)
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(1, *input_shape, generator=generator).to(precision.device)
    picture = picture.to(memory_format=precision.memory_format)

    def run() -> None:
        with torch.inference_mode(), precision.autocast():
            placed(picture)
        precision.finish()

    return run


def medians_ms(things: Sequence[Pass], goal: Goal) -> list[float]:
    """The median time of each, in milliseconds."""
    turns = Turns(things, goal)
    for _ in turns.rounds():
        pass
    return [times.median_ms for times in turns.times]


def _warmed_up(one: Pass) -> int:
    """How many passes fill a block, found by those that don't count: the first ones are slow."""
    start, took_ms = time.perf_counter(), [_timed_ms(one)]
    while len(took_ms) < _WARM_UPS and time.perf_counter() - start < _WARM_SECONDS:
        took_ms.append(_timed_ms(one))
    return max(1, min(_MOST_IN_A_BLOCK, int(1000 * _BLOCK_SECONDS / max(min(took_ms), 1e-6))))


def _timed_ms(one: Pass) -> float:
    start = time.perf_counter()
    one()
    return 1000 * (time.perf_counter() - start)
