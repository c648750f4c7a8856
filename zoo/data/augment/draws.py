"""The random numbers of one batch: drawn on the CPU, one stream for each option."""

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.data import randomness
from zoo.data.placement import to_device


@dataclass(frozen=True)
class Part:
    """A process's pictures of a batch that several processes share."""

    start: int
    """Place of the first one in the batch."""
    total: int
    """Pictures in the whole batch."""


class Draws:
    """Numbers for every picture of a batch.

    Each option has a stream of its own, derived from its name: switching one option on shifts
    nothing that another one draws.
    """

    def __init__(self, count: int, generator: torch.Generator, part: Part | None = None) -> None:
        """Takes one number from the generator, whatever will be drawn.

        Args:
            count: pictures here, N.
            generator: on the CPU.
            part: where they stand in their batch, so that a picture's numbers do not depend on
                how many processes share it; None is the whole batch.
        """
        part = part or Part(0, count)
        self.total = part.total
        """Pictures in the whole batch."""
        self.here = slice(part.start, part.start + count)
        """Those that are here."""
        self._seed = int(torch.randint(2**63 - 1, (), generator=generator))

    def generator(self, option: str) -> torch.Generator:
        """The stream of one option, from its start."""
        return randomness.generator(self._seed, 0, 0, option)

    def unit(self, option: str, rows: int) -> Tensor:
        """(rows, N), uniform in [0, 1)."""
        return torch.rand(rows, self.total, generator=self.generator(option))[:, self.here]


def between(unit: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Numbers of [0, 1) carried to [low, high)."""
    return unit * (high - low) + low


def below(unit: Tensor, end: int | Tensor) -> Tensor:
    """Numbers of [0, 1) carried to the whole numbers from 0 to end - 1."""
    return (unit * end).floor().long()


def per_picture(values: Tensor, images: Tensor) -> Tensor:
    """(N,) beside the pictures and able to multiply them: (N, 1, 1, 1)."""
    return to_device(values.to(images.dtype), images.device)[:, None, None, None]
