"""A prepared training: its epochs, its run directory, its outcome."""

import itertools
import math
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from zoo import devices, evaluation, frozen, modelfile
from zoo.data import Data
from zoo.data.loader import (
    Batch,
    TrainingBatches,
    evaluation_batch_size,
    evaluation_batches,
)
from zoo.description import Description
from zoo.errors import DivergedError, ExitCode, InterruptionError, OutOfMemoryError
from zoo.evaluation import Figures
from zoo.precision import Precision
from zoo.schema import Recipe
from zoo.training import checkpoint, distributed
from zoo.training.engine import Epoch, check_finite, check_weights, train
from zoo.training.interruption import Stop, graceful_stop
from zoo.training.learner import Learner
from zoo.training.outcome import Best, Outcome, outcome_json
from zoo.training.run import STATE, Run

if TYPE_CHECKING:
    from zoo.training.tensorboard import Board


@dataclass(frozen=True)
class Prepared:
    """Everything that a training needs but its run directory."""

    name: str
    """Of the architecture."""
    recipe_name: str
    recipe: Recipe
    data: Data
    learner: Learner
    description: Description
    notes: list[str] = field(default_factory=list)
    """What the user should know before it starts."""

    @property
    def label(self) -> str:
        """What files of it are called, such as `timm-resnet18-digits`."""
        return f"{self.name}-{self.recipe_name}".replace("/", "-")

    @cached_property
    def batches(self) -> TrainingBatches:
        """Of the training split: this process's part."""
        return TrainingBatches(
            self.data.parts["train"],
            self.description.preprocessing,
            batch_size=self.recipe.train.batch_size,
            accumulate=self.recipe.train.accumulate,
            seed=self.recipe.train.seed,
            settings=self.recipe.augment,
            shard=self.learner.world.shard,
            device=self.learner.device,
        )


