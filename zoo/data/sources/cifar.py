"""CIFAR-10 and CIFAR-100 with its fine labels (Krizhevsky 2009)."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from zoo.data.pictures import ArrayPictures, Found
from zoo.data.sources.checks import checked_targets
from zoo.data.sources.idx import numbered
from zoo.data.sources.remote import find_or_fetch
from zoo.downloads import Downloads
from zoo.errors import DataError


def read(name: str, places: Sequence[Path], downloads: Downloads) -> Found:
    """`cifar10` or `cifar100`, from a place or downloaded.

    Raises:
        DataError: it is not here and can't be downloaded, or a file is not the original.
    """
    from torchvision import datasets

    kind = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    folder = kind.base_folder
    # The folder itself may be named too; torchvision wants the directory around it.
    holds = [f"{folder}/{file}" for file, _ in (*kind.train_list, *kind.test_list)]
    around = [place.parent if place.name == folder else place for place in places]
    root = find_or_fetch(name, around, (".",), holds, downloads)
    train, test = (_pictures(name, kind, root, train=train) for train in (True, False))
    return Found(train, test=test)


def _pictures(name: str, kind: Any, root: Path, *, train: bool) -> ArrayPictures:
    # The files are pickles, which could run anything. torchvision's constructor compares the MD5
    # of every batch, and _load_meta that of the class names, before either is unpickled (read in
    # its 0.29), so none but the original files are.
    try:
        with warnings.catch_warnings():
            # NumPy 2.4 deprecates how these pickles, made in 2009, spell their dtype.
            warnings.simplefilter("ignore")
            dataset = kind(str(root), train=train, download=False)
    except RuntimeError as error:
        folder = root / kind.base_folder
        raise DataError(
            f"{folder} does not hold the original files of {name}: their MD5 differs.",
            hint=f"Remove {folder}, then: zoo data fetch {name}",
        ) from error
    classes = tuple(dataset.classes)
    targets = checked_targets(dataset.targets, classes, root / kind.base_folder)
    images = torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous()  # (N, 3, 32, 32)
    split = "train" if train else "test"
    return ArrayPictures(targets, classes, numbered(f"{name}/{split}", len(targets)), images)
