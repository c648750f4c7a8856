"""What is measured: each model in each format and arithmetic, opened once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from zoo import modelfile
from zoo.errors import UsageError, did_you_mean
from zoo.input_sizes import check_takes
from zoo.modelfile import Source
from zoo.precision import Name, Precision, choose
from zoo.runtimes import Format, Runtime, TorchRuntime, open_runtime
from zoo.summary import summarize

FORMATS: tuple[Format, ...] = ("torch",)
"""What a model can be measured as."""

_OWN_ARITHMETIC = {"onnx": "fp32", "onnx-int8": "int8", "pt2": "fp32"}
"""Of formats whose files compute in one arithmetic alone."""


@dataclass(frozen=True)
class Cost:
    """What can be counted without computing anything."""

    params: int
    """Parameters alone (PyTorch's count)."""
    mult_adds: int
    """For one picture."""
    file_bytes: int
    """Of the file; of an architecture, what its model file would have."""


@dataclass(frozen=True, eq=False)
class Contestant:
    """A model in a format and an arithmetic."""

    name: str
    """What to call the model."""
    file: str
    """What was opened: the model itself, or a file that was exported from it for this."""
    format: Format
    precision: str
    """Such as `fp32`; `int8` of a quantized file."""
    runtime: Runtime
    cost: Cost

    def run(self, prepared: Any) -> object:
        """One forward pass."""
        if isinstance(self.runtime, TorchRuntime) and self.runtime.source.description.is_headless:
            # Features, whose number nobody has promised.
            return self.runtime.precision.logits(self.runtime.network, prepared)
        return self.runtime.run(prepared)

    @property
    def has_ceiling(self) -> bool:
        """Whether it multiplies as the products do that the ceiling is measured on."""
        return self.precision == self.runtime.precision.name

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.runtime.precision.device

    def __str__(self) -> str:
        return f"{self.name} as {self.format} in {self.precision}"


def check_names(models: Sequence[str], formats: Sequence[str], precisions: Sequence[str]) -> None:
    """Refuses what can't be measured, before anything is opened.

    Raises:
        UsageError: a format or an arithmetic has no such name, or something is named twice.
    """
    for option, names, known in (
        ("--formats", formats, FORMATS),
        ("--precision", precisions, get_args(Name)),
    ):
        for name in names:
            if name not in known:
                suggestion = did_you_mean(name, known)
                raise UsageError(
                    f"{option}: {name!r} is none of {', '.join(known)}. {suggestion}".rstrip()
                )
    for what, names in (("MODEL", models), ("--formats", formats), ("--precision", precisions)):
        for name in names:
            if list(names).count(name) > 1:
                raise UsageError(f"{what}: {name} is named twice.")


def contestants(
    models: Sequence[str],
    formats: Sequence[str],
    precisions: Sequence[str],
    *,
    device: torch.device,
    threads: int | None,
) -> Iterator[Contestant]:
    """Every model in every format and arithmetic.

    Args:
        models: MODELs.
        formats: `check_names` knows them.
        precisions: likewise.
        device: of torch's networks.
        threads: of the processor.

    Raises:
        NotFoundError: a MODEL is nothing.
        UsageError: the device lacks an arithmetic, or a network can't take its own pictures.
        ModelFileError: a file is refused or corrupt.
    """
    for model in models:
        source = modelfile.resolve(model)
        if source.path is None:
            check_takes(source.description)
        cost = cost_of(source)
        for arithmetic in _arithmetics(precisions, device):
            if "torch" in formats:
                runtime = open_runtime(source, arithmetic, threads=threads)
                yield Contestant(source.name, model, "torch", arithmetic.name, runtime, cost)


def _arithmetics(precisions: Sequence[str], device: torch.device) -> list[Precision]:
    """Each once: `auto` may mean one that is named too."""
    return list(dict.fromkeys(choose(name, device) for name in precisions))


def cost_of(source: Source) -> Cost:
    """Parameters, multiply-adds and bytes of a MODEL."""
    network = modelfile.outline(source.description)
    summary = summarize(network, source.description.input_shape)
    size = source.path.stat().st_size if source.path else None
    return Cost(
        params=summary.torch_params,
        mult_adds=summary.mult_adds,
        file_bytes=size or modelfile.file_bytes(network, source.description),
    )


def random_images(source: Source, batch_size: int) -> Tensor:
    """Pictures of the size that a network takes, (N, C, H, W), uint8, the same each time."""
    generator = torch.Generator().manual_seed(0)
    shape = (batch_size, *source.description.input_shape)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def bytes_of(path: Path) -> int:
    """Of a file and of the data that an ONNX file keeps beside it."""
    beside = path.with_name(f"{path.name}.data")
    return path.stat().st_size + (beside.stat().st_size if beside.is_file() else 0)
