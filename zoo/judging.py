"""What a classifier said of each picture: its mistakes, the worst first."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor

from zoo.files import write_text


@dataclass(frozen=True)
class Judged:
    """One picture and what it was taken for."""

    path: str
    """The picture's name: its path below the data's directory, or the set's name and an index."""
    label: str
    predicted: str
    probability: float
    """Of the predicted class."""
    loss: float
    """Cross-entropy: how improbable the label was, in nats."""


@dataclass(frozen=True)
class Ranking:
    """Pictures by how the classifier fared with them."""

    mistakes: Tensor
    """Indices of those it took for another class, the largest loss first."""
    right: Tensor
    """Indices of those it took for what they are, the most confident first."""


class Judgements:
    """Collects a classifier's answers in the order of the pictures."""

    def __init__(self) -> None:
        self._batches: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def add(self, logits: Tensor, targets: Tensor) -> None:
        """Adds a batch.

        Args:
            logits: (N, num_classes), float32, before softmax.
            targets: (N,), class indices.
        """
        best = logits.softmax(dim=1).max(dim=1)
        losses = F.cross_entropy(logits, targets, reduction="none")  # (N,)
        self._batches.append((targets, logits.argmax(dim=1), best.values, losses))

    def ranking(self) -> Ranking:
        """Mistakes and right answers; of equals the earlier picture comes first."""
        targets, predicted, probabilities, losses = self._columns()
        wrong = (predicted != targets).nonzero()[:, 0]
        right = (predicted == targets).nonzero()[:, 0]
        return Ranking(
            wrong[losses[wrong].argsort(descending=True, stable=True)],
            right[probabilities[right].argsort(descending=True, stable=True)],
        )

    def of(
        self, indices: Tensor, names: Sequence[str], classes: Sequence[str]
    ) -> tuple[Judged, ...]:
        """What was said of some pictures.

        Args:
            indices: of the pictures, in the order they were added.
            names: of all pictures.
            classes: in the order of the logits.
        """
        chosen = [column[indices].tolist() for column in self._columns()]
        return tuple(
            Judged(names[index], classes[target], classes[said], probability, loss)
            for index, target, said, probability, loss in zip(
                indices.tolist(), *chosen, strict=True
            )
        )

    def _columns(self) -> list[Tensor]:
        """Targets, predicted classes, probabilities and losses, each (N,), on the processor."""
        return [torch.cat(column).cpu() for column in zip(*self._batches, strict=True)]


def write_csv(judged: Sequence[Judged], path: Path) -> None:
    """Writes a row for each picture, in the order given.

    Raises:
        DiskError: the disk is full, or there is no permission.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Judged)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(one) for one in judged)
    write_text(path, text.getvalue())
