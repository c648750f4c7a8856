"""SVHN: digits of house numbers, cropped (Netzer et al. 2011)."""

from collections.abc import Sequence
from pathlib import Path

import torch

from zoo.data.pictures import ArrayPictures, Found
from zoo.data.sources.checks import checked_targets
from zoo.data.sources.idx import numbered
from zoo.data.sources.remote import find_or_fetch
from zoo.downloads import Downloads
from zoo.errors import DataError

CLASSES = tuple("0123456789")


def read(name: str, places: Sequence[Path], downloads: Downloads) -> Found:
    """The 73,257 training and 26,032 test pictures; the extra ones are left aside.

    Raises:
        DataError: it is not here and can't be downloaded, or a file is not the original.
    """
    holds = ("train_32x32.mat", "test_32x32.mat")
    root = find_or_fetch(name, places, (".", "SVHN"), holds, downloads)
    train, test = (_pictures(name, root, split) for split in ("train", "test"))
    return Found(train, test=test)


def _pictures(name: str, root: Path, split: str) -> ArrayPictures:
    from torchvision.datasets import SVHN

    path = root / f"{split}_32x32.mat"
    try:
        dataset = SVHN(str(root), split=split, download=False)
    except RuntimeError as error:
        raise DataError(
            f"{path} is not the original file: its MD5 differs.",
            hint=f"Remove it, then: zoo data fetch {name}",
        ) from error
    targets = checked_targets(dataset.labels, CLASSES, path)
    images = torch.from_numpy(dataset.data).contiguous()  # (N, 3, 32, 32)
    return ArrayPictures(targets, CLASSES, numbered(f"{name}/{split}", len(targets)), images)
