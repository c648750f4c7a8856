"""MNIST and the sets that come in its file format: Fashion-MNIST and Kuzushiji-MNIST."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.data.sources import Found, Pictures
from zoo.data.sources.idx import read_idx
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

_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def read(name: str, places: Sequence[Path]) -> Found:
    """The set from the first place that holds all of its files, plain or gzipped.

    Raises:
        DataError: no place holds it, or a file is bad.
    """
    described = SETS[name]
    for place in places:
        for directory in (place, place / described.folder / "raw", place / "raw"):
            files = _files(directory)
            if files is not None:
                train, test = (_pictures(name, split, files[split]) for split in _FILES)
                return Found(train, test)
    looked = "\n".join(f"  {place}" for place in places)
    package = f"On Debian: apt install {described.debian}. Or put" if described.debian else "Put"
    raise DataError(
        f"{name} is not on this machine. Looked for {_FILES['train'][0]} and its three "
        f"companions, plain or .gz, in:\n{looked}",
        hint=f"{package} the files into one of these, or name their directory with --data.",
    )


def _files(directory: Path) -> dict[str, tuple[Path, Path]] | None:
    found: dict[str, tuple[Path, Path]] = {}
    for split, names in _FILES.items():
        paths = [_plain_or_gz(directory / name) for name in names]
        if None in paths:
            return None
        found[split] = (paths[0], paths[1])  # type: ignore[assignment]
    return found


def _plain_or_gz(path: Path) -> Path | None:
    for candidate in (path, path.with_name(f"{path.name}.gz")):
        if candidate.is_file():
            return candidate
    return None


def _pictures(name: str, split: str, files: tuple[Path, Path]) -> Pictures:
    images, targets = (read_idx(path) for path in files)
    classes = SETS[name].classes
    if images.ndim != 3 or targets.ndim != 1 or len(images) != len(targets):
        raise DataError(f"{files[0]} and {files[1]} are no pictures with a label each.")
    if len(targets) and int(targets.max()) >= len(classes):
        raise DataError(f"{files[1]} holds the label {int(targets.max())} of {len(classes)}.")
    return Pictures(
        images=images[:, None],  # (N, 1, 28, 28)
        targets=targets.long(),
        classes=classes,
        names=tuple(f"{name}/{split}/{index:05}" for index in range(len(targets))),
    )
