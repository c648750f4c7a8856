"""How good a network is on a split: accuracy, loss, per class, and what it confuses."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor, nn

from zoo import data, modelfile, recipe
from zoo.data.loader import Batch, evaluation_batches
from zoo.description import Training
from zoo.errors import DataError, ModelFileError, RecipeError, UsageError
from zoo.modelfile import Source
from zoo.schema import Recipe


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
    split: str = "test",
    device: str = "cpu",
) -> Evaluation:
    """Evaluates a model file or a run's best weights.

    Args:
        model: a path; a bare architecture is refused, for nothing in it is trained.
        recipe_name: instead of the recipe that the model file holds.
        overrides: `SECTION.KEY=VALUE` for the recipe.
        data_directory: `--data`, the first place to look for the pictures.
        split: train, validation or test.
        device: such as `cpu` or `cuda:0`.

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
    name, chosen = recipe_of(source, recipe_name, overrides)
    opened = data.open_data(chosen.dataset, source.description.preprocessing, given=data_directory)
    pictures = opened.parts[split]
    if not len(pictures):
        raise UsageError(f"The recipe {name} has no {split} pictures.")
    check_classes(source, pictures.classes, name)
    network = modelfile.load_network(source.path, source.description).to(device)
    batches = evaluation_batches(
        pictures, source.description.preprocessing, device=torch.device(device)
    )
    figures = evaluate_network(network, batches, pictures.classes)
    return Evaluation(tuple(split_notes(source, chosen)), source.name, name, split, figures)


def recipe_of(
    source: Source, recipe_name: str | None, overrides: tuple[str, ...]
) -> tuple[str, Recipe]:
    """Name and content of the recipe to use: the one given, else the model file's, else the card's.

    Raises:
        RecipeError: it is invalid.
    """
    training = source.description.training
    if recipe_name is not None:
        return Path(recipe_name).stem, recipe.load_recipe(recipe_name, overrides)
    if training is not None:
        return training.recipe, recipe.override(trained_recipe(source, training), overrides)
    return source.card.recipe, recipe.load_recipe(source.card.recipe, overrides)


def trained_recipe(source: Source, training: Training) -> Recipe:
    """The recipe that a model file holds.

    Raises:
        ModelFileError: it is none of this version's.
    """
    try:
        return recipe.from_json(training.content, str(source.path))
    except RecipeError as error:
        raise ModelFileError(f"{source.path} holds a recipe that is invalid: {error}") from error


def split_notes(source: Source, chosen: Recipe) -> list[str]:
    """A warning where the pictures are split otherwise than when the model was trained."""
    training = source.description.training
    if training is None:
        return []
    before = trained_recipe(source, training).dataset
    if before == chosen.dataset or before.source != chosen.dataset.source:
        return []
    return [
        f"{source.name} was trained on another split of {before.source}: "
        "pictures it learned from may now be among the test pictures"
    ]


def check_classes(source: Source, classes: tuple[str, ...], recipe_name: str) -> None:
    """Refuses pictures whose classes are not the model's, in the model's order.

    Raises:
        DataError: names, number or order differ.
    """
    ours = source.description.classes
    if ours and ours != classes:
        missing, surplus = sorted({*ours} - {*classes}), sorted({*classes} - {*ours})
        reasons = [
            f"it lacks {', '.join(missing)}" if missing else "",
            f"{', '.join(surplus)} are new to the model" if surplus else "",
        ]
        difference = "; ".join(reason for reason in reasons if reason) or "their order differs"
        raise DataError(
            f"The classes of {recipe_name} are not those of {source.name}: {difference}."
        )
    if source.description.arguments.num_classes != len(classes):
        raise DataError(
            f"{source.name} tells {source.description.arguments.num_classes} classes apart, "
            f"{recipe_name} has {len(classes)}.",
            hint=f"Build it with --num-classes {len(classes)}.",
        )
