"""MNIST's file format, idx: a magic number, big-endian sides, then bytes."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import torch
from torch import Tensor

from zoo.data.pictures import ArrayPictures, Found
from zoo.errors import DataError, UsageError
from zoo.files import disk_errors
from zoo.schema import Dataset

_UINT8 = 8

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
"""MNIST's names: pictures and labels of each split."""


def read(dataset: Dataset, root: Path) -> Found:
    """Pictures and labels in files named as MNIST's, plain or gzipped; the test pair may lack.

    Args:
        dataset: names of the classes, or None for their numbers.
        root: the files' directory.

    Raises:
        UsageError: there is no such directory.
        DataError: a file is missing or bad, or a label has no name.
    """
    if not root.is_dir():
        raise UsageError(f"There is no directory {root}.")
    found = {split: find(root, names) for split, names in FILES.items()}
    train, test = found["train"], found["test"]
    if train is None:
        raise DataError(
            f"{root} does not hold {FILES['train'][0]} and {FILES['train'][1]}, plain or .gz."
        )
    highest = max(int(read_idx(pair[1]).max()) for pair in (train, test) if pair)
    classes = dataset.classes or tuple(str(number) for number in range(highest + 1))
    parts = {
        split: pictures_of(pair, classes, split) if pair else None for split, pair in found.items()
    }
    assert parts["train"] is not None
    return Found(parts["train"], test=parts["test"])


def find(directory: Path, names: tuple[str, str]) -> tuple[Path, Path] | None:
    """The files of these names, plain or gzipped; None unless both are there."""
    paths = [
        next(
            (
                candidate
                for candidate in (directory / name, directory / f"{name}.gz")
                if candidate.is_file()
            ),
            None,
        )
        for name in names
    ]
    images, labels = paths
    return (images, labels) if images and labels else None


def pictures_of(files: tuple[Path, Path], classes: tuple[str, ...], prefix: str) -> ArrayPictures:
    """The pictures of one pair of files.

    Args:
        files: of pictures (N, h, w) or (N, h, w, 3), and of labels (N,).
        classes: a name for each label.
        prefix: of the pictures' own names.

    Raises:
        DataError: the two don't go together, or a label has no name.
    """
    images, targets = (read_idx(path) for path in files)
    if images.ndim == 4 and images.shape[-1] == 3:
        images = images.permute(0, 3, 1, 2).contiguous()  # (N, 3, h, w)
    elif images.ndim == 3:
        images = images[:, None]  # (N, 1, h, w)
    if images.ndim != 4 or targets.ndim != 1 or len(images) != len(targets):
        raise DataError(f"{files[0]} and {files[1]} are no pictures with a label each.")
    if not len(targets):
        raise DataError(f"{files[0]} holds no picture.")
    if int(targets.max()) >= len(classes):
        raise DataError(
            f"{files[1]} holds the label {int(targets.max())}, but only {len(classes)} classes "
            "have a name."
        )
    return ArrayPictures(
        targets=targets.long(),
        classes=classes,
        names=tuple(f"{prefix}/{index:05}" for index in range(len(targets))),
        images=images,
    )


def read_idx(path: Path) -> Tensor:
    """The array of an idx file, plain or gzipped, as uint8.

    Raises:
        DataError: the file is bad, or of no values.
        DiskError: it can't be read.
    """
    with disk_errors("read", path):
        content = path.read_bytes()
    try:
        return parse_idx(content)
    except DataError as error:
        raise DataError(f"{path}: {error.message}", hint="Copy or download it again.") from error


def parse_idx(content: bytes) -> Tensor:
    """The array of an idx file, plain or gzipped, as uint8.

    Source: LeCun, Cortes, Burges, "The MNIST database", section "File formats".

    Raises:
        DataError: it is no idx file of bytes, or a truncated one.
    """
    try:
        raw = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        zeros, kind, dimensions = struct.unpack(">HBB", raw[:4])
        shape = struct.unpack(f">{dimensions}I", raw[4 : 4 + 4 * dimensions])
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise DataError(f"No idx file, or a truncated one: {error}.") from error
    if zeros != 0 or kind != _UINT8:
        raise DataError("No idx file of bytes: its magic number is wrong.")
    values = raw[4 + 4 * dimensions :]
    if len(values) != math.prod(shape):
        raise DataError(f"An idx file of {math.prod(shape):,} values holds {len(values):,}.")
    return torch.frombuffer(bytearray(values), dtype=torch.uint8).reshape(shape)
