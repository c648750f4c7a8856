"""One training, from MODEL and a recipe to a run directory."""

import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zoo import __version__, data, devices, evaluation, modelfile
from zoo.data import Data
from zoo.data.loader import TrainingBatches, evaluation_batches
from zoo.errors import ExitCode, UsageError
from zoo.evaluation import Figures
from zoo.modelfile import Description, Source, Training
from zoo.recipe import Recipe
from zoo.surgery import SetHyperparameter
from zoo.training.engine import Epoch, train
from zoo.training.interruption import graceful_stop
from zoo.training.run import Run, create_run


@dataclass(frozen=True)
class Request:
    """What the user asked for; None is what the recipe says."""

    model: str
    recipe: str | None = None
    overrides: tuple[str, ...] = ()
    """`SECTION.KEY=VALUE` for the recipe."""
    layer_settings: tuple[SetHyperparameter, ...] = ()
    device: str = "auto"
    threads: int | None = None
    output: Path | None = None
    max_steps: int | None = None
    force: bool = False


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

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return len(self._batches())

    def epochs(self, on_step: Callable[[int], None] = lambda step: None) -> Iterator[Epoch]:
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
                self._batches(),
                self.recipe.train,
                validate=lambda: self._figures(self.network, "validation"),
                device=self.device,
                max_steps=self.max_steps,
                before_step=before_step,
            ):
                self._record(epoch)
                yield epoch

    def outcome(self) -> Outcome:
        """Tests the best weights and closes the run.

        Raises:
            DiskError: the disk is full.
        """
        assert self._best is not None
        with self.run.recorded_failure():
            network = modelfile.load(self.run.best).to(self.device)
            test = self._figures(network, "test")
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

    def _batches(self) -> TrainingBatches:
        return TrainingBatches(
            self.data.part("train"),
            self.description.preprocessing,
            batch_size=self.recipe.train.batch_size,
            seed=self.recipe.train.seed,
            settings=self.recipe.augment,
            device=self.device,
        )

    def _figures(self, network: nn.Module, split: str) -> Figures | None:
        pictures = self.data.part(split)
        if not len(pictures):
            return None
        batches = evaluation_batches(
            pictures, self.description.preprocessing, device=self.device
        )
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


def prepare(request: Request) -> Session:
    """Resolves everything, reads the data, builds the network and makes the run directory.

    Raises:
        UsageError: MODEL, the device or the output can't be.
        RecipeError: the recipe is invalid.
        DataError: pictures are missing or bad, or their classes are not the model's.
        ModelFileError: the model file is refused or corrupt.
        DiskError: the run can't be written.
    """
    source = modelfile.resolve(request.model)
    recipe_name, recipe = evaluation.recipe_of(source, request.recipe, request.overrides)
    device = devices.choose(request.device)
    if request.threads is not None:
        torch.set_num_threads(request.threads)
    description, notes = _described(source, recipe, request)
    opened = data.open_data(recipe.dataset, description.preprocessing)
    classes = opened.pictures.classes
    if source.path is None:
        arguments = description.arguments.model_copy(update={"num_classes": len(classes)})
        description = description.model_copy(update={"arguments": arguments})
    else:
        evaluation.check_classes(source, classes, recipe_name)
    training = Training(
        recipe=recipe_name,
        recipe_hash=recipe.digest(),
        content=recipe.model_dump(mode="json", exclude_defaults=True),
    )
    description = description.model_copy(
        update={"classes": classes, "training": training, "metrics": {}}
    )
    network = _network(source, description, request, seed=recipe.train.seed).to(device)
    name = source.card.name
    run = create_run(f"{name}-{recipe_name}", request.output, force=request.force)
    session = Session(
        name=name,
        recipe_name=recipe_name,
        recipe=recipe,
        data=opened,
        network=network,
        description=description,
        device=device,
        run=run,
        max_steps=request.max_steps,
        notes=notes,
    )
    split_csv = opened.split.to_csv(opened.pictures.names)
    run.start(_settings(session, request), split_csv, network, description)
    return session


def _described(source: Source, recipe: Recipe, request: Request) -> tuple[Description, list[str]]:
    """The description to train, and notes on what overrides what."""
    if source.path is None:
        description = modelfile.resolve(request.model, preprocess=recipe.preprocess).description
        return modelfile.with_edits(description, request.layer_settings), []
    description = source.description
    wanted = recipe.preprocess.size
    if wanted is not None and wanted != description.arguments.input_size:
        raise UsageError(
            f"The recipe's pictures are {wanted[0]}×{wanted[1]}, but {source.name} takes "
            f"{description.arguments.input_size[0]}×{description.arguments.input_size[1]}."
        )
    notes = []
    fresh = modelfile.decide_preprocessing(source.card, description.arguments, recipe.preprocess)
    if request.recipe is not None or request.overrides:
        if fresh != description.preprocessing and description.training is not None:
            notes.append(
                f"The recipe's preprocessing replaces that of {source.name}: mean "
                f"{fresh.mean}, std {fresh.std}."
            )
        description = description.model_copy(update={"preprocessing": fresh})
    elif description.training is None:
        description = description.model_copy(update={"preprocessing": fresh})
    return modelfile.with_edits(description, request.layer_settings), notes


def _network(
    source: Source, description: Description, request: Request, *, seed: int
) -> nn.Module:
    if source.path is None:
        return modelfile.build(description, seed=seed)
    network = modelfile.load_network(source.path, source.description)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for edit in request.layer_settings:
            network = edit.apply(network, description.input_shape)
    return network


def _settings(session: Session, request: Request) -> dict[str, Any]:
    return {
        "schema": 1,
        "model": session.name,
        "origin": request.model,
        "recipe": session.recipe_name,
        "command": sys.argv[1:],
        "resolved_recipe": session.recipe.model_dump(mode="json"),
        "arguments": session.description.arguments.model_dump(mode="json"),
        "edits": list(session.description.edits),
        "preprocessing": session.description.preprocessing.model_dump(mode="json"),
        "pictures": session.data.counts,
        "seed": session.recipe.train.seed,
        "max_steps": request.max_steps,
        "device": str(session.device),
        "precision": session.precision,
        "threads": session.threads,
        "versions": {
            "zoo": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "platform": platform.platform(),
        "pid": os.getpid(),
    }


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
