"""The figures of a classifier, from sums that are kept where it computes and add up over parts."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor

from zoo.errors import DataError

Reduce = Callable[[list[Tensor]], None]
"""Adds each tensor up, in place, over the processes that evaluate a part each."""

# Guo et al. 2017, "On Calibration of Modern Neural Networks".
_BINS = 15


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

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall, 0 where no picture of the class was found.

        None where the class has no pictures and none was called so.
        """
        if self.precision is None and self.recall is None:
            return None
        if not self.precision or not self.recall:
            return 0.0
        return 2 * self.precision * self.recall / (self.precision + self.recall)


@dataclass(frozen=True)
class Confused:
    """Pictures of one class that were taken for another."""

    true: str
    predicted: str
    images: int
    share: float
    """Of the true class's pictures."""


@dataclass(frozen=True)
class Bin:
    """The pictures whose top probability lies in one of 15 equal parts of [0, 1]."""

    images: int
    confidence: float | None
    """Mean of their top probabilities; None where there are no pictures."""
    accuracy: float | None
    """Share of them that is right."""


@dataclass(frozen=True)
class Figures:
    """What a network reached on some pictures. Shares lie in [0, 1]."""

    images: int
    top1: float
    top5: float
    loss: float
    """Mean cross-entropy."""
    expected_calibration_error: float
    """How far the top probabilities are from the accuracy, over 15 equal bins (Guo et al. 2017)."""
    naive_top1: float
    """What always guessing the commonest class would reach."""
    naive_class: str
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Counts; row: the true class, column: the predicted one."""
    reliability: tuple[Bin, ...] = ()
    """What the calibration error is the sum of, from the least probable to the surest."""

    @property
    def confused(self) -> list[Confused]:
        """The pairs of classes that were taken for one another, the most frequent first."""
        pairs = [
            Confused(self.classes[true], self.classes[predicted], number, number / sum(row))
            for true, row in enumerate(self.confusion)
            for predicted, number in enumerate(row)
            if number and true != predicted
        ]
        return sorted(pairs, key=lambda pair: (-pair.images, -pair.share))

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

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that have pictures."""
        scores = [figures.f1 or 0.0 for figures in self.per_class if figures.images]
        return sum(scores) / len(scores)


class Sums:
    """What figures are made of. Adding a batch makes no GPU wait for the host."""

    def __init__(self, num_classes: int, device: torch.device) -> None:
        real = torch.float32 if device.type == "mps" else torch.float64  # which MPS lacks
        self.confusion = torch.zeros(num_classes**2, dtype=torch.int64, device=device)
        self.top5_hits = torch.zeros((), dtype=torch.int64, device=device)
        self.loss = torch.zeros((), dtype=real, device=device)
        self.bin_counts = torch.zeros(_BINS, dtype=torch.int64, device=device)
        self.bin_hits = torch.zeros(_BINS, dtype=torch.int64, device=device)
        self.bin_confidence = torch.zeros(_BINS, dtype=real, device=device)
        self._num_classes = num_classes

    @property
    def tensors(self) -> list[Tensor]:
        """All of them, to be added up over processes in place."""
        return [
            self.confusion, self.top5_hits, self.loss,
            self.bin_counts, self.bin_hits, self.bin_confidence,
        ]  # fmt: skip

    def add(self, logits: Tensor, targets: Tensor) -> None:
        """Adds a batch.

        Args:
            logits: (N, num_classes), float32, before softmax.
            targets: (N,), class indices.
        """
        predicted = logits.argmax(dim=1)  # (N,)
        _count(self.confusion, targets * self._num_classes + predicted)
        best = logits.topk(min(5, self._num_classes), dim=1).indices  # (N, 5)
        self.top5_hits += (best == targets[:, None]).sum()
        losses = F.cross_entropy(logits, targets, reduction="none")  # (N,)
        self.loss += losses.sum(dtype=self.loss.dtype)
        confidence = logits.softmax(dim=1).amax(dim=1)  # (N,)
        # A bin holds its upper edge. A mask instead of scattering: its sums have one order.
        bins = ((confidence * _BINS).ceil().long() - 1).clamp(0, _BINS - 1)
        mask = bins[:, None] == torch.arange(_BINS, device=bins.device)  # (N, bins)
        self.bin_counts += mask.sum(dim=0)
        self.bin_hits += (mask & (predicted == targets)[:, None]).sum(dim=0)
        self.bin_confidence += (mask * confidence[:, None]).sum(dim=0, dtype=self.loss.dtype)

    def figures(self, classes: tuple[str, ...]) -> Figures:
        """The figures of everything added.

        Raises:
            DataError: nothing was.
        """
        confusion = self.confusion.reshape(self._num_classes, -1).cpu()
        images = int(confusion.sum())
        if not images:
            raise DataError("There is no picture to evaluate.")
        support = confusion.sum(dim=1)
        commonest = int(support.argmax())
        gaps = self.bin_hits.cpu() - self.bin_confidence.cpu().double()  # (bins,), in pictures
        return Figures(
            images=images,
            top1=int(confusion.diagonal().sum()) / images,
            top5=int(self.top5_hits) / images,
            loss=float(self.loss) / images,
            expected_calibration_error=float(gaps.abs().sum()) / images,
            naive_top1=int(support[commonest]) / images,
            naive_class=classes[commonest],
            classes=classes,
            confusion=tuple(tuple(row) for row in confusion.tolist()),
            reliability=self._reliability(),
        )

    def _reliability(self) -> tuple[Bin, ...]:
        rows = (self.bin_counts.tolist(), self.bin_confidence.tolist(), self.bin_hits.tolist())
        return tuple(
            Bin(count, confidence / count, hits / count) if count else Bin(0, None, None)
            for count, confidence, hits in zip(*rows, strict=True)
        )


def _count(counts: Tensor, indices: Tensor) -> None:
    """Adds 1 at each index."""
    if counts.device.type == "mps":  # where index_add_ lacks int64
        counts += torch.bincount(indices, minlength=len(counts))
    else:  # bincount would make a GPU wait: it asks for the largest index
        counts.index_add_(0, indices, torch.ones_like(indices))
