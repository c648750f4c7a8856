"""`zoo benchmark`: how fast models are, and what they cost, side by side."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli.app import OUTPUT, app, command
from zoo.cli.benchmarked import Against, result_of
from zoo.cli.options import (
    DataDirectory,
    Device,
    Force,
    ModelsArg,
    Offline,
    RecipeOption,
    Threads,
    check_share,
)
from zoo.cli.output import Result, plural
from zoo.cli.watch import watched
from zoo.errors import (
    InterruptionError,
    OutOfMemoryError,
    SigtermInterrupt,
    TerminationError,
    UsageError,
    ZooError,
)
from zoo.files import check_output_file

if TYPE_CHECKING:
    from zoo.benchmark import Benchmark

TOLERANCE = 0.1
_LARGEST_BATCH = 10**9


@command(
    app,
    "benchmark",
    example="zoo benchmark lenet5 resnet20 --batch-sizes 1,32\n"
    "zoo benchmark runs/lenet5-digits --precision fp32,bf16 --recipe digits --png speed.png\n"
    "zoo benchmark runs/lenet5-digits --formats torch,onnx --threads 2\n"
    "zoo benchmark runs/lenet5-digits --baseline before.json --tolerance 0.2",
    table=True,
)
def benchmark(
    models: ModelsArg,
    batch_sizes: Annotated[
        str, typer.Option(metavar="N,N", help="Pictures at a time, such as 1,32.")
    ] = "1",
    formats: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME",
            help="torch, onnx, onnx-int8, pt2, or several: models are exported for this. Left out, "
            "torch.",
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            metavar="NAME,NAME", help="Arithmetic: fp32, bf16, fp16, auto, or several of them."
        ),
    ] = "fp32",
    threads: Threads = None,
    device: Device = "auto",
    recipe: RecipeOption = None,
    data: DataDirectory = None,
    offline: Offline = False,
    spread: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SHARE",
            help="Measure until the 95 % interval of every median is within this share of it.",
        ),
    ] = 0.02,
    seconds: Annotated[
        float,
        typer.Option(min=0, metavar="S", help="Stop after so long for each row, on average."),
    ] = 5.0,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Draws the order in which rows take turns.")
    ] = 0,
    memory: Annotated[
        bool,
        typer.Option(
            "--memory/--no-memory",
            help="Measure peak memory, for which each row starts a process of its own.",
        ),
    ] = True,
    png: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw accuracy (without a recipe multiply-adds) against latency.",
        ),
    ] = None,
    force: Force = False,
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Compare with earlier --json; exit 10 if slower."),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SHARE",
            help="How much slower than that is fine; left out, 0.1.",
        ),
    ] = None,
) -> Result:
    """Measure latency, speed, memory and more of several models, under the same noise."""
    sizes = _sizes(batch_sizes)
    check_share("--spread", spread)
    check_share("--tolerance", tolerance)
    _check_idle("--tolerance", tolerance is not None, "--baseline", baseline is not None)
    _check_idle("--force", force, "--png", png is not None)
    _check_idle("--offline", offline, "--recipe or --data", recipe is not None or data is not None)

    from zoo.benchmark import Benchmark, Request
    from zoo.benchmark.baseline import check_has_partner, read
    from zoo.plotting import check_can_draw
    from zoo.timing import Goal

    if png is not None:
        check_can_draw()
        check_output_file(png, force=force, suffix=".png")
    against = None
    if baseline is not None:
        allowed = TOLERANCE if tolerance is None else tolerance
        against = Against(baseline, read(baseline), allowed)
    with TemporaryDirectory(prefix="zoo-benchmark-") as scratch:
        with watched(offline=offline) as watch:
            measured = Benchmark(
                Request(
                    models=tuple(models),
                    scratch=Path(scratch),
                    formats=None if formats is None else _names(formats),
                    precisions=_names(precision),
                    batch_sizes=sizes,
                    device=device,
                    threads=threads,
                    goal=Goal(spread, seconds),
                    seed=seed,
                    with_memory=memory,
                    recipe=recipe,
                    data=data,
                    downloads=watch.downloads,
                    progress=watch.decoded,
                )
            )
            if formats is not None:
                OUTPUT.progress(f"opening {plural(len(models), 'model')} as {formats}")
            measured.open()
            if against is not None:
                check_has_partner(measured.keys, against.baseline, against.path)
        failure = _run(measured)
    return result_of(measured, against, png if failure is None else None, failure)


def _run(measured: "Benchmark") -> ZooError | None:
    """Measures; what went wrong, so that what was measured is shown beside it."""
    try:
        for part in measured.run():
            OUTPUT.progress(part)
    except SigtermInterrupt:
        return TerminationError("Terminated.")
    except KeyboardInterrupt:
        return InterruptionError("Interrupted.")
    if measured.too_large:
        return OutOfMemoryError(
            f"Memory ran out: {'; '.join(measured.too_large)}.", hint="Smaller --batch-sizes."
        )
    return None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _sizes(text: str) -> tuple[int, ...]:
    """`1,32` as numbers."""
    sizes = []
    for name in _names(text):
        if not name.isdecimal() or not 1 <= int(name) <= _LARGEST_BATCH:
            raise UsageError(
                f"--batch-sizes {text}: {name!r} is no number of pictures.",
                hint="--batch-sizes 1,32",
            )
        sizes.append(int(name))
    if len(set(sizes)) < len(sizes):
        raise UsageError(f"--batch-sizes {text} names a size twice.")
    return tuple(sizes)


def _check_idle(flag: str, given: bool, needed: str, has_needed: bool) -> None:
    if given and not has_needed:
        raise UsageError(f"{flag} goes with {needed}.")
