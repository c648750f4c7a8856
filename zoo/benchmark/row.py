"""One row of a benchmark."""

import os
from dataclasses import dataclass

from zoo import catalog
from zoo.runtimes import Format

Key = tuple[str, str, str, int, int]


@dataclass(frozen=True)
class Row:
    """One model in one format and arithmetic, with one size of batch."""

    model: str
    format: Format
    precision: str
    batch_size: int
    latency_ms: float
    """The median time of one forward pass of a batch."""
    interval_ms: tuple[float, float]
    """Where the median lies with a confidence of 95 %."""
    spread: float
    """Half of that interval, as a share of the median."""
    p95_ms: float
    images_per_second: float
    passes: int
    """That were timed."""
    rounds: int
    """Blocks that they came in."""
    params: int
    """Parameters alone (PyTorch's count)."""
    mult_adds: int
    """For one picture."""
    file_bytes: int
    peak_memory_bytes: int | None
    """None where it was not measured."""
    ceiling_share: float | None
    """Share of the rate at which this machine multiplies matrices; None where that is unknown."""
    top1: float | None
    """Share of the recipe's pictures that it gets right; None without a recipe."""
    device: str
    threads: int

    @property
    def key(self) -> Key:
        """What a row of another benchmark has in common with it, if it is the same thing."""
        return key_of(self.model, self.format, self.precision, self.batch_size, self.threads)

    def __str__(self) -> str:
        return f"{self.model} ({self.format}, {self.precision}, batch {self.batch_size})"


def key_of(model: str, format_name: str, precision: str, batch_size: int, threads: int) -> Key:
    """What tells a row from others; `./runs/a/` is `runs/a`, but `./lenet5` is not `lenet5`."""
    name = os.path.abspath(model) if catalog.named(model) is None else model
    return name, format_name, precision, batch_size, threads