@dataclass
class Session:
    """A prepared training. Iterate over `epochs`, then ask for the `outcome`."""

    prepared: Prepared
    run: Run | None
    """None in all processes but the first, which writes for them."""
    settings: dict[str, Any]
    """What `run.json` and every checkpoint say of the run."""
    max_steps: int | None = None
    done: list[Epoch] = field(default_factory=list)
    """Epochs that are on the disk."""
    best: Best | None = None
    is_finished: bool = False
    """Whether it had ended before this process opened it, and nothing is left to train."""
    _board: "Board | None" = None
    _steps_here: int = 0

    @property
    def learner(self) -> Learner:
        """The network and all that changes with it."""
        return self.prepared.learner

    @property
    def path(self) -> Path:
        """The run directory."""
        return Path(self.settings["run"])

    @property
    def threads(self) -> int:
        """Threads that torch computes with."""
        return torch.get_num_threads()

    def epochs(self, on_step: Callable[[int], object] = lambda _: None) -> Iterator[Epoch]:
        """Trains, writing each epoch to the run before yielding it.

        Args:
            on_step: called with each step within the epoch, for a progress bar.

        Raises:
            DivergedError, OutOfMemoryError, DiskError, InterruptionError: `run.json` repeats it.
            ZooError: a frozen tensor changed.
        """
        if self.is_finished:
            return
        config, learner = self.prepared.recipe.train, self.learner
        algorithms = devices.algorithms(deterministic=config.deterministic)
        launched = distributed.is_launched()
        devices.keep_freed_memory()
        with (
            self._recording(),
            distributed.others_lost(),
            graceful_stop(launched=launched) as stop,
            algorithms,
        ):
            if config.tensorboard and self.run is not None:
                from zoo.training.tensorboard import Board

                self._board = Board.open(self.path / "tensorboard", len(self.done) + 1)

            def before_step(step: int) -> None:
                stop.raise_if(learner.world.largest(stop.signal))
                if self._steps_here == 1:
                    self._event("step")
                self._steps_here += 1
                on_step(step)

            try:
                for epoch in train(
                    learner,
                    self.prepared.batches,
                    validate=lambda: self._figures(learner.result, "validation", stop),
                    max_steps=self.max_steps,
                    before_step=before_step,
                    checkpoint=self.save,
                ):
                    self._record(epoch)
                    yield epoch
                    # A signal in the last step; what is done is on the disk.
                    stop.raise_if(learner.world.largest(stop.signal))
                learner.check_frozen()
            except InterruptionError as error:
                self._stopped(error)
                raise
            except OutOfMemoryError as error:
                if self.run is not None and not self.run.is_provisional:
                    error.hint = f"{self.resume_command} --override {error.hint}"
                raise
            finally:
                if self._board is not None:
                    self._board.close()

    def outcome(self) -> Outcome:
        """Tests the best weights and closes the run.

        Raises:
            DivergedError: the test loss is NaN or infinite.
            ZooError: a frozen tensor is not as it was before training.
            DiskError: the disk is full.
            InterruptionError: a signal came; resuming does the rest.
        """
        assert self.best is not None
        launched = distributed.is_launched()
        with (
            self._recording(),
            distributed.others_lost(),
            graceful_stop(launched=launched) as stop,
        ):
            try:
                best = self._best_network()
                frozen.check_unchanged(best.state_dict(), self.learner.digests)
                test = self._figures(best, "test", stop)
            except InterruptionError as error:
                self._stopped(error)
                raise
            if test is not None and not math.isfinite(test.loss):
                raise DivergedError(f"The best weights' test loss is {test.loss}.")
            images = sum(epoch.images_per_second * epoch.seconds for epoch in self.done)
            seconds = sum(epoch.seconds for epoch in self.done)
            outcome = Outcome(
                run=self.path,
                epochs=len(self.done),
                best=self.best,
                test=test,
                images_per_second=images / seconds,
                seconds=seconds,
                device=str(self.learner.device),
                precision=self.learner.precision.name,
                threads=self.threads,
            )
            if self.run is not None and self.is_finished:
                self.run.release()
            elif self.run is not None:
                self.run.finish("finished", ExitCode.OK, outcome_json(outcome))
        return outcome

    def save(self) -> None:
        """Writes a checkpoint; all processes take part.

        Raises:
            DivergedError: what would be saved is not finite.
            DiskError: the disk is full; the checkpoint before stays.
        """
        check_finite(self.learner, self.prepared.batches)
        check_weights(self.learner)
        content = {
            "settings": self.settings,
            "description": self.prepared.description.model_dump(mode="json"),
            "epochs": [asdict(epoch) for epoch in self.done],
            "best": None if self.best is None else asdict(self.best),
        }
        checkpoint.save(self.path / STATE, self.learner, content)
        if self.run is not None and self.learner.position.done:
            self.run.keep()

    def write_models(self) -> None:
        """Writes `last`, `best` where this epoch is the best, and `results.csv`, after a commit.

        Raises:
            DiskError: the disk is full; resuming writes them.
        """
        if self.run is None or not self.done:
            return
        self.run.write_results(self.done, None if self.best is None else self.best.epoch)
        if self.learner.position.step:  # a checkpoint within an epoch came after this was done
            return
        epoch = self.done[-1]
        metrics = {"epoch": epoch.epoch, "val_top1": epoch.val_top1, "val_loss": epoch.val_loss}
        description = self.prepared.description.model_copy(update={"metrics": metrics})
        modelfile.save(self.run.last, self.learner.result, description)
        if self.best is not None and self.best.epoch == epoch.epoch:
            modelfile.save(self.run.best, self.learner.result, description)

    def override(self, differences: Sequence[str]) -> None:
        """Keeps in the run what was accepted that differs from how it was started.

        Raises:
            DiskError: the disk is full; the checkpoint before stays.
        """
        position = self.learner.position
        self.settings["overridden"] = [
            *self.settings.get("overridden", []),
            {"epoch": position.epoch, "step": position.step, "differences": list(differences)},
        ]
        self.save()

    @property
    def resume_command(self) -> str:
        """What goes on with this run."""
        return f"{distributed.command()} train --resume {shlex.quote(str(self.path))}"

    def _record(self, epoch: Epoch) -> None:
        self.done.append(epoch)
        if self._is_best(epoch):
            self.best = Best(epoch.epoch, epoch.val_top1, epoch.val_loss)
        self.save()  # the commit: what follows is written again from it
        self.write_models()
        self._event("epoch", **asdict(epoch))
        if self._board is not None:
            self._board.epoch(epoch)

    def _is_best(self, epoch: Epoch) -> bool:
        best = self.best
        if best is None or best.top1 is None or epoch.val_top1 is None:
            return True  # without validation the latest counts
        assert best.loss is not None
        assert epoch.val_loss is not None
        return (epoch.val_top1, -epoch.val_loss) > (best.top1, -best.loss)

    def _stopped(self, error: InterruptionError) -> None:
        """Keeps what was done since the last checkpoint, and says how to go on."""
        self.save()
        position, steps = self.learner.position, len(self.prepared.batches)
        done = (
            f"after epoch {position.epoch - 1}" if position.epoch > 1 else "before its first step"
        )
        if position.step:
            done = f"after step {position.step} of {steps} in epoch {position.epoch}"
        error.message = f"Training was stopped {done}; that is saved."
        if self.run is not None:
            self.run.keep()
        error.hint = self.resume_command
        error.results = {"run": str(self.path), "resume": self.resume_command}

    def _figures(self, network: nn.Module, split: str, stop: Stop) -> Figures | None:
        pictures, learner = self.prepared.data.parts[split], self.learner
        if not len(pictures):
            return None
        batches = evaluation_batches(
            pictures,
            self.prepared.description.preprocessing,
            shard=learner.world.shard,
            device=learner.device,
        )
        # Test figures are what `zoo evaluate` gives: fp32, which agrees between machines.
        precision = (
            learner.precision if split == "validation" else Precision("fp32", learner.device)
        )
        return evaluation.evaluate_network(
            network,
            self._until(batches, len(pictures), stop),
            pictures.classes,
            precision=precision,
            reduce=learner.world.sum_in_place,
        )

    def _until(self, batches: Iterator[Batch], images: int, stop: Stop) -> Iterator[Batch]:
        """The batches, as long as no signal comes to any process."""
        world = self.learner.world
        at_once = evaluation_batch_size(self.prepared.description.preprocessing)
        # All processes ask equally often, the one with a batch less too.
        largest_part = math.ceil(images / world.size)
        for _ in range(math.ceil(largest_part / at_once)):
            stop.raise_if(world.largest(stop.signal))
            yield from itertools.islice(batches, 1)

    def _best_network(self) -> nn.Module:
        world = self.learner.world
        network = modelfile.skeleton(self.prepared.description)
        read = modelfile.load(self.path / "best.safetensors") if world.is_first else None
        tensors = world.of_first(None if read is None else read.state_dict())
        assert tensors is not None
        modelfile.assign(network, tensors, "best.safetensors")
        return Precision("fp32", self.learner.device).place(network.eval())

    def _recording(self) -> AbstractContextManager[None]:
        return nullcontext() if self.run is None else self.run.recorded_failure()

    def _event(self, event: str, **content: Any) -> None:
        if self.run is not None:
            self.run.event(event, **content)
