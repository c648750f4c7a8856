"""MNIST and the sets that come in its file format: Fashion-MNIST and Kuzushiji-MNIST."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.data.pictures import Found
from zoo.data.sources.idx import FILES, find_files, pictures_of
from zoo.data.sources.remote import fetch_or_explain
from zoo.downloads import Downloads


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


def read(name: str, places: Sequence[Path], downloads: Downloads) -> Found:
    """The set from the first place that holds all of its files, plain or gzipped.

    Where no place does, they are downloaded.

    Raises:
        DataError: it is not here and can't be downloaded, or a file is bad.
    """
    described = SETS[name]
    layouts = (".", f"{described.folder}/raw", "raw")
    # The sets share their files' names: a directory that is called as another set is that set.
    others = {
        word for other, kind in SETS.items() if other != name for word in (other, kind.folder)
    }
    files = find_files([place for place in places if place.name not in others], layouts, FILES)
    if files is None:
        package = f"On Debian: apt install {described.debian}. " if described.debian else ""
        looked_for = (f"{FILES['train'][0]} and its three companions, plain or .gz",)
        fetched = fetch_or_explain(name, places, looked_for, downloads, package)
        files = find_files([fetched], layouts, FILES)
    assert files is not None  # fetched files have the names looked for
    train, test = (
        pictures_of(f"{name}/{split}", files[split], described.classes) for split in FILES
    )
    return Found(train, test=test)
