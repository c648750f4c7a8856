"""How can a computer find the filters? Try all of them, or follow the derivatives.

Two patterns are told apart by a filter: the sum of pixel times weight is large for its own pattern
and small for the other. In plain Python, so that every machine gives the same numbers.
"""

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Pixels = tuple[float, ...]
"""A pattern or a filter, row by row."""

PATTERNS: dict[int, dict[str, Pixels]] = {
    2: {"\\": (1, -1, -1, 1), "/": (-1, 1, 1, -1)},
    3: {"X": (1, -1, 1, -1, 1, -1, 1, -1, 1), "O": (-1, 1, -1, 1, -1, 1, -1, 1, -1)},
}
"""The two patterns of each side; 1 is ink and -1 is paper."""

RATE = 0.1
"""What the derivative is multiplied by before it is subtracted."""


@dataclass(frozen=True)
class Trial:
    """One of the filters that hold only 1 and -1."""

    filter: Pixels
    scores: tuple[float, float]
    """Of the two patterns."""

    @property
    def margin(self) -> float:
        """By how much the first pattern's score exceeds the second's."""
        return self.scores[0] - self.scores[1]


@dataclass(frozen=True)
class Moment:
    """The two filters after some steps of gradient descent."""

    step: int
    filters: tuple[Pixels, Pixels]
    """One for each pattern."""
    error: float
    """Mean of (score - wanted score)²."""
    wrong: int
    """Pictures whose own filter does not give the higher score."""


def score(weights: Sequence[float], pixels: Sequence[float]) -> float:
    """The sum of pixel times weight."""
    return math.fsum(weight * pixel for weight, pixel in zip(weights, pixels, strict=True))


def trials(side: int) -> list[Trial]:
    """Every filter of 1 and -1, all 1 first: 16 of side 2, 512 of side 3."""
    first, second = PATTERNS[side].values()
    return [
        Trial(weights, (score(weights, first), score(weights, second)))
        for weights in itertools.product((1.0, -1.0), repeat=side * side)
    ]


def descend(side: int, *, steps: int, seed: int) -> Iterator[Moment]:
    """Gradient descent from random filters; yields the start and each step.

    It learns from each pattern as it is and with any one pixel wrong. A filter is wanted to give
    the number of pixels that agree with its pattern less those that differ: side² for the pattern
    itself, as the best of all trials does.

    Args:
        side: of patterns and filters.
        steps: of gradient descent.
        seed: draws the first filters.
    """
    draws = random.Random(seed)  # noqa: S311 (nothing secret)
    pictures = examples(side)
    patterns = list(PATTERNS[side].values())
    filters = [[draws.uniform(-1, 1) for _ in range(side * side)] for _ in patterns]
    for step in range(steps + 1):
        misses = [
            [score(weights, pixels) - score(pattern, pixels) for _, pixels in pictures]
            for weights, pattern in zip(filters, patterns, strict=True)
        ]
        yield Moment(step, _frozen(filters), _mean_square(misses), _wrong(filters, pictures))
        for weights, missed in zip(filters, misses, strict=True):
            for place in range(side * side):
                # d/dw of the mean of (w·x - wanted)² is the mean of 2 (w·x - wanted) x.
                products = [
                    2 * miss * pixels[place]
                    for miss, (_, pixels) in zip(missed, pictures, strict=True)
                ]
                weights[place] -= RATE * math.fsum(products) / len(products)


def examples(side: int) -> list[tuple[int, Pixels]]:
    """The index of the pattern and the pixels of each picture that is learned from."""
    pictures: list[tuple[int, Pixels]] = []
    for label, pattern in enumerate(PATTERNS[side].values()):
        pictures.append((label, pattern))
        for wrong in range(side * side):
            pixels = (-x if place == wrong else x for place, x in enumerate(pattern))
            pictures.append((label, tuple(pixels)))
    return pictures


def _frozen(filters: list[list[float]]) -> tuple[Pixels, Pixels]:
    first, second = (tuple(weights) for weights in filters)
    return first, second


def _mean_square(misses: list[list[float]]) -> float:
    squares = [miss * miss for row in misses for miss in row]
    return math.fsum(squares) / len(squares)


def _wrong(filters: list[list[float]], pictures: list[tuple[int, Pixels]]) -> int:
    return sum(
        score(filters[label], pixels) <= score(filters[1 - label], pixels)
        for label, pixels in pictures
    )
