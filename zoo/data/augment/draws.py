"""The random numbers of one batch: drawn on the CPU, one stream for each option."""

import torch
from torch import Tensor

from zoo.data import randomness


class Draws:
    """Numbers for every picture of a batch.

    Each option has a stream of its own, derived from its name: switching one option on shifts
    nothing that another one draws.
    """

    def __init__(self, count: int, generator: torch.Generator) -> None:
        """Takes one number from the generator, whatever will be drawn.

        Args:
            count: pictures in the batch, N.
            generator: on the CPU.
        """
        self.count = count
        self._seed = int(torch.randint(2**63 - 1, (), generator=generator))

    def generator(self, option: str) -> torch.Generator:
        """The stream of one option, from its start."""
        return randomness.generator(self._seed, 0, 0, option)

    def unit(self, option: str, rows: int) -> Tensor:
        """(rows, N), uniform in [0, 1)."""
        return torch.rand(rows, self.count, generator=self.generator(option))


def between(unit: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Numbers of [0, 1) carried to [low, high)."""
    return unit * (high - low) + low


def below(unit: Tensor, end: Tensor) -> Tensor:
    """Numbers of [0, 1) carried to the whole numbers from 0 to end - 1."""
    return (unit * end).floor().long()


def per_picture(values: Tensor, images: Tensor) -> Tensor:
    """(N,) beside the pictures and able to multiply them: (N, 1, 1, 1)."""
    return values.to(images.device, images.dtype)[:, None, None, None]
