"""STL-10 (Coates et al. 2011): its labelled pictures."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from zoo.data.pictures import ArrayPictures, Found
from zoo.data.sources.checks import checked_targets
from zoo.data.sources.idx import numbered
from zoo.data.sources.remote import find_or_fetch
from zoo.downloads import Downloads
from zoo.errors import DataError
from zoo.files import disk_errors

CLASSES = (
    "airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck",
)  # fmt: skip
_SIDE = 96


def read(name: str, places: Sequence[Path], downloads: Downloads) -> Found:
    """The 5,000 training and 8,000 test pictures; the 100,000 without labels are left aside.

    Read here rather than by torchvision, which hashes the 2.8 GB without labels first.

    Raises:
        DataError: it is not here and can't be downloaded, or a file is bad.
    """
    holds = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin")
    root = find_or_fetch(name, places, ("stl10_binary", "."), holds, downloads)
    train, test = (_pictures(name, root, split) for split in ("train", "test"))
    return Found(train, test=test)


def _pictures(name: str, root: Path, split: str) -> ArrayPictures:
    pixels, labels = _bytes(root / f"{split}_X.bin"), _bytes(root / f"{split}_y.bin")
    if pixels.numel() != labels.numel() * 3 * _SIDE * _SIDE:
        raise DataError(
            f"{root / f'{split}_X.bin'} does not hold a picture of 3×{_SIDE}×{_SIDE} for each of "
            f"the {labels.numel():,} labels in {split}_y.bin.",
            hint=f"Remove {root}, then: zoo data fetch {name}",
        )
    targets = checked_targets(labels.long() - 1, CLASSES, root / f"{split}_y.bin")
    # The files hold each channel column by column.
    images = pixels.reshape(-1, 3, _SIDE, _SIDE).transpose(2, 3).contiguous()
    return ArrayPictures(targets, CLASSES, numbered(f"{name}/{split}", len(targets)), images)


def _bytes(path: Path) -> Tensor:
    with disk_errors("read", path):
        content = path.read_bytes()
    return torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.empty(0)
