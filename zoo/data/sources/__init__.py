"""What pictures: one file a source."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from zoo.errors import UsageError
from zoo.places import search_path
from zoo.schema import Dataset


@dataclass(frozen=True)
class Pictures:
    """Labelled pictures of one size in memory."""

    images: Tensor
    """(N, C, H, W), uint8."""
    targets: Tensor
    """(N,), class indices, int64."""
    classes: tuple[str, ...]
    names: tuple[str, ...]
    """A path or the like for each picture, the same wherever the data lie."""

    def __len__(self) -> int:
        return len(self.targets)

    def at(self, indices: Sequence[int]) -> "Pictures":
        """Some of the pictures, in the order of `indices`."""
        chosen = torch.tensor(indices, dtype=torch.int64)
        return replace(
            self,
            images=self.images[chosen],
            targets=self.targets[chosen],
            names=tuple(self.names[index] for index in indices),
        )

    def with_images(self, images: Tensor) -> "Pictures":
        """The same pictures in another size."""
        return replace(self, images=images)


@dataclass(frozen=True)
class Found:
    """A source's pictures, as it splits them itself."""

    train: Pictures
    test: Pictures | None = None
    """None where the source is one set, to be split by zoo."""


def read(dataset: Dataset, given: Path | None = None) -> Found:
    """The pictures that a recipe names.

    Args:
        dataset: the recipe's section.
        given: `--data`, the first place to look.

    Raises:
        DataError: they are missing or bad.
        UsageError: `given` does not apply to an embedded source.
    """
    from zoo.data.sources import digits, mnist

    if dataset.source == "digits":
        if given is not None or dataset.root is not None:
            raise UsageError("digits is embedded in zoo: --data and dataset.root do not apply.")
        return Found(digits.read())
    return mnist.read(dataset.source, search_path(dataset.source, given, dataset.root))
