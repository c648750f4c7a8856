"""`zoo train`: a recipe, a network, a run directory."""

import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli.app import OUTPUT, app, command
from zoo.cli.layer_settings import parse_settings, split_settings
from zoo.cli.options import (
    DataDirectory,
    Device,
    Force,
    ModelArg,
    Offline,
    OnBad,
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

if TYPE_CHECKING:
    from zoo.training.engine import Epoch
    from zoo.training.session import Outcome, Session


@command(
    app,
    "train",
    example="zoo train lenet5\nzoo train keras-mnist-cnn --epochs 5 --lr 5e-4\n"
    "zoo train lenet5 --data ~/my-pictures\n"
    "zoo train lenet5 --set c1.out_channels=12 --set augment.rotation_range=20",
)
def train(
    model: ModelArg,
    recipe: RecipeOption = None,
    data: DataDirectory = None,
    weights: Weights = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Passes over the training split.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=2, metavar="N", help="Pictures a step.")
    ] = None,
    lr: Annotated[
        float | None, typer.Option(metavar="RATE", help="Learning rate at its highest.")
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
    device: Device = "auto",
    threads: Threads = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="The run directory; default runs/ARCHITECTURE-RECIPE, numbered.",
        ),
    ] = None,
    force: Force = False,
) -> Result:
    """Train a network and write a run directory with its best weights."""
    from zoo.training.preparation import Request, prepare
    from zoo.training.session import outcome_json

    if lr is not None and not 0 < lr < math.inf:
        raise UsageError(f"--lr {lr:g} is no learning rate: it must be greater than 0.")
    for_recipe, for_layers = split_settings(settings)
    flags = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "seed": seed}
    for_recipe += [f"train.{key}={value}" for key, value in flags.items() if value is not None]
    for_recipe += on_bad_setting(on_bad)
    with watched(offline=offline) as watch:
        session = prepare(
            Request(
                model=model,
                recipe=recipe,
                overrides=tuple(for_recipe),
                layer_settings=tuple(parse_settings(for_layers)),
                data=data,
                split_file=split_file,
                weights=weights,
                downloads=watch.downloads,
                progress=watch.decoded,
                device=device,
                threads=threads,
                output=output,
                max_steps=max_steps,
                force=force,
            )
        )
    for note in session.notes:
        OUTPUT.note(note)
    OUTPUT.progress(_headline(session))
    _run_epochs(session)
    outcome = session.outcome()
    document = {"status": "finished", **outcome_json(outcome)}
    return Result(document, _outcome_text(outcome))


def _run_epochs(session: "Session") -> None:
    """A line an epoch, and on a terminal a bar for the one that runs."""
    total = session.recipe.train.epochs
    if not OUTPUT.animated:
        for epoch in session.epochs():
            OUTPUT.progress(_epoch_line(epoch, total))
        return

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True, no_color=not OUTPUT.colored, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"epoch 1/{total}", total=len(session.batches))
        for epoch in session.epochs(lambda step: bar.update(task, completed=step)):
            bar.console.print(_epoch_line(epoch, total), soft_wrap=True)
            bar.update(task, completed=0, description=f"epoch {epoch.epoch + 1}/{total}")


def _headline(session: "Session") -> str:
    pictures = session.data.counts
    return (
        f"{session.name} on {session.recipe_name}: {pictures['train']:,} training, "
        f"{pictures['validation']:,} validation, {pictures['test']:,} test pictures; "
        f"{session.device}, {session.precision}, {session.threads} threads"
    )


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
