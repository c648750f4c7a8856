"""`zoo train`: a recipe, a network, a run directory."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.app import OUTPUT, app, command
from zoo.cli.find_lr import rate_found
from zoo.cli.layer_settings import parse_settings, split_settings
from zoo.cli.options import (
    DataDirectory,
    Device,
    Force,
    HeadForm,
    InChannels,
    InputSize,
    Offline,
    OnBad,
    OptimizerName,
    OptionalModelArg,
    PrecisionName,
    RecipeOption,
    ScheduleName,
    Seed,
    Settings,
    SplitFile,
    Threads,
    Weights,
    parse_size,
)
from zoo.cli.output import Result
from zoo.cli.trained import trained
from zoo.cli.watch import on_bad_setting, watched
from zoo.errors import UsageError, ZooError
from zoo.training.lock import check_free


@command(
    app,
    "train",
    example="zoo train lenet5\nzoo train keras-mnist-cnn --epochs 5 --lr 5e-4\n"
    "zoo train lenet5 --data ~/my-pictures\n"
    "zoo train resnet18 --weights imagenet --data ~/my-pictures\n"
    "zoo train resnet18 --weights imagenet --freeze all-but-head --data ~/my-pictures\n"
    "zoo train lenet5 --set c1.out_channels=12 --set augment.rotation_range=20\n"
    "zoo train --resume runs/lenet5-digits",
)
def train(
    model: OptionalModelArg = None,
    recipe: RecipeOption = None,
    data: DataDirectory = None,
    weights: Weights = None,
    head: Annotated[
        HeadForm | None,
        typer.Option(
            help="The new head of a network whose top was taken off: average its maps, or flatten "
            "them; pool where left out."
        ),
    ] = None,
    keep_head: Annotated[
        bool,
        typer.Option("--keep-head", help="Stop rather than replace the head for other classes."),
    ] = False,
    freeze: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLOB",
            help="Layers or blocks that keep the weights they have, as in `zoo freeze --layers`; "
            "or all-but-head. Repeatable.",
        ),
    ] = None,
    input_size: InputSize = None,
    in_channels: InChannels = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Passes over the training split.")
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=2, metavar="N", help="Pictures in a batch of all processes."),
    ] = None,
    lr: Annotated[
        float | None, typer.Option(metavar="RATE", help="Learning rate at its highest.")
    ] = None,
    optimizer: Annotated[
        OptimizerName | None, typer.Option(help="What turns gradients into steps.")
    ] = None,
    schedule: Annotated[
        ScheduleName | None, typer.Option(help="How the rate changes while training.")
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option(min=0, metavar="X", help="L2 penalty; spares norms and biases.")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Stop after so many epochs without progress."),
    ] = None,
    seed: Seed = None,
    settings: Settings = None,
    split_file: SplitFile = None,
    on_bad: OnBad = None,
    offline: Offline = False,
    max_steps: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Stop after this many steps in all; the schedule ends there."
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Go on with a run that was stopped; MODEL is left out."),
    ] = None,
    override: Annotated[
        bool, typer.Option("--override", help="With --resume: accept settings that changed.")
    ] = False,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", help="Steps between checkpoints within an epoch; 0 is none."
        ),
    ] = None,
    find_lr: Annotated[
        bool,
        typer.Option(
            "--find-lr",
            help="Train nothing: suggest a rate from a range test, and draw its curve as PNG.",
        ),
    ] = False,
    device: Device = "auto",
    precision: Annotated[
        PrecisionName | None,
        typer.Option(help="Arithmetic; auto is bf16 where the device computes in it, else fp32."),
    ] = None,
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic",
            help="The same bits each time; on a GPU only at fp32.",
        ),
    ] = False,
    compile_network: Annotated[
        bool, typer.Option("--compile", help="Compile the network first; for GPUs.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write RUN/tensorboard too; an extra.")
    ] = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report", help="Write RUN/report.html at the end, as `zoo report` does; an extra."
        ),
    ] = False,
    threads: Threads = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="The run directory; default runs/ARCHITECTURE-RECIPE, numbered. With --find-lr "
            "the PNG; default ARCHITECTURE-RECIPE-lr.png.",
        ),
    ] = None,
    force: Force = False,
) -> Result:
    """Train a network and write a run directory with its best weights."""
    if lr is not None and not 0 < lr < math.inf:
        raise UsageError(f"--lr {lr:g} is no learning rate: it must be finite and above 0.")
    for_recipe, for_layers = split_settings(settings)
    of_a_run = {
        "--output": output,
        "--force": force,
        "--weights": weights,
        "--head": head,
        "--keep-head": keep_head,
        "--freeze": freeze,
        "--input-size": input_size,
        "--in-channels": in_channels,
        "--split-file": split_file,
        "--set LAYER.FIELD": for_layers,
    }
    of_training = {
        "--resume": resume,
        "--epochs": epochs,
        "--lr": lr,
        "--schedule": schedule,
        "--patience": patience,
        "--max-steps": max_steps,
        "--checkpoint-every": checkpoint_every,
        "--tensorboard": tensorboard,
        "--report": report,
    }
    if resume is not None:
        _refuse("--resume RUN", {"MODEL": model, **of_a_run})
    elif model is None:
        raise UsageError("MODEL is missing.", hint="zoo train lenet5, or zoo train --resume RUN")
    elif override:
        raise UsageError("--override goes with --resume.")
    if find_lr:
        _refuse("--find-lr", of_training)
    flags = {
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "optimizer": optimizer and optimizer.value,
        "schedule": schedule and schedule.value,
        "weight_decay": weight_decay,
        "patience": patience,
        "seed": seed,
        "checkpoint_every": checkpoint_every,
        "precision": precision and precision.value,
        "deterministic": deterministic or None,
        "compile": compile_network or None,
        "tensorboard": tensorboard or None,
    }
    for_recipe += [
        f"train.{key}={_yaml(value)}" for key, value in flags.items() if value is not None
    ]
    if (size := parse_size(input_size)) is not None:
        for_recipe.append(f"preprocess.size=[{size[0]}, {size[1]}]")
    if in_channels is not None:
        for_recipe.append(f"preprocess.channels={in_channels}")
    for_recipe += on_bad_setting(on_bad)
    for directory in (resume, output if force else None):
        if directory is not None:
            check_free(directory)  # before torch is imported, which takes seconds

    if report:
        from zoo.report.page import check_installed

        check_installed()

    from zoo.training.distributed import joined
    from zoo.training.new_head import HeadWishes
    from zoo.training.preparation import Request, prepare
    from zoo.training.resumption import left_by_restart
    from zoo.training.resumption import resume as go_on

    with joined(device) as (world, own_device):
        OUTPUT.rank = world.rank
        with watched(offline=offline) as watch:
            request = Request(
                model=model or "",
                recipe=recipe,
                overrides=tuple(for_recipe),
                layer_settings=tuple(parse_settings(for_layers)),
                data=data,
                split_file=split_file,
                weights=weights,
                head=HeadWishes(head and head.value, keep_head),  # type: ignore[arg-type]
                freeze=tuple(freeze or ()),
                downloads=watch.downloads,
                progress=watch.decoded,
                device=own_device,
                threads=threads,
                output=output,
                max_steps=max_steps,
                force=force,
            )
            if find_lr:
                return rate_found(request, world)
            left = world.of_first(left_by_restart(output) if world.is_first else None)
            run = resume or left
            if run is None:
                session = prepare(request, world)
            else:
                session = go_on(run, request, world, override=override)
        result = trained(session)
    if report and world.is_first:  # the other processes wait for nothing any more
        _add_report(result, session.path, data=data, offline=offline, device=own_device)
    return result


def _add_report(
    result: Result, run: Path, *, data: Path | None, offline: bool, device: str
) -> None:
    """Writes the page of a run that has ended; one that a run before it had is replaced."""
    from zoo.cli.report import made_report

    page = run / "report.html"
    try:
        made = made_report(
            [str(run)], page, data=data, offline=offline, device=device, threads=None
        )
    except ZooError as error:
        result.failure = error  # the training has ended well, and is told
        return
    result.document["report"] = str(made.output)
    lines = [line for line in result.text.splitlines() if not line.startswith("  zoo report ")]
    lines.insert(lines.index("next:") - 1, f"report: {made.output}")
    result.text = "\n".join(lines)


def _refuse(flag: str, others: Mapping[str, object]) -> None:
    """Refuses flags that mean nothing beside one that is given."""
    # A zero is given too.
    given = [name for name, value in others.items() if value or type(value) in (int, float)]
    if given:
        raise UsageError(f"{' and '.join(given)} can't go with {flag}.")


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
