"""The ceiling: how fast this machine multiplies large matrices, which no layer exceeds by much."""

import time

import torch
from torch import Tensor

from zoo.precision import Precision

_SIDES = (512, 1024, 2048)
_SIDES_OF_A_GPU = (1024, 4096, 8192)


class Ceiling:
    """The largest rate at which square matrices are multiplied, so far.

    The fastest of all passes counts: noise slows them down and never speeds them up. With
    Winograd's algorithm, a convolution does its nominal multiply-adds with fewer, so a network may
    come out above a ceiling.
    """

    def __init__(self, arithmetic: Precision) -> None:
        """Measures once, after a product that does not count.

        Args:
            arithmetic: of the products, and where; the threads are those of the process.
        """
        self.arithmetic = arithmetic
        self.mult_adds_per_second = 0.0
        self.seconds = 0.0
        """That it has taken to measure."""
        sides = _SIDES if arithmetic.device.type == "cpu" else _SIDES_OF_A_GPU
        generator = torch.Generator().manual_seed(0)
        self._pairs: list[Tensor] = [
            torch.rand(2, side, side, generator=generator).to(arithmetic.device, arithmetic.dtype)
            for side in sides
        ]
        torch.mm(*self._pairs[0])
        arithmetic.finish()
        self.sample()

    def sample(self) -> None:
        """Multiplies once more at each size."""
        for pair in self._pairs:
            start = time.perf_counter()
            torch.mm(*pair)
            self.arithmetic.finish()
            took = time.perf_counter() - start
            self.seconds += took
            rate = pair.shape[-1] ** 3 / took
            self.mult_adds_per_second = max(self.mult_adds_per_second, rate)
