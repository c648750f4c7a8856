"""MNIST's file format, idx: a magic number, big-endian sides, then bytes."""

import gzip
import io
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from zoo.data.pictures import ArrayPictures, Found
from zoo.data.sources.folder import NAME_IT
from zoo.errors import DataError
from zoo.files import disk_errors
from zoo.schema import Dataset

_UINT8 = 8

IdxFiles = tuple[Path, Path]
"""Pictures and labels."""

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
        DataError: there is no such directory, a file is missing or bad, or a label has no name.
    """
    if not root.is_dir():
        raise DataError(f"There is no directory {root}.", hint=NAME_IT)
    files = find_files([root], ["."], FILES) or find_files([root], ["."], {"train": FILES["train"]})
    if files is None:
        raise DataError(
            f"{root} does not hold {FILES['train'][0]} and {FILES['train'][1]}, plain or .gz."
        )
    highest = max(int(read_idx(labels).max()) for _, labels in files.values())
    classes = dataset.classes or tuple(str(number) for number in range(highest + 1))
    parts = {split: pictures_of(split, pair, classes) for split, pair in files.items()}
    return Found(parts["train"], test=parts.get("test"))


def find_files(
    places: Sequence[Path], layouts: Sequence[str], wanted: Mapping[str, tuple[str, str]]
) -> dict[str, IdxFiles] | None:
    """The files of each split in the first directory that holds them all, plain or gzipped."""
    for place in places:
        for layout in layouts:
            paths = {
                split: tuple(_plain_or_gz(place / layout / name) for name in names)
                for split, names in wanted.items()
            }
            if all(None not in pair for pair in paths.values()):
                return {split: (pair[0], pair[1]) for split, pair in paths.items()}  # type: ignore[misc]
    return None


def _plain_or_gz(path: Path) -> Path | None:
    for candidate in (path, path.with_name(f"{path.name}.gz")):
        if candidate.is_file():
            return candidate
    return None


def pictures_of(
    prefix: str, files: IdxFiles, classes: tuple[str, ...], first_label: int = 0
) -> ArrayPictures:
    """The pictures of one pair of files.

    Args:
        prefix: of the pictures' own names.
        files: of pictures (N, h, w) or (N, h, w, 3), and of labels (N,).
        classes: a name for each label.
        first_label: what the files call the first class.

    Raises:
        DataError: the two don't go together, or a label has no name.
    """
    images, labels = (read_idx(path) for path in files)
    if images.ndim == 4 and images.shape[-1] == 3:
        images = images.permute(0, 3, 1, 2).contiguous()  # (N, 3, h, w)
    elif images.ndim == 3:
        images = images[:, None]  # (N, 1, h, w)
    if images.ndim != 4 or labels.ndim != 1 or len(images) != len(labels):
        raise DataError(f"{files[0]} and {files[1]} are no pictures with a label each.")
    if not len(labels):
        raise DataError(f"{files[0]} holds no picture.")
    targets = labels.long() - first_label
    for label in (int(targets.min()), int(targets.max())):
        if not 0 <= label < len(classes):
            wrong = label + first_label
            raise DataError(f"{files[1]} holds the label {wrong} of {len(classes)} classes.")
    return ArrayPictures(
        targets=targets,
        classes=classes,
        names=numbered(prefix, len(targets)),
        images=images,
    )


def numbered(prefix: str, count: int) -> tuple[str, ...]:
    """Names for pictures that have none: `mnist/train/00042`."""
    return tuple(f"{prefix}/{index:05}" for index in range(count))


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
        plain = io.BytesIO(content)
        is_zipped = content.startswith(b"\x1f\x8b")
        stream = gzip.GzipFile(fileobj=plain) if is_zipped else plain
        zeros, kind, dimensions = struct.unpack(">HBB", stream.read(4))
        shape = struct.unpack(f">{dimensions}I", stream.read(4 * dimensions))
        # No more is unpacked than there should be: a few kilobytes can hold gigabytes.
        values = stream.read(math.prod(shape) + 1)
    except (OSError, EOFError, OverflowError, zlib.error, struct.error) as error:
        raise DataError(f"No idx file, or a truncated one: {error}.") from error
    if zeros != 0 or kind != _UINT8:
        raise DataError("No idx file of bytes: its magic number is wrong.")
    if not math.prod(shape):
        raise DataError("An idx file of no values.")
    if len(values) != math.prod(shape):
        more = "more" if len(values) > math.prod(shape) else f"{len(values):,}"
        raise DataError(f"An idx file of {math.prod(shape):,} values holds {more}.")
    return torch.frombuffer(bytearray(values), dtype=torch.uint8).reshape(shape)
