"""A prepared training: its epochs, its run directory, its outcome."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zoo import evaluation, modelfile
from zoo.data import Data
from zoo.data.loader import TrainingBatches, evaluation_batches
from zoo.description import Description
from zoo.errors import DivergedError, ExitCode
from zoo.evaluation import Figures
from zoo.schema import Recipe
from zoo.training.engine import Epoch, train
from zoo.training.interruption import graceful_stop
from zoo.training.run import Run


@dataclass(frozen=True)
class Best:
    """The epoch whose weights are the run's result."""

    epoch: int
    top1: float | None
    """On the validation split; None where there is none."""
    loss: float | None


@dataclass(frozen=True)
class Outcome:
    """How a training ended."""

    run: Path
    epochs: int
    best: Best
    test: Figures | None
    """Of the best weights; None where the recipe has no test split."""
    images_per_second: float
    seconds: float
    """Training alone."""
    device: str
    precision: str
    threads: int


@dataclass
class Session:
    """A prepared training. Iterate over `epochs`, then ask for the `outcome`."""

    name: str
    recipe_name: str
    recipe: Recipe
    data: Data
    network: nn.Module
    head: nn.Module | None
    """What is trained first and fastest; None where all is trained alike."""
    description: Description
    device: torch.device
    run: Run
    max_steps: int | None
    notes: list[str] = field(default_factory=list)
    """What the user should know before it starts."""
    _done: list[Epoch] = field(default_factory=list)
    _best: Best | None = None

    precision = "fp32"

    @property
    def threads(self) -> int:
        """Threads that torch computes with."""
        return torch.get_num_threads()

    @cached_property
    def batches(self) -> TrainingBatches:
        """Of the training split."""
        return TrainingBatches(
            self.data.parts["train"],
            self.description.preprocessing,
            batch_size=self.recipe.train.batch_size,
            seed=self.recipe.train.seed,
            settings=self.recipe.augment,
            device=self.device,
        )

    def epochs(self, on_step: Callable[[int], object] = lambda _: None) -> Iterator[Epoch]:
        """Trains, writing each epoch to the run before yielding it.

        Args:
            on_step: called with each step within the epoch, for a progress bar.

        Raises:
            DivergedError, OutOfMemoryError, DiskError, InterruptionError: `run.json` repeats it.
        """
        with self.run.recorded_failure(), graceful_stop() as check_stopped:

            def before_step(step: int) -> None:
                check_stopped()
                on_step(step)

            for epoch in train(
                self.network,
                self.batches,
                self.recipe.train,
                head=self.head,
                validate=lambda: self._figures(self.network, "validation"),
                device=self.device,
                max_steps=self.max_steps,
                before_step=before_step,
            ):
                self._record(epoch)
                yield epoch
            check_stopped()  # a signal in the last step or the last validation

    def outcome(self) -> Outcome:
        """Tests the best weights and closes the run.

        Raises:
            DivergedError: the test loss is NaN or infinite.
            DiskError: the disk is full.
        """
        assert self._best is not None
        with self.run.recorded_failure():
            network = modelfile.load(self.run.best).to(self.device)
            test = self._figures(network, "test")
            if test is not None and not math.isfinite(test.loss):
                raise DivergedError(f"The best weights' test loss is {test.loss}.")
            images = sum(epoch.images_per_second * epoch.seconds for epoch in self._done)
            seconds = sum(epoch.seconds for epoch in self._done)
            outcome = Outcome(
                run=self.run.path,
                epochs=len(self._done),
                best=self._best,
                test=test,
                images_per_second=images / seconds,
                seconds=seconds,
                device=str(self.device),
                precision=self.precision,
                threads=self.threads,
            )
            self.run.finish("finished", ExitCode.OK, outcome_json(outcome))
        return outcome

    def _figures(self, network: nn.Module, split: str) -> Figures | None:
        pictures = self.data.parts[split]
        if not len(pictures):
            return None
        batches = evaluation_batches(pictures, self.description.preprocessing, device=self.device)
        return evaluation.evaluate_network(network, batches, pictures.classes)

    def _record(self, epoch: Epoch) -> None:
        self._done.append(epoch)
        metrics = {
            "epoch": epoch.epoch,
            "val_top1": epoch.val_top1,
            "val_loss": epoch.val_loss,
        }
        description = self.description.model_copy(update={"metrics": metrics})
        modelfile.save(self.run.last, self.network, description)
        if self._is_best(epoch):
            self._best = Best(epoch.epoch, epoch.val_top1, epoch.val_loss)
            modelfile.save(self.run.best, self.network, description)
        self.run.append(epoch)

    def _is_best(self, epoch: Epoch) -> bool:
        best = self._best
        if best is None or best.top1 is None or epoch.val_top1 is None:
            return True  # without validation the latest counts
        assert best.loss is not None
        assert epoch.val_loss is not None
        return (epoch.val_top1, -epoch.val_loss) > (best.top1, -best.loss)


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """An outcome under the keys that scripts rely on."""
    test = outcome.test
    return {
        "run": str(outcome.run),
        "epochs": outcome.epochs,
        "best": {
            "epoch": outcome.best.epoch,
            "top1": outcome.best.top1,
            "loss": outcome.best.loss,
        },
        "test": None
        if test is None
        else {
            "top1": test.top1,
            "top5": test.top5,
            "loss": test.loss,
            "images": test.images,
            "naive_top1": test.naive_top1,
        },
        "images_per_second": outcome.images_per_second,
        "seconds": outcome.seconds,
        "device": outcome.device,
        "precision": outcome.precision,
        "threads": outcome.threads,
    }
