"""Batches from pictures in memory: an index, a cast, augmentation and a normalization."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.data.augment import augment
from zoo.data.fit import normalize
from zoo.data.randomness import generator
from zoo.data.sources import Pictures
from zoo.schema import Augment, Preprocessing


@dataclass(frozen=True)
class Batch:
    """Pictures ready for the network, on its device."""

    images: Tensor
    """(N, C, H, W), float32, normalized."""
    targets: Tensor
    """(N,), int64."""


class TrainingBatches:
    """Shuffled and augmented batches; each is a function of (seed, epoch, step)."""

    def __init__(
        self,
        pictures: Pictures,
        preprocessing: Preprocessing,
        *,
        batch_size: int,
        seed: int,
        settings: Augment | None = None,
        device: torch.device | None = None,
    ) -> None:
        self._images = pictures.images.to(device)
        self._targets = pictures.targets.to(device)
        self._preprocessing = preprocessing
        self._sizes = batch_sizes(len(pictures), batch_size)
        self._seed = seed
        self._settings = settings or Augment()

    def __len__(self) -> int:
        """Steps in an epoch."""
        return len(self._sizes)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch, counted from 1."""
        order = torch.randperm(
            len(self._targets), generator=generator(self._seed, epoch, 0, "order")
        )
        for step, indices in enumerate(torch.split(order, self._sizes)):
            chosen = indices.to(self._targets.device)
            images = augment(
                self._images[chosen].float(),
                self._settings,
                generator(self._seed, epoch, step, "augment"),
            )
            yield Batch(normalize(images, self._preprocessing), self._targets[chosen])


def evaluation_batches(
    pictures: Pictures,
    preprocessing: Preprocessing,
    *,
    batch_size: int = 512,
    device: torch.device | None = None,
) -> Iterator[Batch]:
    """All pictures once, in order, as they are."""
    for start in range(0, len(pictures), batch_size):
        part = slice(start, start + batch_size)
        images = pictures.images[part].to(device)
        yield Batch(normalize(images, preprocessing), pictures.targets[part].to(device))


def batch_sizes(count: int, batch_size: int) -> list[int]:
    """Sizes that add up to `count`. A last batch of one joins the one before.

    Batch norm can't train on one picture.
    """
    sizes = [batch_size] * (count // batch_size)
    if rest := count % batch_size:
        sizes.append(rest)
    if len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [sizes[-2] + 1]
    return sizes
