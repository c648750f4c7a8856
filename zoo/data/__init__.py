"""From a recipe to batches: `sources` (what pictures), `split`, `fit`, `augment`, `loader`."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from zoo.data import sources
from zoo.data.fit import fit
from zoo.data.sources import Pictures
from zoo.data.split import SPLITS, Split, draw
from zoo.recipe import Dataset, Preprocessing

__all__ = ["Data", "Pictures", "Split", "open_data"]


@dataclass(frozen=True)
class Data:
    """A dataset, split, its pictures fitted to a network's input."""

    pictures: Pictures
    split: Split

    def part(self, name: str) -> Pictures:
        """The pictures of one split, `train`, `validation` or `test`."""
        return self.pictures.at(self.split.indices(name))

    @cached_property
    def counts(self) -> dict[str, int]:
        """Pictures per split."""
        return {name: len(self.split.indices(name)) for name in SPLITS}


def open_data(dataset: Dataset, preprocessing: Preprocessing) -> Data:
    """Reads, splits and fits a dataset.

    Raises:
        DataError: pictures are missing or bad, or a split would be empty.
    """
    pictures = sources.read(dataset)
    split = draw(pictures, dataset)
    return Data(pictures.with_images(fit(pictures.images, preprocessing)), split)


def naive_top1(targets: Tensor, num_classes: int) -> tuple[int, float]:
    """The commonest class, and the share of pictures that always guessing it gets right."""
    counts = torch.bincount(targets, minlength=num_classes)
    commonest = int(counts.argmax())
    return commonest, float(counts[commonest]) / max(1, len(targets))
