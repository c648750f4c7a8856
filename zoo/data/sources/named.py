"""The sets that have names: which file reads which, and what `zoo data fetch` takes."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from zoo.data.pictures import Found
from zoo.data.sources import (
    cifar,
    emnist,
    flowers102,
    food101,
    imagenet,
    mnist,
    stl10,
    svhn,
    torchvision_sets,
)
from zoo.data.sources.remote import SETS, Fetched, fetch_set, remote_files
from zoo.downloads import Downloads
from zoo.errors import UsageError, did_you_mean
from zoo.schema import Dataset
from zoo.values import SOURCES, TORCHVISION

__all__ = ["NAMED", "check_fetchable", "fetch_named", "read_named", "remote_files"]

_Reader = Callable[[str, Sequence[Path], Downloads], Found]

NAMED: dict[str, _Reader] = {
    "mnist": mnist.read,
    "fashion-mnist": mnist.read,
    "kmnist": mnist.read,
    "emnist": emnist.read,
    "cifar10": cifar.read,
    "cifar100": cifar.read,
    "svhn": svhn.read,
    "stl10": stl10.read,
    "flowers102": flowers102.read,
    "food101": food101.read,
    "imagenet": imagenet.read,
}
"""The reader of each set."""


def read_named(dataset: Dataset, places: Sequence[Path], downloads: Downloads) -> Found:
    """The pictures of a named set or of `torchvision/NAME`, from a place or downloaded.

    Args:
        dataset: the recipe's section.
        places: to look in, as `zoo.places.search_path` gives them.
        downloads: used where no place has the set; may be offline.

    Raises:
        UsageError: the source is no such set, or has no such split.
        DataError: the set is not here and can't be downloaded, or is bad.
    """
    name = _own_name(dataset.source)
    if name.startswith(TORCHVISION):
        return torchvision_sets.read(name.removeprefix(TORCHVISION), places, downloads)
    if name not in NAMED:
        raise UsageError(f"{name} is no named set. {did_you_mean(name, NAMED)}".rstrip())
    reader = partial(emnist.read, split=dataset.split) if name == "emnist" else NAMED[name]
    return reader(name, places, downloads)


def fetch_named(name: str, downloads: Downloads) -> Fetched:
    """Downloads a set into zoo's cache, or finds it complete there.

    Raises:
        UsageError: it is no set, or one that needs no download.
        DataError: offline, or it can't be downloaded.
        DiskError: the disk is full, or there is no permission.
    """
    own = check_fetchable(name)
    if own.startswith(TORCHVISION):
        return torchvision_sets.fetch(own.removeprefix(TORCHVISION), downloads)
    return fetch_set(own, downloads)


def check_fetchable(name: str) -> str:
    """The name of a set that can be downloaded, as zoo spells it.

    Raises:
        UsageError: it is no set, or one that needs no download.
        DataError: it can't be downloaded.
    """
    own = _own_name(name)
    if own == "imagenet":
        raise imagenet.not_here(own)
    if own in SOURCES and own not in SETS:
        made = own in ("digits", "shapes")
        why = "comes with zoo" if made else "is read from where --data or dataset.root says"
        raise UsageError(f"{own} needs no download: it {why}.")
    if not own.startswith(TORCHVISION):
        remote_files(own)
    return own


def _own_name(source: str) -> str:
    """`torchvision/CIFAR10` is `cifar10`; other classes keep their prefix."""
    if not source.startswith(TORCHVISION):
        return source
    name = torchvision_sets.class_name(source.removeprefix(TORCHVISION))
    return torchvision_sets.NAMED.get(name, f"{TORCHVISION}{name}")
