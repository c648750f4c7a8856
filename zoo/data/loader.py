"""Batches: fitted pictures in the order of the epoch, augmented and normalized on the device."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.data.augment import augment, mix
from zoo.data.fit import normalize
from zoo.data.fitted import Fitted
from zoo.data.randomness import generator
from zoo.schema import Augment, Preprocessing

_EVALUATION_VALUES = 1 << 22


@dataclass(frozen=True)
class Batch:
    """Pictures ready for the network, on its device."""

    images: Tensor
    """(N, C, H, W), float32, normalized."""
    targets: Tensor
    """(N,), int64; with mixup or CutMix (N, num_classes), float, shares of each class."""


class TrainingBatches:
    """Shuffled and augmented batches; each is a function of (seed, epoch, step)."""

    def __init__(
        self,
        pictures: Fitted,
        preprocessing: Preprocessing,
        *,
        batch_size: int,
        seed: int,
        settings: Augment | None = None,
        device: torch.device | None = None,
    ) -> None:
        self._pictures = pictures
        self._device = device or torch.device("cpu")
        self._targets = pictures.targets.to(self._device)
        self._num_classes = len(pictures.classes)
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
        batches = torch.split(order, self._sizes)
        fitted = self._pictures.batches(batches, self._device)
        for step, (indices, pictures) in enumerate(zip(batches, fitted, strict=True)):
            images = augment(
                pictures, self._settings, generator(self._seed, epoch, step, "augment")
            )
            targets = self._targets[indices.to(self._device)]
            if self._settings.mixup or self._settings.cutmix:
                draws = generator(self._seed, epoch, step, "mix")
                images, targets = mix(images, targets, self._settings, draws, self._num_classes)
            yield Batch(normalize(images, self._preprocessing), targets)


def evaluation_batches(
    pictures: Fitted,
    preprocessing: Preprocessing,
    *,
    batch_size: int | None = None,
    device: torch.device | None = None,
) -> Iterator[Batch]:
    """All pictures once, in order, as they are.

    Args:
        pictures: fitted.
        preprocessing: of the network.
        batch_size: pictures at once; None is `evaluation_batch_size`.
        device: where they are wanted.
    """
    device = device or torch.device("cpu")
    batches = torch.split(
        torch.arange(len(pictures)), batch_size or evaluation_batch_size(preprocessing)
    )
    fitted = pictures.batches(batches, device)
    for indices, images in zip(batches, fitted, strict=True):
        yield Batch(normalize(images, preprocessing), pictures.targets[indices].to(device))


def evaluation_batch_size(preprocessing: Preprocessing) -> int:
    """As many pictures as have four million values, 512 at most."""
    values = preprocessing.channels * preprocessing.size[0] * preprocessing.size[1]
    return max(1, min(512, _EVALUATION_VALUES // values))


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
