"""`zoo prune`: fewer layers, channels or weights, and what that costs and gains."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.app import OUTPUT, app, command
from zoo.cli.following import on_model
from zoo.cli.options import (
    DataDirectory,
    Device,
    DryRun,
    Force,
    ModelArg,
    Offline,
    OutputUnlessDry,
    RecipeOption,
    Seed,
    Threads,
)
from zoo.cli.output import Column, Result, Table, compact, count, percent, plural, shape
from zoo.cli.prune_options import (
    Asked,
    Channels,
    Epochs,
    Global,
    Importance,
    Keep,
    RoundTo,
    Sparsity,
    Steps,
    TargetMultAdds,
)
from zoo.cli.trained import epoch_line
from zoo.cli.watch import Watch, watched
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.evaluation import Shown
    from zoo.modelfile import Edit, Source
    from zoo.shrinking import Change, Figures, Shrunk, Version

LAYERS = (
    Column("name", "Layer"),
    Column("type", "Type"),
    Column("output_shape", "Output", shape),
    Column("params", "Parameters", count, right=True),
    Column("output_shape_after", "Output after", lambda sides: shape(sides) if sides else "gone"),
    Column("params_after", "Parameters after", count, right=True),
)
LAYERS_WITH_ACTIVATIONS = (
    *LAYERS[:2],
    Column("activation", "Activation"),
    *LAYERS[2:5],
    Column("activation_after", "Activation after"),
    *LAYERS[5:],
)
ZEROED = (
    Column("name", "Weights"),
    Column("weights", "In all", count, right=True),
    Column("zeros", "Zero", count, right=True),
    Column("zeros_after", "Zero after", count, right=True),
)


class _Accuracy(float):
    """What people read as per cent."""


def _figure(value: float) -> str:
    if isinstance(value, _Accuracy):
        return percent(value)
    return f"{value:.3f}" if isinstance(value, float) else count(value)


FIGURES = (
    Column("figure", ""),
    Column("before", "Before", _figure, right=True),
    Column("after", "After", _figure, right=True),
    Column("left", "Left", lambda share: "" if share is None else percent(share), right=True),
)


@command(
    app,
    "prune",
    example="zoo prune resnet18 --pop 2 -o features.safetensors\n"
    "zoo prune keras-mnist-cnn --pop 2 --dry-run\n"
    "zoo prune resnet50 --layers layer3.4 --layers layer3.5 -o shorter.safetensors\n"
    "zoo prune resnet18 --channels 0.3 --round-to 8 -o narrow.safetensors\n"
    "zoo prune runs/lenet5-digits --target-mult-adds 0.5 --importance taylor --recipe digits "
    "-o half.safetensors\n"
    "zoo prune runs/lenet5-digits --sparsity 0.8 -o sparse.safetensors",
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
            "read, with their activations. Repeatable.",
        ),
    ] = None,
    channels: Channels = None,
    target_mult_adds: TargetMultAdds = None,
    sparsity: Sparsity = None,
    importance: Importance = None,
    is_global: Global = False,
    round_to: RoundTo = None,
    keep: Keep = None,
    steps: Steps = None,
    epochs: Epochs = None,
    seed: Seed = None,
    output: OutputUnlessDry = None,
    dry_run: DryRun = False,
    recipe: RecipeOption = None,
    data: DataDirectory = None,
    offline: Offline = False,
    device: Device = "auto",
    threads: Threads = None,
    force: Force = False,
) -> Result:
    """Take layers, channels or weights out of a network, with what that costs and gains."""
    asked = Asked(
        channels, target_mult_adds, sparsity, importance, is_global, round_to, tuple(keep or ()),
        steps, epochs, seed,
    )  # fmt: skip
    of_a_file: dict[str, object] = {"--force": force}
    if not asked.learns:
        of_a_file |= {
            "--recipe": recipe,
            "--data": data,
            "--threads": threads,
            "--device": device != "auto",
        }
    _check(pop, layers, asked, output, dry_run=dry_run, of_a_file=of_a_file)
    asked.check(has_recipe=recipe is not None or data is not None)

    from zoo import devices, shrinking
    from zoo.evaluation import open_split

    devices.use_threads(threads)
    notes: list[str] = []
    with watched(offline=offline) as watch:

        def shown(source: "Source", split: str | None = None) -> "Shown":
            return open_split(
                source,
                split=split,
                recipe_name=recipe,
                data_directory=data,
                downloads=watch.downloads,
                progress=watch.decoded,
            )

        if asked.is_of_channels or sparsity is not None:
            change = _narrowing(model, asked, recipe, data, watch, device, threads, shown)
        else:

            def change(before: "Version") -> "Version":
                edits, said = _edits(before, pop, layers)
                notes.extend(said)
                return shrinking.edited(before, edits)

        found = shrinking.shrink(
            model,
            change,
            output,
            needs_weights=pop is None and not layers,
            dry_run=dry_run,
            force=force,
            shown=shown if recipe is not None or data is not None else None,
            device=str(devices.choose(device)),
        )
    if sparsity is not None:
        OUTPUT.note(
            "zeros are multiplied and stored like other weights: nothing is faster or smaller; "
            "training keeps them zero"
        )
    for note in notes:
        OUTPUT.note(note)
    return shrunk_result(found)


def _check(
    pop: int | None,
    layers: Sequence[str] | None,
    asked: Asked,
    output: Path | None,
    *,
    dry_run: bool,
    of_a_file: Mapping[str, object],
) -> None:
    given = {
        "--pop": pop is not None,
        "--layers": bool(layers),
        "--channels": asked.channels is not None,
        "--target-mult-adds": asked.target_mult_adds is not None,
        "--sparsity": asked.sparsity is not None,
    }
    kinds = [flag for flag, is_given in given.items() if is_given]
    if not kinds:
        raise UsageError(
            "What to take away is missing.",
            hint="--pop N, --layers GLOB, --channels RATIO or --sparsity RATIO",
        )
    if len(kinds) > 1:
        raise UsageError(
            f"{' and '.join(kinds)} exclude one another.",
            hint="One at a time: each writes a model file that the next can take.",
        )
    if pop is not None and pop < 1:
        raise UsageError(f"--pop {pop} takes nothing off.", hint="--pop 1 or more.")
    if output is None and not dry_run:
        raise UsageError("Missing option '--output' / '-o'.", hint="--dry-run writes nothing.")
    idle = [flag for flag, value in of_a_file.items() if value]
    if dry_run and idle:
        raise UsageError(
            f"{' and '.join(idle)} can't go with --dry-run, which measures and writes nothing."
        )


def _narrowing(
    model: str,
    asked: Asked,
    recipe: str | None,
    data: Path | None,
    watch: "Watch",
    device: str,
    threads: int | None,
    shown: "Callable[[Source, str | None], Shown]",
) -> "Callable[[Version], Version]":
    """What takes channels or single weights out."""
    import torch

    from zoo import devices, modelfile
    from zoo.precision import choose
    from zoo.pruning import versions
    from zoo.training.preparation import Request

    if asked.sparsity is not None:
        ratio = asked.sparsity
        return lambda before: versions.without_weights(
            before, ratio=ratio, is_global=asked.is_global, keep=asked.keep
        )
    wish, gradients, train = asked.wish(), None, None
    source = modelfile.resolve(model)
    if wish.policy.importance == "taylor":
        arithmetic = choose("fp32", torch.device(devices.choose(device)))
        gradients = versions.gradients_on(shown(source, "train"), arithmetic, wish.policy.seed)
    if wish.steps > 1:
        beside = source.path and source.path.parent / "split.csv"
        train = versions.trained(
            Request(
                model=model,
                recipe=recipe,
                overrides=() if asked.epochs is None else (f"train.epochs={asked.epochs}",),
                data=data,
                split_file=beside if beside and beside.is_file() and recipe is None else None,
                downloads=watch.downloads,
                progress=watch.decoded,
                device=device,
                threads=threads,
            ),
            lambda epoch, epochs: OUTPUT.progress(epoch_line(epoch, epochs)),
        )

    def say(step: int, left: "Version") -> None:
        if wish.steps > 1:
            params = sum(parameter.numel() for parameter in left.network.parameters())
            OUTPUT.progress(f"step {step} of {wish.steps}: pruned to {count(params)} parameters")

    return lambda before: versions.without_channels(
        before, wish, gradients=gradients, train=train, on_step=say
    )


def _edits(
    before: "Version", pop: int | None, globs: Sequence[str] | None
) -> "tuple[list[Edit], list[str]]":
    """What was asked for, with every layer by its name, and notes."""
    from zoo.surgery import Pop
    from zoo.surgery.remove import removals

    if pop is not None:
        return [Pop(layers=pop)], []
    found = removals(before.network, before.description.input_shape, globs or ())
    notes = [
        f"with {edit.layer} goes its activation, {' and '.join(edit.activations)}"
        for edit in found.edits
        if edit.activations
    ]
    notes += [f"the activation after {layer} stays: {why}" for layer, why in found.stay.items()]
    return [*found.edits], notes


def shrunk_result(found: "Shrunk") -> Result:
    """What to print of a network that became smaller."""
    for note in found.notes:
        OUTPUT.note(note)
    layers = [_change(change) for change in found.changes]
    zeroed = [vars(one) for one in found.zeroed]
    document = {
        "output": None if found.output is None else str(found.output),
        "edits": list(found.description.edits),
        "before": _figures(found.before),
        "after": _figures(found.after),
        "layers": layers,
        **({"zeroed": zeroed} if zeroed else {}),
        "speed_up": found.speed_up,
        "device": str(found.measured_on.device),
        "threads": found.threads,
    }
    if found.output is None and zeroed:
        return Result(document, _counted(found), Table(ZEROED, zeroed))
    if found.output is None:
        return Result(document, _counted(found), Table(_columns(layers), layers))
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
        "activation": before and before.activation,
        "params": before and before.params,
        "output_shape_after": after and after.output_shape,
        "activation_after": after and after.activation,
        "params_after": after and after.params,
    }


def _columns(layers: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """Activations only where a layer that stays has another than before."""
    stay = [row for row in layers if row["output_shape"] and row["output_shape_after"]]
    if all(row["activation"] == row["activation_after"] for row in stay):
        return LAYERS
    return LAYERS_WITH_ACTIVATIONS


def _rows(found: "Shrunk") -> list[dict[str, Any]]:
    """A row a figure; what is counted has a share that is left."""
    before, after = found.before, found.after
    rows = [
        _row("parameters with batch-norm statistics", before.total_params, after.total_params),
        _row("parameters alone", before.torch_params, after.torch_params),
        _row("multiply-adds for one picture", before.mult_adds, after.mult_adds),
        _row("file, bytes", before.file_bytes, after.file_bytes),
    ]
    if found.zeroed:
        before_and_after = (
            sum(one.zeros for one in found.zeroed),
            sum(one.zeros_after for one in found.zeroed),
        )
        rows.append({**_row("weights that are zero", *before_and_after), "left": None})
    if before.latency_ms is not None and after.latency_ms is not None:
        share = after.latency_ms / before.latency_ms
        rows.append({
            "figure": "latency of one picture, ms",
            "before": before.latency_ms,
            "after": after.latency_ms,
            "left": share,
        })  # fmt: skip
    if before.top1 is not None and after.top1 is not None:
        rows.append({
            "figure": f"top-1 on {found.split}",
            "before": _Accuracy(before.top1),
            "after": _Accuracy(after.top1),
            "left": None,
        })  # fmt: skip
    return rows


def _row(name: str, before: int, after: int) -> dict[str, Any]:
    share = after / before if before else None
    return {"figure": name, "before": before, "after": after, "left": share}


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
    assert found.output is not None
    path = shlex.quote(str(found.output))
    further = on_model("train", found.output, found.description)
    return (
        f"{found.output}: {gained}, measured one picture at a time ({where})\n\n"
        f"next:\n  zoo summary {path}\n  {further}"
    )
