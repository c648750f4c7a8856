"""A training on the screen: a headline, a line an epoch, and how it ended."""

import math
import shlex
from typing import TYPE_CHECKING

from zoo.cli.app import OUTPUT
from zoo.cli.output import Result, figure, percent, plural, speed

if TYPE_CHECKING:
    from zoo.training.engine import Epoch
    from zoo.training.outcome import Outcome
    from zoo.training.session import Session


def trained(session: "Session") -> Result:
    """Trains to the end, and what to print of it."""
    from zoo.training.outcome import outcome_json

    for note in session.prepared.notes:
        OUTPUT.note(note)
    OUTPUT.progress(_headline(session))
    _run_epochs(session)
    outcome = session.outcome()
    if session.max_steps is None and outcome.only_guesses:
        OUTPUT.note(
            "it answers no better than always guessing: another --lr may help, and --find-lr "
            "suggests one"
        )
    document = {"status": "finished", **outcome_json(outcome)}
    return Result(document, _outcome_text(outcome))


def _run_epochs(session: "Session") -> None:
    """A line an epoch, and on a terminal a bar for the one that runs."""
    steps = len(session.prepared.batches)
    total = _last_epoch(session)
    if not OUTPUT.animated:
        for epoch in session.epochs():
            OUTPUT.progress(epoch_line(epoch, total))
        return

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True, no_color=not OUTPUT.colored, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        first = session.learner.position.epoch
        task = bar.add_task(f"epoch {first}/{total}", total=steps)
        for epoch in session.epochs(lambda step: bar.update(task, completed=step)):
            bar.console.print(epoch_line(epoch, total), soft_wrap=True)
            bar.update(task, completed=0, description=f"epoch {epoch.epoch + 1}/{total}")


def _last_epoch(session: "Session") -> int:
    """The epoch that training ends with, unless it stops early."""
    from zoo.training.engine import total_steps

    learner, batches = session.learner, session.prepared.batches
    position = learner.position
    left = total_steps(learner, batches, session.max_steps) - position.done + position.step
    return min(learner.config.epochs, position.epoch - 1 + math.ceil(left / len(batches)))


def _headline(session: "Session") -> str:
    prepared, learner, settings = session.prepared, session.learner, session.settings
    pictures, train = prepared.data.counts, prepared.recipe.train
    auto = " (auto)" if train.precision == "auto" and settings["precision"] != "fp32" else ""
    line = (
        f"{prepared.name} on {prepared.recipe_name}: {pictures['train']:,} training, "
        f"{pictures['validation']:,} validation, {pictures['test']:,} test pictures; "
        f"{learner.device}, {settings['precision']}{auto}, {plural(session.threads, 'thread')}"
    )
    if learner.world.size > 1:
        line += (
            f"; {learner.world.size} processes share each batch of {train.batch_size}, "
            f"lr {train.lr:g}"
        )
    position = learner.position
    if session.is_finished or (position.epoch, position.step) == (1, 0):
        return line
    done = [] if position.epoch == 1 else [f"epoch {position.epoch - 1}"]
    if position.step:
        done.append(f"step {position.step} of epoch {position.epoch}")
    return f"{line}; going on after {' and '.join(done)}"


def epoch_line(epoch: "Epoch", total: int) -> str:
    """`epoch 3/40  loss 0.7063  top-1  78.61 %  ...`."""
    line = (
        f"epoch {epoch.epoch:>{len(str(total))}}/{total}  loss {figure(epoch.train_loss)}  "
        f"top-1 {percent(epoch.train_top1):>8}"
    )
    if epoch.val_top1 is not None:
        line += f"  val loss {figure(epoch.val_loss)}  val top-1 {percent(epoch.val_top1):>8}"
    return f"{line}  {speed(epoch.images_per_second):>16}"


def _outcome_text(outcome: "Outcome") -> str:
    best, run = outcome.best, shlex.quote(str(outcome.run))
    lines = []
    if outcome.test is not None:
        test = outcome.test
        lines += [
            f"test accuracy {percent(test.top1)} of {plural(test.images, 'picture')} "
            f"(loss {figure(test.loss)}); always guessing {test.naive_class!r} gives "
            f"{percent(test.naive_top1)}",
        ]
    if best.top1 is not None:
        lines += [f"best epoch {best.epoch}: validation accuracy {percent(best.top1)}"]
    lines += [
        f"{plural(outcome.epochs, 'epoch')} in {outcome.seconds:.1f} s of training, "
        f"{speed(outcome.images_per_second)}",
        f"run: {outcome.run}",
        "",
        "next:",
        f"  zoo evaluate {run}",
        f"  zoo show {run}",
        f"  zoo report {run}{' --force' if (outcome.run / 'report.html').exists() else ''}",
    ]
    return "\n".join(lines)
