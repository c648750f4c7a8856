"""What pictures show, by a trained network: a label and its probability for each."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from zoo import modelfile
from zoo.data.decode import BadPictureError, decode
from zoo.data.finding import Failed as Failed
from zoo.data.finding import find as find
from zoo.data.finding import reason
from zoo.data.fit import fit, normalize
from zoo.data.gathering import over_threads
from zoo.data.loader import evaluation_batch_size
from zoo.data.placement import to_device
from zoo.errors import ModelFileError, UsageError
from zoo.precision import Precision
from zoo.schema import Preprocessing


@dataclass(frozen=True)
class Ranked:
    """One of a picture's likeliest labels."""

    label: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What one picture shows."""

    path: str
    label: str | None
    """The likeliest; None where it is less probable than was asked for."""
    probability: float
    """Of the likeliest label."""
    top: tuple[Ranked, ...]
    """The likeliest labels, the best first."""


@dataclass(frozen=True)
class Classifier:
    """A trained network and what its pictures and labels are."""

    name: str
    labels: tuple[str, ...]
    """In the order of the logits."""
    preprocessing: Preprocessing
    network: nn.Module
    """Placed where the precision computes, in evaluation mode."""
    precision: Precision
    notes: tuple[str, ...] = ()
    """What the user should know."""

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """One forward pass.

        Args:
            images: (N, C, H, W), uint8, fitted.

        Returns:
            (N, num_classes), float32.

        Raises:
            ModelFileError: the network's outputs are not one for each label.
        """
        images = normalize(to_device(images, self.precision.device), self.preprocessing)
        logits = self.precision.logits(self.network, images)
        if logits.shape[1:] != (len(self.labels),):
            shape = "×".join(str(side) for side in logits.shape[1:])
            raise ModelFileError(
                f"{self.name} gives {shape} numbers a picture, but has {len(self.labels)} labels."
            )
        return logits


def load(model: str, precision: Precision) -> Classifier:
    """The classifier of a model file or a run.

    Raises:
        NotFoundError: MODEL is nothing.
        UsageError: nothing in it is trained, or its top was taken off.
        ModelFileError: the file is refused or corrupt.
    """
    source = modelfile.resolve(model)
    description = source.description
    if source.path is None or not description.is_trained:
        kind = "an architecture" if source.path is None else "a model file"
        raise UsageError(
            f"{source.name} is {kind} with nothing trained in it.",
            hint=f"zoo train {shlex.quote(source.name)}",
        )
    modelfile.check_has_head(source)
    labels, notes = description.classes, []
    if not labels:
        labels = tuple(str(index) for index in range(description.num_classes))
        notes.append(f"{source.name} names no classes: labels are the indices of its outputs")
    network = precision.place(modelfile.load_network(source.path, description))
    return Classifier(
        source.name, labels, description.preprocessing, network, precision, tuple(notes)
    )


def predict(
    classifier: Classifier,
    pictures: Sequence[str | Failed],
    *,
    top: int = 1,
    min_probability: float = 0.0,
    workers: int | None = None,
) -> Iterator[list[Prediction | Failed]]:
    """Each picture's prediction, or why there is none, in order, a batch at a time.

    Args:
        classifier: of `load`.
        pictures: paths, and what could not be found, as `find` yields them.
        top: how many labels; more than there are means all.
        min_probability: a less probable label is left out.
        workers: threads that decode; None is one for each core.

    Raises:
        ModelFileError: the network does not fit its labels.
    """
    size = evaluation_batch_size(classifier.preprocessing)
    for start in range(0, len(pictures), size):
        batch = pictures[start : start + size]
        fitted = _fitted(batch, classifier.preprocessing, workers)
        images = [image for image in fitted if isinstance(image, Tensor)]
        ranked = iter(_ranked(classifier, torch.cat(images), top) if images else ())
        yield [
            image if isinstance(image, Failed) else _prediction(path, next(ranked), min_probability)
            for path, image in zip(batch, fitted, strict=True)
        ]


def _fitted(
    pictures: Sequence[str | Failed], preprocessing: Preprocessing, workers: int | None
) -> list[Tensor | Failed]:
    """For each picture (1, C, H, W), uint8, or why it can't be read."""

    def one(index: int) -> Tensor | Failed:
        path = pictures[index]
        if isinstance(path, Failed):
            return path
        try:
            return fit(decode(Path(path).read_bytes())[None], preprocessing)
        except BadPictureError as error:
            return Failed(path, error.message)
        except OSError as error:
            return Failed(path, reason(error))

    return over_threads(len(pictures), one, workers)


def _ranked(classifier: Classifier, images: Tensor, top: int) -> list[tuple[Ranked, ...]]:
    """The likeliest labels of each picture."""
    logits = classifier.logits(images)
    # Stable, so that of equal logits the first wins, as it does in an evaluation.
    order = logits.sort(dim=1, descending=True, stable=True).indices[:, :top]  # (N, top)
    probabilities = logits.softmax(dim=1).gather(1, order)  # (N, top)
    return [
        tuple(Ranked(classifier.labels[index], share) for index, share in zip(*row, strict=True))
        for row in zip(order.tolist(), probabilities.tolist(), strict=True)
    ]


def _prediction(path: str | Failed, top: tuple[Ranked, ...], min_probability: float) -> Prediction:
    assert isinstance(path, str)
    best = top[0]
    is_sure = best.probability >= min_probability
    return Prediction(path, best.label if is_sure else None, best.probability, top)
