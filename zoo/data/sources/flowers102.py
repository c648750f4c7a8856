"""Oxford Flowers-102 (Nilsback and Zisserman 2008)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.data.pictures import FilePictures, Found
from zoo.data.sources.checks import check_files, checked_targets, distinct
from zoo.data.sources.remote import find_or_fetch
from zoo.downloads import Downloads
from zoo.errors import DataError

NUM_CLASSES = 102
_SPLITS = {"train": "trnid", "validation": "valid", "test": "tstid"}


def read(name: str, places: Sequence[Path], downloads: Downloads) -> Found:
    """The set's own training, validation and test splits: 1,020, 1,020 and 6,149 pictures.

    Raises:
        DataError: it is not here and can't be downloaded, or a file is bad.
    """
    holds = ("imagelabels.mat", "setid.mat", "jpg")
    root = find_or_fetch(name, places, ("flowers-102", "."), holds, downloads)
    labels = _values(root / "imagelabels.mat", "labels")
    parts = {
        split: _pictures(root, _values(root / "setid.mat", key), labels)
        for split, key in _SPLITS.items()
    }
    return Found(parts["train"], parts["validation"], parts["test"])


def _pictures(root: Path, numbers: list[int], labels: list[int]) -> FilePictures:
    if not all(1 <= number <= len(labels) for number in numbers):
        raise DataError(f"{root / 'setid.mat'} names pictures that imagelabels.mat does not.")
    classes = _classes()
    chosen = [labels[number - 1] - 1 for number in numbers]
    names = tuple(f"jpg/image_{number:05}.jpg" for number in numbers)
    check_files(root, names)
    return FilePictures(
        targets=checked_targets(chosen, classes, root / "imagelabels.mat"),
        classes=classes,
        names=names,
        paths=tuple(root / name for name in names),
    )


def _classes() -> tuple[str, ...]:
    """Torchvision's names, in the order of the labels."""
    from torchvision.datasets import Flowers102

    names = getattr(Flowers102, "classes", None)
    numbers = [str(number) for number in range(1, NUM_CLASSES + 1)]
    return distinct(names or numbers, numbers)


def _values(path: Path, key: str) -> list[int]:
    from scipy.io import loadmat

    try:
        values: Any = loadmat(path)[key]
        return [int(value) for value in values.flatten()]
    # Whatever a damaged file does to scipy: ValueError, KeyError, zlib.error, NotImplementedError.
    except Exception as error:
        raise DataError(
            f"{path} is damaged: {error or type(error).__name__}.",
            hint="Remove it, then: zoo data fetch flowers102",
        ) from error
