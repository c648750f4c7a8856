"""Food-101 (Bossard et al. 2014)."""

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from zoo.data.pictures import FilePictures, Found
from zoo.data.sources.checks import check_files, checked_targets
from zoo.data.sources.remote import find_or_fetch
from zoo.downloads import Downloads
from zoo.errors import DataError
from zoo.files import disk_errors

_Lists = dict[str, list[str]]


def read(name: str, places: Sequence[Path], downloads: Downloads) -> Found:
    """The 75,750 training pictures, some labelled wrongly on purpose, and 25,250 test pictures.

    Raises:
        DataError: it is not here and can't be downloaded, or a file is bad.
    """
    holds = ("meta/train.json", "meta/test.json", "images")
    root = find_or_fetch(name, places, ("food-101", "."), holds, downloads)
    lists = {split: _lists(root / "meta" / f"{split}.json") for split in ("train", "test")}
    classes = tuple(sorted(lists["train"]))
    train, test = (_pictures(root, listed, classes) for listed in lists.values())
    return Found(train, test=test)


def _pictures(root: Path, lists: _Lists, classes: tuple[str, ...]) -> FilePictures:
    indices = {name: index for index, name in enumerate(classes)}
    pairs = [
        (f"images/{picture}.jpg", indices.get(name, -1))
        for name, pictures in lists.items()
        for picture in pictures
    ]
    names = tuple(name for name, _ in pairs)
    check_files(root, names)
    return FilePictures(
        targets=checked_targets([target for _, target in pairs], classes, root / "meta"),
        classes=classes,
        names=names,
        paths=tuple(root / name for name in names),
    )


def _lists(path: Path) -> _Lists:
    """The pictures of each class, such as `{"apple_pie": ["apple_pie/1005649"]}`."""
    with disk_errors("read", path):
        content = path.read_bytes()
    try:
        lists: _Lists = json.loads(content)
        listed = [picture for pictures in lists.values() for picture in pictures]
        is_plain = all(
            len(PurePosixPath(picture).parts) == 2 and ".." not in PurePosixPath(picture).parts
            for picture in listed
        )
    except (ValueError, AttributeError, TypeError) as error:
        raise DataError(f"{path} is damaged: {error}.") from error
    if not is_plain:
        raise DataError(f"{path} is no list of pictures as class/number.")
    return lists
