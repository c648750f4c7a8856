"""What pictures: one file a source."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from zoo.recipe import Dataset


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


def read(dataset: Dataset) -> Pictures:
    """The pictures that a recipe names.

    Raises:
        DataError: they are missing or bad.
    """
    from zoo.data.sources import digits

    readers: dict[str, Callable[[], Pictures]] = {"digits": digits.read}
    return readers[dataset.source]()
