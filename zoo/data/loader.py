"""Batches: fitted pictures in the order of the epoch, augmented and normalized on the device."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.data.augment import Part, augment, mix
from zoo.data.fit import normalize
from zoo.data.fitted import Fitted
from zoo.data.placement import all_to_device
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
    step_images: int = 0
    """Pictures that the optimizer's step is taken on: those of all batches that are accumulated,
    in all processes."""
    ends_step: bool = True
    """Whether the optimizer steps after this batch."""


@dataclass(frozen=True)
class Shard:
    """Which of several processes' parts of the pictures is meant."""

    index: int = 0
    count: int = 1

    def part(self, total: int) -> slice:
        """This process's places among so many; the parts' sizes differ by one at most."""
        return slice(self.index * total // self.count, (self.index + 1) * total // self.count)


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
        accumulate: int = 1,
        shard: Shard | None = None,
        device: torch.device | None = None,
    ) -> None:
        """Takes what the recipe says.

        Args:
            pictures: of the training split, the same in every process.
            preprocessing: of the network.
            batch_size: pictures in a batch, over all processes.
            seed: draws order and augmentation.
            settings: augmentation; None is none.
            accumulate: batches that a step of the optimizer is taken on.
            shard: this process's part of each batch; None is all of it.
            device: where they are wanted.
        """
        self._pictures = pictures
        self._device = device or torch.device("cpu")
        self._targets = pictures.targets
        self._num_classes = len(pictures.classes)
        self._preprocessing = preprocessing
        self._shard = shard or Shard()
        self._sizes = batch_sizes(len(pictures), batch_size, self._shard.count)
        self._accumulate = accumulate
        self._seed = seed
        self._settings = settings or Augment()

    def __len__(self) -> int:
        """Steps in an epoch."""
        return -(-len(self._sizes) // self._accumulate)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch.

        Args:
            epoch: counted from 1.
            start: steps that are left out, for they were taken before.
        """
        orders = list(enumerate(self._orders(epoch)))[start * self._accumulate :]
        parts = [self._shard.part(len(order)) for _, order in orders]
        mine = [order[part] for (_, order), part in zip(orders, parts, strict=True)]
        fitted = self._pictures.batches(mine, self._device)
        labels = all_to_device([self._targets[indices] for indices in mine], self._device)
        for (index, order), part, targets, pictures in zip(
            orders, parts, labels, fitted, strict=True
        ):
            place = Part(part.start, len(order))
            draws = generator(self._seed, epoch, index, "augment")
            images = augment(pictures, self._settings, draws, place)
            if self._settings.mixup or self._settings.cutmix:
                draws = generator(self._seed, epoch, index, "mix")
                images, targets = mix(
                    images, targets, self._settings, draws, self._num_classes, place
                )
            step = index // self._accumulate
            yield Batch(
                normalize(images, self._preprocessing),
                targets,
                sum(self._sizes[step * self._accumulate : (step + 1) * self._accumulate]),
                (index + 1) % self._accumulate == 0 or index + 1 == len(self._sizes),
            )

    def names(self, epoch: int, step: int) -> list[str]:
        """The pictures of one step, in all processes; both counted as in `epoch`."""
        orders = self._orders(epoch)[step * self._accumulate : (step + 1) * self._accumulate]
        return [self._pictures.names[index] for order in orders for index in order.tolist()]

    def _orders(self, epoch: int) -> Sequence[Tensor]:
        draws = generator(self._seed, epoch, 0, "order")
        return torch.split(torch.randperm(len(self._targets), generator=draws), self._sizes)


def evaluation_batches(
    pictures: Fitted,
    preprocessing: Preprocessing,
    *,
    batch_size: int | None = None,
    shard: Shard | None = None,
    device: torch.device | None = None,
) -> Iterator[Batch]:
    """All pictures once, in order, as they are.

    Args:
        pictures: fitted.
        preprocessing: of the network.
        batch_size: pictures at once; None is `evaluation_batch_size`.
        shard: the part of the pictures that this process takes; None is all.
        device: where they are wanted.
    """
    at_once = batch_size or evaluation_batch_size(preprocessing)
    for images, targets in fitted_batches(pictures, at_once, shard=shard, device=device):
        yield Batch(normalize(images, preprocessing), targets)


def fitted_batches(
    pictures: Fitted,
    batch_size: int,
    *,
    shard: Shard | None = None,
    device: torch.device | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """All pictures once, in order, not yet normalized.

    Args:
        pictures: fitted.
        batch_size: pictures at once.
        shard: the part of the pictures that this process takes; None is all.
        device: where they are wanted.

    Yields:
        (N, C, H, W), uint8, and their targets (N,).
    """
    device = device or torch.device("cpu")
    mine = torch.arange(len(pictures))[(shard or Shard()).part(len(pictures))]
    batches = torch.split(mine, batch_size) if len(mine) else ()
    fitted = pictures.batches(batches, device)
    labels = all_to_device([pictures.targets[indices] for indices in batches], device)
    yield from zip(fitted, labels, strict=True)


def evaluation_batch_size(preprocessing: Preprocessing) -> int:
    """As many pictures as have four million values, 512 at most."""
    values = preprocessing.channels * preprocessing.size[0] * preprocessing.size[1]
    return max(1, min(512, _EVALUATION_VALUES // values))


def batch_sizes(count: int, batch_size: int, processes: int = 1) -> list[int]:
    """Sizes that add up to `count`. A last batch of less than two a process joins the one before.

    Batch norm can't train on one picture.
    """
    sizes = [batch_size] * (count // batch_size)
    if rest := count % batch_size:
        sizes.append(rest)
    if len(sizes) > 1 and sizes[-1] < 2 * processes:
        sizes[-2:] = [sizes[-2] + sizes[-1]]
    return sizes
