"""What pictures show, by a trained network: a label and its probability for each."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from zoo import modelfile, runtimes
from zoo.data.decode import BadPictureError, decode
from zoo.data.finding import Failed as Failed
from zoo.data.finding import find as find
from zoo.data.finding import reason
from zoo.data.gathering import over_threads
from zoo.data.loader import evaluation_batch_size
from zoo.errors import UsageError
from zoo.runtimes import Runtime, open_runtime
from zoo.schema import Preprocessing

_DECODED_AT_ONCE = 16
"""Pictures of any size, in memory together."""


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
    runtime: Runtime
    notes: tuple[str, ...] = ()
    """What the user should know."""

    @property
    def preprocessing(self) -> Preprocessing:
        """How pictures are fitted and normalized."""
        return self.runtime.source.description.preprocessing

    @property
    def at_once(self) -> int:
        """How many pictures are read before they are looked at."""
        size = evaluation_batch_size(self.preprocessing)
        return size if self.runtime.fits_pictures else min(size, _DECODED_AT_ONCE)

    def logits(self, images: Tensor) -> Tensor:
        """One forward pass.

        Args:
            images: (N, C, H, W), uint8, fitted.

        Returns:
            (N, num_classes), float32.

        Raises:
            ModelFileError: the network's outputs are not one for each label.
        """
        return self.runtime.logits(images)


def load(
    model: str, *, device: str = "cpu", precision: str = "fp32", threads: int | None = None
) -> Classifier:
    """The classifier of a model file, a run or an exported file.

    Args:
        model: a path.
        device: such as `cpu`, `cuda:0` or `auto`.
        precision: fp32, bf16, fp16 or auto.
        threads: of the processor; None is the runtime's own choice.

    Raises:
        NotFoundError: MODEL is nothing.
        UsageError: nothing in it is trained, its top was taken off, the device lacks the precision
            or a runtime is not installed.
        ModelFileError: the file is refused or corrupt.
    """
    source = modelfile.resolve(model, exported=True)
    description = source.description
    if source.path is None or not description.is_trained:
        kind = "an architecture" if source.path is None else "a model file"
        hint = f"zoo train {shlex.quote(source.name)}"
        if source.exported is not None:
            kind, hint = "an exported file", "Export a model that was trained."
        raise UsageError(f"{source.name} is {kind} with nothing trained in it.", hint=hint)
    modelfile.check_has_head(source)
    notes = []
    if not description.classes:
        notes.append(f"{source.name} names no classes: labels are the indices of its outputs")
    arithmetic = runtimes.arithmetic(source, device, precision)
    runtime = open_runtime(source, arithmetic, threads=threads)
    return Classifier(source.name, description.labels, runtime, tuple(notes))


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
    size = classifier.at_once
    for start in range(0, len(pictures), size):
        batch = pictures[start : start + size]
        read = _read(batch, classifier.runtime, workers)
        images = [image for image in read if isinstance(image, Tensor)]
        ranked = iter(_ranked(classifier, images, top) if images else ())
        yield [
            image if isinstance(image, Failed) else _prediction(path, next(ranked), min_probability)
            for path, image in zip(batch, read, strict=True)
        ]


def _read(
    pictures: Sequence[str | Failed], runtime: Runtime, workers: int | None
) -> list[Tensor | Failed]:
    """For each picture what the runtime makes of it, or why it can't be read."""

    def one(index: int) -> Tensor | Failed:
        path = pictures[index]
        if isinstance(path, Failed):
            return path
        try:
            return runtime.read(decode(Path(path).read_bytes()))
        except BadPictureError as error:
            return Failed(path, error.message)
        except OSError as error:
            return Failed(path, reason(error))

    return over_threads(len(pictures), one, workers)


def _ranked(classifier: Classifier, images: list[Tensor], top: int) -> list[tuple[Ranked, ...]]:
    """The likeliest labels of each picture."""
    logits = classifier.runtime.logits_of_read(images)
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
