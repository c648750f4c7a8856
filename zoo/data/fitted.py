"""Pictures fitted to a network's input: in memory where they fit, else made batch by batch."""

import signal
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from zoo.data.fit import fit
from zoo.data.pictures import ArrayPictures, Pictures
from zoo.data.placement import all_to_device, to_device
from zoo.errors import DataError, DiskError, OutOfMemoryError
from zoo.schema import Preprocessing

_PREFETCHED = 4  # batches each worker has ready


class Store(ABC):
    """Where fitted pictures come from."""

    @abstractmethod
    def batches(self, batches: Iterable[Tensor], device: torch.device) -> Iterator[Tensor]:
        """For each (N,) of indices the pictures (N, C, H, W), uint8, on the device."""


@dataclass
class InMemory(Store):
    """One tensor; a batch is an index."""

    images: Tensor
    """(N, C, H, W), uint8."""

    def batches(self, batches: Iterable[Tensor], device: torch.device) -> Iterator[Tensor]:
        """From the device's own memory, where the pictures are moved once if they fit."""
        if self.images.device != device and _fits(self.images, device):
            self.images = self.images.to(device)
        for indices in all_to_device(list(batches), self.images.device):
            yield to_device(self.images[indices], device)


def _fits(images: Tensor, device: torch.device) -> bool:
    """Whether a device has room for the pictures and, as much again, for the network."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return 2 * images.numel() <= free


@dataclass(frozen=True)
class FittedOnTheWay(Store):
    """Small arrays whose fitted form would be large: each batch is fitted when it is needed."""

    images: Tensor
    """(N, 1 or 3, h, w), uint8, as the source has them."""
    preprocessing: Preprocessing

    def batches(self, batches: Iterable[Tensor], device: torch.device) -> Iterator[Tensor]:
        """Fitted on the processor, whose rounding is Pillow's."""
        for indices in batches:
            yield to_device(fit(self.images[indices], self.preprocessing), device)


@dataclass(frozen=True)
class Decoded(Store):
    """Files too many for memory: worker processes decode and fit them, some batches ahead."""

    pictures: Pictures
    preprocessing: Preprocessing
    workers: int

    def batches(self, batches: Iterable[Tensor], device: torch.device) -> Iterator[Tensor]:
        """In the order asked for, whatever the number of workers."""
        loader = torch.utils.data.DataLoader(
            _FitOne(self.pictures, self.preprocessing),
            batch_sampler=[indices.tolist() for indices in batches],
            num_workers=self.workers,
            prefetch_factor=_PREFETCHED if self.workers else None,
            pin_memory=device.type == "cuda",
            worker_init_fn=_leave_signals_to_the_parent,
            generator=torch.Generator(),  # it would draw from the global one
        )
        try:
            with _signals_held_back():  # a process just made still has its parent's handlers
                ready = iter(loader)
            for images in ready:
                yield to_device(images, device)
        except (DataError, DiskError) as error:
            # A worker's error arrives with its traceback; the reason is the last line.
            reason = error.message.strip().splitlines()[-1].rpartition("Error: ")[-1]
            raise DataError(f"A picture can't be read any more: {reason.rstrip('.')}.") from error
        except RuntimeError as error:
            if "worker" not in str(error):
                raise
            raise OutOfMemoryError(
                f"A process that decodes pictures was killed: {str(error).splitlines()[0]}",
                hint="Try --set dataset.workers=1, smaller batches, or a larger /dev/shm.",
            ) from error


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Inside, signals wait, and in processes that are made inside too."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_signals_to_the_parent(_worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


class _FitOne(torch.utils.data.Dataset[Tensor]):
    def __init__(self, pictures: Pictures, preprocessing: Preprocessing) -> None:
        self._pictures, self._preprocessing = pictures, preprocessing

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> Tensor:
        return fit(self._pictures.picture(index)[None], self._preprocessing)[0]


@dataclass(frozen=True)
class Fitted:
    """Labelled pictures as a network takes them."""

    store: Store
    indices: Tensor
    """(N,), into the store."""
    targets: Tensor
    """(N,), class indices, int64."""
    classes: tuple[str, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.targets)

    def at(self, indices: Sequence[int]) -> "Fitted":
        """Some of the pictures, in the order of `indices`; nothing is copied."""
        chosen = torch.tensor(indices, dtype=torch.int64)
        return replace(
            self,
            indices=self.indices[chosen],
            targets=self.targets[chosen],
            names=tuple(self.names[index] for index in indices),
        )

    def in_order_of(self, classes: tuple[str, ...]) -> "Fitted":
        """The same pictures, whose labels count the same classes in another order."""
        places = torch.tensor([classes.index(name) for name in self.classes], dtype=torch.int64)
        return replace(self, classes=classes, targets=places[self.targets])

    def batches(
        self, batches: Iterable[Tensor], device: torch.device | None = None
    ) -> Iterator[Tensor]:
        """For each (N,) of indices the pictures (N, C, H, W), uint8, on the device."""
        wanted = (self.indices[indices] for indices in batches)
        return self.store.batches(wanted, device or torch.device("cpu"))

    @classmethod
    def in_memory(cls, images: Tensor, pictures: Pictures) -> "Fitted":
        """All of a source's pictures, fitted.

        Args:
            images: (N, C, H, W), uint8.
            pictures: where they come from, which know their labels.
        """
        return cls._over(InMemory(images), pictures)

    @classmethod
    def on_the_way(cls, pictures: ArrayPictures, preprocessing: Preprocessing) -> "Fitted":
        """All pictures of an array, each to be fitted when it is needed."""
        return cls._over(FittedOnTheWay(pictures.images, preprocessing), pictures)

    @classmethod
    def decoded(cls, pictures: Pictures, preprocessing: Preprocessing, workers: int) -> "Fitted":
        """All pictures, each to be decoded when it is needed."""
        return cls._over(Decoded(pictures, preprocessing, workers), pictures)

    @classmethod
    def _over(cls, store: Store, pictures: Pictures) -> "Fitted":
        every = torch.arange(len(pictures))
        return cls(store, every, pictures.targets, pictures.classes, pictures.names)
