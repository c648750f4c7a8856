"""EMNIST: handwritten digits and letters (Cohen et al. 2017), in six splits."""

import string
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from zoo.data.pictures import ArrayPictures, Found
from zoo.data.sources.idx import find_files, pictures_of
from zoo.data.sources.remote import fetch_or_explain
from zoo.downloads import Downloads
from zoo.errors import DataError, UsageError, did_you_mean

_LETTERS = (*string.digits, *string.ascii_uppercase, *string.ascii_lowercase)
# Lower-case letters that look like their capitals share the capitals' classes (section II-C).
_MERGED = tuple(letter for letter in _LETTERS if letter not in "cijklmopsuvwxyz")

CLASSES = {
    "balanced": _MERGED,
    "byclass": _LETTERS,
    "bymerge": _MERGED,
    "digits": tuple(string.digits),
    "letters": tuple(string.ascii_lowercase),
    "mnist": tuple(string.digits),
}
_LAYOUTS = (".", "gzip", "EMNIST/raw", "raw", "EMNIST/raw/gzip")


def read(
    name: str, places: Sequence[Path], downloads: Downloads, split: str | None = None
) -> Found:
    """One of EMNIST's splits; balanced unless another is named.

    Raises:
        UsageError: EMNIST has no such split.
        DataError: it is not here and can't be downloaded, or a file is bad.
    """
    split = split or "balanced"
    if split not in CLASSES:
        raise UsageError(
            f"EMNIST has no split {split}. {did_you_mean(split, CLASSES)}".rstrip(),
            hint=f"dataset.split is one of {', '.join(CLASSES)}.",
        )
    wanted = {part: _names(split, part) for part in ("train", "test")}
    files = find_files(places, _LAYOUTS, wanted)
    if files is None:
        looked_for = (f"{wanted['train'][0]} and its three companions, plain or .gz",)
        fetched = fetch_or_explain(name, places, looked_for, downloads)
        files = find_files([fetched], _LAYOUTS, wanted)
    if files is None:
        raise DataError(
            f"{fetched} lacks {wanted['train'][0]}.",
            hint=f"Remove {fetched}, then: zoo data fetch {name}",
        )
    # `letters` counts from 1.
    first = 1 if split == "letters" else 0
    train, test = (
        _upright(pictures_of(f"{name}/{split}/{part}", files[part], CLASSES[split], first))
        for part in wanted
    )
    return Found(train, test=test)


def _names(split: str, part: str) -> tuple[str, str]:
    prefix = f"emnist-{split}-{part}"
    return f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"


def _upright(pictures: ArrayPictures) -> ArrayPictures:
    # The files hold each picture column by column, as MATLAB does.
    return replace(pictures, images=pictures.images.transpose(2, 3).contiguous())
