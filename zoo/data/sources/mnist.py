"""MNIST and the sets that come in its file format: Fashion-MNIST and Kuzushiji-MNIST."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.data.pictures import ArrayPictures, Found
from zoo.data.sources.idx import read_idx
from zoo.data.sources.remote import fetch_or_explain
from zoo.downloads import Downloads
from zoo.errors import DataError


@dataclass(frozen=True)
class MnistLike:
    """A set of 60,000 + 10,000 pictures 1@28×28 of ten classes."""

    classes: tuple[str, ...]
    folder: str
    """What torchvision calls its directory."""
    debian: str | None = None
    """The Debian package that holds it."""


SETS = {
    "mnist": MnistLike(tuple("0123456789"), "MNIST"),
    # Xiao et al. 2017, Fashion-MNIST, table 2
    "fashion-mnist": MnistLike(
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
         "Bag", "Ankle boot"),
        "FashionMNIST",
        "dataset-fashion-mnist",
    ),
    # Clanuwat et al. 2018, Deep Learning for Classical Japanese Literature, section 3.1
    "kmnist": MnistLike(("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"), "KMNIST"),
}  # fmt: skip

IdxFiles = tuple[Path, Path]
"""Pictures and labels."""

_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def read(name: str, places: Sequence[Path], downloads: Downloads) -> Found:
    """The set from the first place that holds all of its files, plain or gzipped.

    Where no place does, they are downloaded.

    Raises:
        DataError: it is not here and can't be downloaded, or a file is bad.
    """
    described = SETS[name]
    layouts = (".", f"{described.folder}/raw", "raw")
    files = find_files(places, layouts, _FILES)
    if files is None:
        package = f"On Debian: apt install {described.debian}. " if described.debian else ""
        looked_for = (f"{_FILES['train'][0]} and its three companions, plain or .gz",)
        fetched = fetch_or_explain(name, places, looked_for, downloads, package)
        files = find_files([fetched], layouts, _FILES)
    assert files is not None  # fetched files have the names looked for
    train, test = (
        read_pictures(f"{name}/{split}", files[split], described.classes) for split in _FILES
    )
    return Found(train, test=test)


def find_files(
    places: Sequence[Path], layouts: Sequence[str], wanted: dict[str, tuple[str, str]]
) -> dict[str, IdxFiles] | None:
    """The idx files of each split in the first directory that holds them all, plain or gzipped."""
    for place in places:
        for layout in layouts:
            paths = {
                split: [_plain_or_gz(place / layout / name) for name in names]
                for split, names in wanted.items()
            }
            if all(None not in pair for pair in paths.values()):
                return {split: (pair[0], pair[1]) for split, pair in paths.items()}  # type: ignore[misc]
    return None


def read_pictures(
    prefix: str, files: IdxFiles, classes: tuple[str, ...], first_label: int = 0
) -> ArrayPictures:
    """The pictures of one split.

    Args:
        prefix: of the pictures' names.
        files: pictures and labels.
        classes: by label.
        first_label: what the files call the first class.

    Raises:
        DataError: a file is bad, or the two do not belong together.
    """
    images, labels = (read_idx(path) for path in files)
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise DataError(f"{files[0]} and {files[1]} are no pictures with a label each.")
    targets = labels.long() - first_label
    for label in (targets.min().item(), targets.max().item()) if len(targets) else ():
        if not 0 <= label < len(classes):
            wrong = int(label) + first_label
            raise DataError(f"{files[1]} holds the label {wrong} of {len(classes)} classes.")
    return ArrayPictures(
        images=images[:, None],  # (N, 1, 28, 28)
        targets=targets,
        classes=classes,
        names=numbered(prefix, len(targets)),
    )


def numbered(prefix: str, count: int) -> tuple[str, ...]:
    """Names for pictures that have none: `mnist/train/00042`."""
    return tuple(f"{prefix}/{index:05}" for index in range(count))


def _plain_or_gz(path: Path) -> Path | None:
    for candidate in (path, path.with_name(f"{path.name}.gz")):
        if candidate.is_file():
            return candidate
    return None
