"""What is measured: each model in each format and arithmetic, opened once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import torch
from torch import Tensor

from zoo import devices, modelfile, runtimes
from zoo.errors import UsageError, did_you_mean
from zoo.input_sizes import check_takes
from zoo.modelfile import Source
from zoo.precision import Name, Precision, choose
from zoo.runtimes import Format, Runtime, onnx_files, open_runtime
from zoo.summary import summarize

if TYPE_CHECKING:
    from zoo.benchmark.request import Request

IN_FILES = {"fp32", "auto"}
"""Of --precision, what goes with exported files, whose arithmetic is in the file."""


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
    runtime: Runtime
    cost: Cost
    notes: tuple[str, ...] = ()
    """What the user should know of it."""

    @property
    def format(self) -> Format:
        """What runs it."""
        return self.runtime.format

    @property
    def file(self) -> str:
        """What was opened, as another process finds it: an architecture's name, or a whole path."""
        source = self.runtime.source
        # A relative path may be an architecture's name, which would win over it.
        return source.name if source.path is None else str(source.path.absolute())

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.runtime.precision.device

    @property
    def has_ceiling(self) -> bool:
        """Whether it multiplies as the products do that the ceiling is measured on."""
        return self.runtime.arithmetic == self.runtime.precision.name

    def __str__(self) -> str:
        return f"{self.name} as {self.format} in {self.runtime.arithmetic}"


def check_names(request: "Request") -> None:
    """Refuses what can't be measured, before anything is opened.

    Raises:
        UsageError: a format or an arithmetic has no such name, or something is named twice.
    """
    for option, names, known in (
        ("--formats", request.formats or (), formats()),
        ("--precision", request.precisions, get_args(Name)),
    ):
        for name in names:
            if name not in known:
                suggestion = did_you_mean(name, known)
                raise UsageError(
                    f"{option} {name} is none of {', '.join(known)}. {suggestion}".rstrip()
                )
    for what, names in (
        ("MODEL", request.models),
        ("--formats", request.formats or ()),
        ("--precision", request.precisions),
    ):
        for name in names:
            if list(names).count(name) > 1:
                raise UsageError(f"{what} {name} is named twice.")


def formats() -> tuple[str, ...]:
    """What a model can be measured as: what can be exported, and run."""
    from zoo.export import FORMATS

    return tuple(name for name in get_args(Format) if name == "torch" or name in FORMATS)


def contestants(request: "Request") -> Iterator[Contestant]:
    """Every model in every format and arithmetic.

    Raises:
        NotFoundError: a MODEL is nothing.
        UsageError: the device lacks an arithmetic, a network can't take its own pictures or can't
            be exported, an extra is missing, or an option does not apply.
        ModelFileError: a file is refused or corrupt.
    """
    sources = [modelfile.resolve(model, exported=True) for model in request.models]
    _check_formats(request, sources)
    for source in sources:
        cost = _cost(source)
        if source.exported is not None:
            yield Contestant(source.name, _opened(source, request), cost)
            continue
        if source.path is None:
            check_takes(source.description)
        for name in request.formats or ("torch",):
            if name == "torch":
                for arithmetic in _arithmetics(request):
                    runtime = open_runtime(source, arithmetic, threads=request.threads)
                    yield Contestant(source.name, runtime, cost)
            else:
                yield _exported(source, name, cost, request)


def _check_formats(request: "Request", sources: Sequence[Source]) -> None:
    """Refuses what nothing can be exported for, before anything is."""
    if request.formats is not None and all(source.exported for source in sources):
        raise UsageError("--formats does not apply: exported files are measured as they are.")
    exported = [name for name in request.formats or () if name != "torch"]
    if exported and request.device not in ("auto", "cpu"):
        raise UsageError(
            f"--device {request.device} does not apply to {' and '.join(exported)}, which are run "
            "on the processor.",
            hint="--device auto computes the rest on the fastest device.",
        )
    if exported and not set(request.precisions) & IN_FILES:
        raise UsageError(
            f"--precision {','.join(request.precisions)} does not apply to "
            f"{' and '.join(exported)}: the arithmetic is in the file.",
            hint="Add fp32.",
        )


def _arithmetics(request: "Request") -> list[Precision]:
    """Each once: `auto` may mean one that is named too."""
    device = devices.choose(request.device)
    return list(dict.fromkeys(choose(name, device) for name in request.precisions))


def _opened(source: Source, request: "Request") -> Runtime:
    """An exported file in its runtime, whose arithmetic is in the file."""
    fits = [name for name in request.precisions if name in IN_FILES]
    arithmetic = runtimes.arithmetic(source, request.device, (fits or request.precisions)[0])
    return open_runtime(source, arithmetic, threads=request.threads)


def _exported(source: Source, name: str, cost: Cost, request: "Request") -> Contestant:
    """A file that is exported for this, which checks it too."""
    from zoo.export import FORMATS, Wishes, export_file

    kind = next(kind for kind in FORMATS if kind == name)
    number = len(list(request.scratch.iterdir()))
    path = request.scratch / f"{number}{FORMATS[kind][1]}"
    # In 8 bits, what is not trained need not name the same classes: only its speed is of interest.
    is_idle = kind == "onnx-int8" and not source.description.is_trained
    has_pictures = kind == "onnx-int8" or source.description.is_trained
    wishes = Wishes(
        recipe_name=request.recipe if has_pictures else None,
        data=request.data if has_pictures else None,
        checked=not is_idle,
    )
    made = export_file(source.name, path, kind, wishes)
    file = replace(modelfile.resolve(str(path), exported=True), name=f"{source.name} as {name}")
    of_file = replace(cost, file_bytes=made.bytes)
    return Contestant(source.name, _opened(file, request), of_file, made.notes)


def _cost(source: Source) -> Cost:
    network = modelfile.outline(source.description)
    summary = summarize(network, source.description.input_shape)
    size = _bytes_of(source, source.path) if source.path else None
    return Cost(
        params=summary.torch_params,
        mult_adds=summary.mult_adds,
        file_bytes=size or modelfile.file_bytes(network, source.description),
    )


def _bytes_of(source: Source, path: Path) -> int:
    """Of a file, and of the weights that an ONNX file may have beside it."""
    is_onnx = source.exported is not None and source.exported.container == "onnx"
    beside = onnx_files.external_files(path) if is_onnx else {}
    return path.stat().st_size + sum(beside.values())


def random_images(source: Source, batch_size: int) -> Tensor:
    """Pictures of the size that a network takes, (N, C, H, W), uint8, the same each time."""
    generator = torch.Generator().manual_seed(0)
    shape = (batch_size, *source.description.input_shape)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
