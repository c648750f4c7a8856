"""From a recipe to batches: `sources` (what pictures), `split`, `fit`, `augment`, `loader`."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from zoo.data import sources
from zoo.data.fit import fit
from zoo.data.sources import Pictures
from zoo.data.split import SPLITS, draw
from zoo.errors import UsageError
from zoo.schema import Dataset, Preprocessing

__all__ = ["Data", "Pictures", "open_data"]

_DEFAULT_TEST = 0.2


@dataclass(frozen=True)
class Data:
    """A dataset, split, its pictures fitted to a network's input."""

    classes: tuple[str, ...]
    parts: dict[str, Pictures]
    """`train`, `validation` and `test`; an empty one where there is none."""
    split_csv: str
    """The text of a run's `split.csv`: the pictures that zoo split itself."""

    @property
    def counts(self) -> dict[str, int]:
        """Pictures per split."""
        return {name: len(pictures) for name, pictures in self.parts.items()}


def open_data(dataset: Dataset, preprocessing: Preprocessing, given: Path | None = None) -> Data:
    """Reads, splits and fits a dataset.

    Args:
        dataset: the recipe's section.
        preprocessing: of the network.
        given: `--data`, the first place to look.

    Raises:
        DataError: pictures are missing or bad, or a split would be empty.
        UsageError: an option does not apply to this source.
    """
    found = sources.read(dataset, given)
    if found.test is not None and dataset.test is not None:
        raise UsageError(
            f"{dataset.source} has a test split of its own, so dataset.test does not apply."
        )
    share = _DEFAULT_TEST if dataset.test is None else dataset.test
    split = draw(
        found.train,
        validation=0.1 if dataset.validation is None else dataset.validation,
        test=0.0 if found.test is not None else share,
        seed=dataset.seed,
    )
    parts = {name: found.train.at(split.indices(name)) for name in SPLITS}
    if found.test is not None:
        parts["test"] = found.test
    fitted = {
        name: pictures.with_images(fit(pictures.images, preprocessing))
        for name, pictures in parts.items()
    }
    return Data(found.train.classes, fitted, split.to_csv(found.train.names))


def naive_top1(targets: Tensor, num_classes: int) -> tuple[int, float]:
    """The commonest class, and the share of pictures that always guessing it gets right."""
    counts = torch.bincount(targets, minlength=num_classes)
    commonest = int(counts.argmax())
    return commonest, float(counts[commonest]) / max(1, len(targets))
