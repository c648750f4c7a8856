"""`zoo train`: a recipe, a network, a run directory."""

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli.app import OUTPUT, app, command
from zoo.cli.find_lr import rate_found
from zoo.cli.layer_settings import parse_settings, split_settings
from zoo.cli.options import (
    DataDirectory,
    Device,
    Force,
    Offline,
    OnBad,
    OptionalModelArg,
    PrecisionName,
    RecipeOption,
    Seed,
    Settings,
    SplitFile,
    Threads,
    Weights,
)
from zoo.cli.output import Result, percent
from zoo.cli.watch import on_bad_setting, watched
from zoo.errors import UsageError
from zoo.training.lock import check_free

if TYPE_CHECKING:
    from zoo.training.engine import Epoch
    from zoo.training.session import Outcome, Session


@command(
    app,
    "train",
    example="zoo train lenet5\nzoo train keras-mnist-cnn --epochs 5 --lr 5e-4\n"
    "zoo train lenet5 --data ~/my-pictures\n"
    "zoo train resnet18 --weights imagenet --data ~/my-pictures\n"
    "zoo train lenet5 --set c1.out_channels=12 --set augment.rotation_range=20\n"
    "zoo train --resume runs/lenet5-digits",
)
def train(
    model: OptionalModelArg = None,
    recipe: RecipeOption = None,
    data: DataDirectory = None,
    weights: Weights = None,
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
        str | None, typer.Option(metavar="NAME", help="adam, adamw, sgd or rmsprop.")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="cosine, one-cycle, step, multi-step, plateau or constant."
        ),
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option(metavar="X", help="L2 penalty; spares norms and biases.")
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
        typer.Option("--deterministic", help="The same bits each time, also on a GPU; at fp32."),
    ] = False,
    compile_network: Annotated[
        bool, typer.Option("--compile", help="Compile the network first; for GPUs.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write RUN/tensorboard too; an extra.")
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
        raise UsageError(f"--lr {lr:g} is no learning rate: it must be greater than 0.")
    for_recipe, for_layers = split_settings(settings)
    of_a_run = {
        "--output": output,
        "--force": force,
        "--weights": weights,
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
        "optimizer": optimizer,
        "schedule": schedule,
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
    for_recipe += on_bad_setting(on_bad)
    for directory in (resume, output if force else None):
        if directory is not None:
            check_free(directory)  # before torch is imported, which takes seconds

    from zoo.training.distributed import joined
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
        return _trained(session)


def _refuse(flag: str, others: Mapping[str, object]) -> None:
    """Refuses flags that mean nothing beside one that is given."""
    # A zero is given too.
    given = [name for name, value in others.items() if value or type(value) in (int, float)]
    if given:
        raise UsageError(f"{' and '.join(given)} can't go with {flag}.")


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _trained(session: "Session") -> Result:
    from zoo.training.session import outcome_json

    for note in session.prepared.notes:
        OUTPUT.note(note)
    OUTPUT.progress(_headline(session))
    _run_epochs(session)
    outcome = session.outcome()
    document = {"status": "finished", **outcome_json(outcome)}
    return Result(document, _outcome_text(outcome))


def _run_epochs(session: "Session") -> None:
    """A line an epoch, and on a terminal a bar for the one that runs."""
    total = session.prepared.recipe.train.epochs
    if not OUTPUT.animated:
        for epoch in session.epochs():
            OUTPUT.progress(_epoch_line(epoch, total))
        return

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True, no_color=not OUTPUT.colored, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        first = session.learner.position.epoch
        task = bar.add_task(f"epoch {first}/{total}", total=len(session.prepared.batches))
        for epoch in session.epochs(lambda step: bar.update(task, completed=step)):
            bar.console.print(_epoch_line(epoch, total), soft_wrap=True)
            bar.update(task, completed=0, description=f"epoch {epoch.epoch + 1}/{total}")


def _headline(session: "Session") -> str:
    prepared, learner, settings = session.prepared, session.learner, session.settings
    pictures, train = prepared.data.counts, prepared.recipe.train
    auto = " (auto)" if train.precision == "auto" and settings["precision"] != "fp32" else ""
    line = (
        f"{prepared.name} on {prepared.recipe_name}: {pictures['train']:,} training, "
        f"{pictures['validation']:,} validation, {pictures['test']:,} test pictures; "
        f"{learner.device}, {settings['precision']}{auto}, {session.threads} threads"
    )
    if learner.world.size > 1:
        line += (
            f"; {learner.world.size} processes share each batch of {train.batch_size}, "
            f"lr {train.lr:g}"
        )
    if session.done:
        line += f"; going on after {len(session.done)} epochs"
    return line


def _epoch_line(epoch: "Epoch", total: int) -> str:
    line = (
        f"epoch {epoch.epoch:>{len(str(total))}}/{total}  loss {epoch.train_loss:.4f}  "
        f"top-1 {percent(epoch.train_top1):>8}"
    )
    if epoch.val_top1 is not None:
        line += f"  val loss {epoch.val_loss:.4f}  val top-1 {percent(epoch.val_top1):>8}"
    return f"{line}  {epoch.images_per_second:>7,.0f} images/s"


def _outcome_text(outcome: "Outcome") -> str:
    best, run = outcome.best, shlex.quote(str(outcome.run))
    lines = []
    if outcome.test is not None:
        test = outcome.test
        lines += [
            f"test accuracy {percent(test.top1)} of {test.images:,} pictures "
            f"(loss {test.loss:.4f}); always guessing {test.naive_class!r} gives "
            f"{percent(test.naive_top1)}",
        ]
    if best.top1 is not None:
        lines += [f"best epoch {best.epoch}: validation accuracy {percent(best.top1)}"]
    lines += [
        f"{outcome.epochs} {'epoch' if outcome.epochs == 1 else 'epochs'} in "
        f"{outcome.seconds:.1f} s of training, "
        f"{outcome.images_per_second:,.0f} images/s",
        f"run: {outcome.run}",
        "",
        "next:",
        f"  zoo evaluate {run}",
        f"  zoo show {run}",
    ]
    return "\n".join(lines)
