"""How good a network is on a split: accuracy, loss, per class, and what it confuses."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from zoo import data, modelfile, runtimes
from zoo.data.fitted import Fitted
from zoo.data.gathering import Progress
from zoo.data.loader import (
    Batch,
    evaluation_batch_size,
    evaluation_batches,
    fitted_batches,
)
from zoo.downloads import Downloads
from zoo.errors import UsageError
from zoo.figures import Figures as Figures
from zoo.figures import Reduce, Sums
from zoo.judging import Judged, Judgements
from zoo.modelfile import Source
from zoo.precision import Precision
from zoo.provenance import check_classes, task_of
from zoo.runtimes import Runtime, open_runtime
from zoo.schema import Preprocessing, Recipe


def _alone(_sums: list[Tensor]) -> None:
    """One process has evaluated everything."""


@torch.inference_mode()
def evaluate_network(
    network: nn.Module,
    batches: Iterable[Batch],
    classes: tuple[str, ...],
    *,
    precision: Precision | None = None,
    reduce: Reduce = _alone,
    judgements: Judgements | None = None,
) -> Figures:
    """Figures of a network on batches; its modes are left as they were.

    Args:
        network: in evaluation mode it gives logits, (N, num_classes).
        batches: of this process; there may be none where others have some.
        classes: names in the order of the logits.
        precision: None computes as the network stands.
        reduce: called once, also where there was no batch.
        judgements: collects what is said of each picture of this process.

    Raises:
        DataError: there is no picture in any process.
    """
    sums = Sums(len(classes), _device_of(network) if precision is None else precision.device)
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        for batch in batches:
            logits = _logits(network, batch.images, precision)
            sums.add(logits, batch.targets)
            if judgements is not None:
                judgements.add(logits, batch.targets)
    finally:
        for module, training in modes:
            module.training = training
    reduce(sums.tensors)
    return sums.figures(classes)


def _logits(network: nn.Module, images: Tensor, precision: Precision | None) -> Tensor:
    """(N, num_classes), float32."""
    if precision is None:
        return network(images).float()  # type: ignore[no-any-return]
    return precision.logits(network, images)


def _device_of(network: nn.Module) -> torch.device:
    tensor = next(network.parameters(), None)
    return torch.device("cpu") if tensor is None else tensor.device


@dataclass(frozen=True)
class Evaluation:
    """What `zoo evaluate` found."""

    notes: tuple[str, ...]
    """What the user should know of the figures."""

    model: str
    recipe: str
    split: str
    precision: str
    """The arithmetic of the forward passes."""
    figures: Figures
    mistakes: tuple[Judged, ...] = ()
    """Pictures taken for another class, the largest loss first."""


def evaluate(
    model: str | Path,
    *,
    recipe_name: str | None = None,
    overrides: tuple[str, ...] = (),
    data_directory: Path | None = None,
    split_file: Path | None = None,
    split: str | None = None,
    device: str = "cpu",
    precision: str = "fp32",
    threads: int | None = None,
    downloads: Downloads | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Evaluation:
    """Evaluates a model file, a run's best weights or an exported file.

    Args:
        model: a path; a bare architecture is refused, for nothing in it is trained.
        recipe_name: instead of the recipe that the model file holds.
        overrides: `SECTION.KEY=VALUE` for the recipe.
        data_directory: `--data`, the first place to look for the pictures.
        split_file: a `split.csv`; left out, the run's own.
        split: train, validation or test; left out, test, or validation where there is no test.
        device: such as `cpu`, `cuda:0` or `auto`.
        precision: fp32, whose figures agree between machines, bf16, fp16 or auto.
        threads: of the processor; None is the runtime's own choice.
        downloads: fetches a named set that is nowhere here.
        progress: follows the decoding.

    Raises:
        UsageError: MODEL is a bare architecture or has no top, there is no recipe or split to
            use, the device lacks the precision, or a runtime is not installed.
        DataError: the recipe's classes are not the model's.
        ModelFileError: the file is refused or corrupt.
    """
    source = modelfile.resolve(str(model), exported=True)
    _check_can_be_judged(source)
    arithmetic = runtimes.arithmetic(source, device, precision)
    runtime = open_runtime(source, arithmetic, threads=threads)
    shown = open_split(
        source,
        recipe_name=recipe_name,
        overrides=overrides,
        data_directory=data_directory,
        split_file=split_file,
        split=split,
        downloads=downloads,
        progress=progress,
    )
    judgements = Judgements()
    figures = shown.figures_in(runtime, judgements)
    pictures = shown.pictures
    mistakes = judgements.of(judgements.ranking().mistakes, pictures.names, pictures.classes)
    return Evaluation(
        shown.notes,
        source.name,
        shown.recipe,
        shown.split,
        runtime.arithmetic,
        figures,
        mistakes,
    )


@dataclass(frozen=True)
class Shown:
    """The pictures that a model is judged by."""

    recipe: str
    split: str
    pictures: Fitted
    preprocessing: Preprocessing
    notes: tuple[str, ...]
    training: Fitted
    """The training pictures; none where they were left unread."""
    settings: Recipe
    """The recipe itself."""

    def figures(
        self, network: nn.Module, arithmetic: Precision, judgements: Judgements | None = None
    ) -> Figures:
        """How good a network is on them; it is moved to where it computes."""
        network = arithmetic.place(network)
        batches = evaluation_batches(self.pictures, self.preprocessing, device=arithmetic.device)
        return evaluate_network(
            network,
            batches,
            self.pictures.classes,
            precision=arithmetic,
            judgements=judgements,
        )

    @torch.inference_mode()
    def figures_in(self, runtime: Runtime, judgements: Judgements | None = None) -> Figures:
        """How good a classifier is on them, whatever runs it."""
        device = runtime.precision.device
        sums = Sums(len(self.pictures.classes), device)
        at_once = evaluation_batch_size(self.preprocessing)
        for images, targets in fitted_batches(self.pictures, at_once, device=device):
            logits = runtime.logits(images)
            sums.add(logits, targets)
            if judgements is not None:
                judgements.add(logits, targets)
        return sums.figures(self.pictures.classes)


def open_split(
    source: Source,
    *,
    recipe_name: str | None = None,
    overrides: tuple[str, ...] = (),
    data_directory: Path | None = None,
    split_file: Path | None = None,
    split: str | None = None,
    downloads: Downloads | None = None,
    progress: Progress = lambda _done, _total: None,
    needs_train: bool = False,
) -> Shown:
    """The pictures to judge a model by; arguments and errors are those of `evaluate`.

    `needs_train` reads the training pictures even where they are many and not judged.
    """
    _check_can_be_judged(source)
    if source.description.training is None and recipe_name is None and data_directory is None:
        raise UsageError(
            f"{source.name} was not trained by a recipe of zoo's, so it does not say on which "
            "pictures to judge it.",
            hint="--recipe RECIPE or --data DIR",
        )
    task = task_of(
        source,
        recipe_name=recipe_name,
        overrides=overrides,
        data=data_directory,
        split_file=split_file,
    )
    access = data.Access(task.given, downloads, progress, task.recorded, task.must_match)
    preprocessing = source.description.preprocessing
    opened = data.open_data(
        task.recipe.dataset, preprocessing, access, needs_train=needs_train or split == "train"
    ).in_order_of(source.description.classes)
    notes = [*task.notes, *opened.notes]
    if split is None:
        split = "test" if len(opened.parts["test"]) else "validation"
        if split == "validation":
            notes.append(f"{task.name} has no test pictures: these figures are of validation")
    pictures = opened.parts[split]
    if not len(pictures):
        raise UsageError(f"The recipe {task.name} has no {split} pictures.")
    check_classes(source, pictures.classes, task.name, data_directory)
    return Shown(
        task.name, split, pictures, preprocessing, tuple(notes), opened.parts["train"], task.recipe
    )


def _check_can_be_judged(source: Source) -> None:
    if source.path is None:
        raise UsageError(
            f"{source.name} is an architecture with nothing trained in it.",
            hint=f"zoo train {source.name}",
        )
    modelfile.check_has_head(source)
