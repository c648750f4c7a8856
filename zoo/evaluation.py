"""How good a network is on a split: accuracy, loss, per class, and what it confuses."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor, nn

from zoo import data, modelfile
from zoo.data.gathering import Progress
from zoo.data.loader import Batch, evaluation_batches
from zoo.downloads import Downloads
from zoo.errors import DataError, UsageError
from zoo.provenance import check_classes, task_of


@dataclass(frozen=True)
class ClassFigures:
    """One class of a split."""

    name: str
    images: int
    """Pictures of the class (the support)."""
    precision: float | None
    """Share of the pictures called so that are; None where none was called so."""
    recall: float | None
    """Share of its pictures that were found; None where it has none."""


@dataclass(frozen=True)
class Figures:
    """What a network reached on some pictures. Shares lie in [0, 1]."""

    images: int
    top1: float
    top5: float
    loss: float
    """Mean cross-entropy."""
    naive_top1: float
    """What always guessing the commonest class would reach."""
    naive_class: str
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Counts; row: the true class, column: the predicted one."""

    @property
    def per_class(self) -> list[ClassFigures]:
        """Precision and recall of each class, from the confusion matrix."""
        columns = [sum(column) for column in zip(*self.confusion, strict=True)]
        return [
            ClassFigures(
                name,
                images=sum(row),
                precision=row[index] / columns[index] if columns[index] else None,
                recall=row[index] / sum(row) if sum(row) else None,
            )
            for index, (name, row) in enumerate(zip(self.classes, self.confusion, strict=True))
        ]


def topk_accuracy(logits: Tensor, targets: Tensor, k: int = 1) -> float:
    """Share of images whose target is among the k largest logits.

    Args:
        logits: (N, num_classes), before softmax.
        targets: (N,), class indices.
        k: at least 1; more than num_classes counts as num_classes.

    Returns:
        A fraction in [0, 1].
    """
    best = logits.topk(min(k, logits.shape[1]), dim=1).indices  # (N, k)
    return int((best == targets[:, None]).any(dim=1).sum()) / len(targets)


@torch.inference_mode()
def evaluate_network(
    network: nn.Module, batches: Iterable[Batch], classes: tuple[str, ...]
) -> Figures:
    """Figures of a network on batches; its mode is left as it was.

    Raises:
        DataError: there is no picture.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        outputs = [(network(batch.images).float(), batch.targets) for batch in batches]
    finally:
        for module, training in modes:
            module.training = training
    if not outputs:
        raise DataError("There is no picture to evaluate.")
    logits = torch.cat([logits for logits, _ in outputs]).cpu()  # (N, num_classes)
    targets = torch.cat([targets for _, targets in outputs]).cpu()  # (N,)
    pairs = targets * len(classes) + logits.argmax(dim=1)
    confusion = torch.bincount(pairs, minlength=len(classes) ** 2).reshape(len(classes), -1)
    commonest, naive_top1 = data.naive_top1(targets, len(classes))
    return Figures(
        images=len(targets),
        top1=topk_accuracy(logits, targets),
        top5=topk_accuracy(logits, targets, k=5),
        loss=float(F.cross_entropy(logits, targets)),
        naive_top1=naive_top1,
        naive_class=classes[commonest],
        classes=classes,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
    )


@dataclass(frozen=True)
class Evaluation:
    """What `zoo evaluate` found."""

    notes: tuple[str, ...]
    """What the user should know of the figures."""

    model: str
    recipe: str
    split: str
    figures: Figures


def evaluate(
    model: str | Path,
    *,
    recipe_name: str | None = None,
    overrides: tuple[str, ...] = (),
    data_directory: Path | None = None,
    split_file: Path | None = None,
    split: str | None = None,
    device: str = "cpu",
    downloads: Downloads | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Evaluation:
    """Evaluates a model file or a run's best weights.

    Args:
        model: a path; a bare architecture is refused, for nothing in it is trained.
        recipe_name: instead of the recipe that the model file holds.
        overrides: `SECTION.KEY=VALUE` for the recipe.
        data_directory: `--data`, the first place to look for the pictures.
        split_file: a `split.csv`; left out, the run's own.
        split: train, validation or test; left out, test, or validation where there is no test.
        device: such as `cpu` or `cuda:0`.
        downloads: fetches a named set that is nowhere here.
        progress: follows the decoding.

    Raises:
        UsageError: MODEL is a bare architecture, or there is no recipe or split to use.
        DataError: the recipe's classes are not the model's.
    """
    source = modelfile.resolve(str(model))
    if source.path is None:
        raise UsageError(
            f"{source.name} is an architecture with nothing trained in it.",
            hint=f"zoo train {source.name}",
        )
    task = task_of(
        source,
        recipe_name=recipe_name,
        overrides=overrides,
        data=data_directory,
        split_file=split_file,
    )
    access = data.Access(task.given, downloads, progress, task.recorded, task.must_match)
    opened = data.open_data(
        task.recipe.dataset,
        source.description.preprocessing,
        access,
        needs_train=split == "train",
    )
    notes = [*task.notes, *opened.notes]
    if split is None:
        split = "test" if len(opened.parts["test"]) else "validation"
        if split == "validation":
            notes.append(f"{task.name} has no test pictures: these figures are of validation")
    pictures = opened.parts[split]
    if not len(pictures):
        raise UsageError(f"The recipe {task.name} has no {split} pictures.")
    check_classes(source, pictures.classes, task.name)
    network = modelfile.load_network(source.path, source.description).to(device)
    batches = evaluation_batches(
        pictures, source.description.preprocessing, device=torch.device(device)
    )
    figures = evaluate_network(network, batches, pictures.classes)
    return Evaluation(tuple(notes), source.name, task.name, split, figures)
