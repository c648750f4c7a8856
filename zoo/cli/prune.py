"""`zoo prune`: fewer layers, and what that costs and gains."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.app import OUTPUT, app, command
from zoo.cli.options import (
    DataDirectory,
    Device,
    Force,
    ModelArg,
    Offline,
    RecipeOption,
    Threads,
)
from zoo.cli.output import Column, Result, Table, compact, count, percent, plural, shape
from zoo.cli.watch import watched
from zoo.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from zoo.modelfile import Edit
    from zoo.shrinking import Change, Figures, Shrunk

LAYERS = (
    Column("name", "Layer"),
    Column("type", "Type"),
    Column("output_shape", "Output", shape),
    Column("params", "Parameters", count, right=True),
    Column("output_shape_after", "Output after", lambda sides: shape(sides) if sides else "gone"),
    Column("params_after", "Parameters after", count, right=True),
)
FIGURES = (
    Column("figure", ""),
    Column("before", "Before", right=True),
    Column("after", "After", right=True),
    Column("left", "Left", lambda share: "" if share is None else percent(share), right=True),
)


@command(
    app,
    "prune",
    example="zoo prune resnet18 --pop 2 -o features.safetensors\n"
    "zoo prune keras-mnist-cnn --pop 2 --dry-run\n"
    "zoo prune resnet50 --layers layer3.4 --layers layer3.5 -o shorter.safetensors",
    table=True,
)
def prune(
    model: ModelArg,
    pop: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Take the last N layers (rows of the summary) off: Keras's pop()."
        ),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLOB",
            help="Take out layers or blocks, such as 'layer3.2', that give the shape that they "
            "read. Repeatable.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The model file to write."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; write nothing.")
    ] = False,
    recipe: RecipeOption = None,
    data: DataDirectory = None,
    offline: Offline = False,
    device: Device = "auto",
    threads: Threads = None,
    force: Force = False,
) -> Result:
    """Take layers off a network and write the smaller one, with what that costs and gains."""
    of_a_file = {
        "--force": force,
        "--recipe": recipe,
        "--data": data,
        "--threads": threads,
        "--device": device != "auto",
    }
    _check(pop, layers, output, dry_run=dry_run, of_a_file=of_a_file)

    from zoo import devices, shrinking
    from zoo.evaluation import Shown, open_split
    from zoo.modelfile import Source

    devices.use_threads(threads)
    with watched(offline=offline) as watch:

        def shown(source: Source) -> Shown:
            return open_split(
                source,
                recipe_name=recipe,
                data_directory=data,
                downloads=watch.downloads,
                progress=watch.decoded,
            )

        found = shrinking.shrink(
            model,
            lambda network, _description: _edits(network, pop, layers),
            output,
            dry_run=dry_run,
            force=force,
            shown=shown if recipe is not None or data is not None else None,
            device=str(devices.choose(device)),
        )
    return shrunk_result(found)


def _check(
    pop: int | None,
    layers: Sequence[str] | None,
    output: Path | None,
    *,
    dry_run: bool,
    of_a_file: Mapping[str, object],
) -> None:
    if pop is None and not layers:
        raise UsageError("What to take away is missing.", hint="--pop N or --layers GLOB")
    if pop is not None and layers:
        raise UsageError(
            "--pop and --layers exclude one another.", hint="One after the other: --layers first."
        )
    if pop is not None and pop < 1:
        raise UsageError(f"--pop {pop} takes nothing off.", hint="--pop 1 or more.")
    if output is None and not dry_run:
        raise UsageError("Missing option '--output' / '-o'.", hint="--dry-run writes nothing.")
    given = [flag for flag, value in of_a_file.items() if value]
    if dry_run and given:
        raise UsageError(
            f"{' and '.join(given)} can't go with --dry-run, which measures and writes nothing."
        )


def _edits(network: "nn.Module", pop: int | None, globs: Sequence[str] | None) -> "list[Edit]":
    """What was asked for, with every layer by its name."""
    from zoo.surgery import Pop, Remove
    from zoo.surgery.remove import matching

    if pop is not None:
        return [Pop(layers=pop)]
    return [Remove(layer=name) for name in matching(network, globs or ())]


def shrunk_result(found: "Shrunk") -> Result:
    """What to print of a network that became smaller."""
    for note in found.notes:
        OUTPUT.note(note)
    layers = [_change(change) for change in found.changes]
    document = {
        "output": None if found.output is None else str(found.output),
        "edits": list(found.description.edits),
        "before": _figures(found.before),
        "after": _figures(found.after),
        "layers": layers,
        "speed_up": found.speed_up,
        "device": str(found.measured_on.device),
        "threads": found.threads,
    }
    if found.output is None:
        return Result(document, _counted(found), Table(LAYERS, layers))
    return Result(document, _written(found), Table(FIGURES, _rows(found)))


def _figures(figures: "Figures") -> dict[str, Any]:
    """As JSON; accuracy only where it was measured."""
    return {key: value for key, value in vars(figures).items() if (key, value) != ("top1", None)}


def _change(change: "Change") -> dict[str, Any]:
    before, after = change.before, change.after
    return {
        "name": change.name,
        "type": change.type,
        "output_shape": before and before.output_shape,
        "params": before and before.params,
        "output_shape_after": after and after.output_shape,
        "params_after": after and after.params,
    }


def _rows(found: "Shrunk") -> list[dict[str, Any]]:
    """A row a figure; what is counted has a share that is left."""
    before, after = found.before, found.after
    rows = [
        _row("parameters with batch-norm statistics", before.total_params, after.total_params),
        _row("parameters alone", before.torch_params, after.torch_params),
        _row("multiply-adds for one picture", before.mult_adds, after.mult_adds),
        _row("file, bytes", before.file_bytes, after.file_bytes),
    ]
    if before.latency_ms is not None and after.latency_ms is not None:
        share = after.latency_ms / before.latency_ms
        rows.append({
            "figure": "latency of one picture, ms",
            "before": f"{before.latency_ms:.3f}",
            "after": f"{after.latency_ms:.3f}",
            "left": share,
        })  # fmt: skip
    if before.top1 is not None and after.top1 is not None:
        rows.append({
            "figure": f"top-1 on {found.split}",
            "before": percent(before.top1),
            "after": percent(after.top1),
            "left": None,
        })  # fmt: skip
    return rows


def _row(name: str, before: int, after: int) -> dict[str, Any]:
    share = after / before if before else None
    return {"figure": name, "before": count(before), "after": count(after), "left": share}


def _counted(found: "Shrunk") -> str:
    before, after = found.before, found.after
    return (
        f"{found.model}: {count(before.total_params)} parameters before, "
        f"{count(after.total_params)} after; {compact(before.mult_adds)} multiply-adds before, "
        f"{compact(after.mult_adds)} after; file {before.file_bytes / 1e6:.2f} MB before, "
        f"{after.file_bytes / 1e6:.2f} MB after. Nothing was written."
    )


def _written(found: "Shrunk") -> str:
    where = f"{found.measured_on.device}, fp32, {plural(found.threads, 'thread')}"
    times = found.speed_up
    gained = "no speed-up" if times is None else f"{times:.2f} times as fast"
    path = shlex.quote(str(found.output))
    return (
        f"{found.output}: {gained}, measured one picture at a time ({where})\n\n"
        f"next:\n  zoo summary {path}\n  zoo train {path}"
    )
