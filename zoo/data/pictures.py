"""Labelled pictures as a source holds them: arrays, files, or a torchvision dataset."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from zoo.data.decode import decode, to_tensor
from zoo.files import disk_errors

# 64 bits tell a million pictures apart and keep split.csv small.
_HASH_DIGITS = 16


@dataclass(frozen=True)
class Pictures(ABC):
    """Labelled pictures, of any sizes, not necessarily in memory."""

    targets: Tensor
    """(N,), class indices, int64."""
    classes: tuple[str, ...]
    names: tuple[str, ...]
    """A path or the like for each picture, the same wherever the data lie."""

    def __len__(self) -> int:
        return len(self.targets)

    @abstractmethod
    def picture(self, index: int) -> Tensor:
        """One picture, (1 or 3, h, w), uint8.

        Raises:
            BadPictureError: it can't be decoded.
        """

    @abstractmethod
    def digest(self, index: int) -> str:
        """The first 16 digits of the SHA-256 of one picture's content."""

    def read(self, index: int) -> tuple[Tensor, str]:
        """Picture and digest of one; they are read once where that is possible.

        Raises:
            BadPictureError: it can't be decoded.
        """
        return self.picture(index), self.digest(index)

    @abstractmethod
    def _chosen(self, indices: Sequence[int]) -> Self:
        """These pictures; targets and names are the caller's."""

    def at(self, indices: Sequence[int]) -> Self:
        """Some of the pictures, in the order of `indices`."""
        chosen = torch.tensor(indices, dtype=torch.int64)
        return replace(
            self._chosen(indices),
            targets=self.targets[chosen],
            names=tuple(self.names[index] for index in indices),
        )


@dataclass(frozen=True)
class ArrayPictures(Pictures):
    """Pictures of one size in one tensor."""

    images: Tensor
    """(N, 1 or 3, h, w), uint8."""

    def picture(self, index: int) -> Tensor:
        """A view of the tensor."""
        return self.images[index]

    def digest(self, index: int) -> str:
        """Of the pixels."""
        return _digest(self.images[index].numpy().tobytes())

    def _chosen(self, indices: Sequence[int]) -> Self:
        return replace(self, images=self.images[torch.tensor(indices, dtype=torch.int64)])


@dataclass(frozen=True)
class FilePictures(Pictures):
    """A file for each picture, of any size and format."""

    paths: tuple[Path, ...]

    def picture(self, index: int) -> Tensor:
        """Decoded anew each time."""
        return decode(self._content(index))

    def digest(self, index: int) -> str:
        """Of the file's bytes."""
        return _digest(self._content(index))

    def read(self, index: int) -> tuple[Tensor, str]:
        """From one reading of the file."""
        content = self._content(index)
        return decode(content), _digest(content)

    def _content(self, index: int) -> bytes:
        with disk_errors("read", self.paths[index]):
            return self.paths[index].read_bytes()

    def _chosen(self, indices: Sequence[int]) -> Self:
        return replace(self, paths=tuple(self.paths[index] for index in indices))


@dataclass(frozen=True)
class DatasetPictures(Pictures):
    """A torchvision dataset that yields PIL pictures; its own targets are not used."""

    dataset: Any
    """Indexed by `positions`; an item is a pair, the picture first."""
    positions: tuple[int, ...]

    def picture(self, index: int) -> Tensor:
        """Read by the dataset anew each time."""
        return to_tensor(self.dataset[self.positions[index]][0])

    def digest(self, index: int) -> str:
        """Of the pixels."""
        return self.read(index)[1]

    def read(self, index: int) -> tuple[Tensor, str]:
        """From one reading by the dataset."""
        picture = self.picture(index)
        return picture, _digest(repr(tuple(picture.shape)).encode() + picture.numpy().tobytes())

    def _chosen(self, indices: Sequence[int]) -> Self:
        return replace(self, positions=tuple(self.positions[index] for index in indices))


@dataclass(frozen=True)
class Found:
    """A source's pictures, as it splits them itself. All parts have the same classes."""

    train: Pictures
    validation: Pictures | None = None
    """None where it is to be drawn from the training pictures."""
    test: Pictures | None = None
    """None where the source has none."""
    notes: tuple[str, ...] = ()
    """What the user should know, such as files that were ignored."""
    draws_test: bool = False
    """Whether a test split is drawn even if the recipe is silent: sets made for trying things."""


def misaligned(split: str, classes: Collection[str], train: Collection[str]) -> list[str]:
    """A sentence for each class that one split has and train has not, or the reverse."""
    surplus, missing = sorted({*classes} - {*train}), sorted({*train} - {*classes})
    return [
        *(f"the class {name} is in {split} but not in train" for name in surplus),
        *(f"the class {name} is missing from {split}" for name in missing),
    ]


def as_text(name: str) -> str:
    r"""A file's name as text that any file can hold: bytes that are no UTF-8 become \xNN."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def on_one_line(path: str) -> str:
    """A path that may hold line breaks, for a list of one a line."""
    return path.replace("\n", "\\n").replace("\r", "\\r")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_HASH_DIGITS]
