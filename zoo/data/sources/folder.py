"""A directory of pictures: `root/{train,val,test}/<class>/…`, or `root/<class>/…`."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from zoo.data.decode import SUFFIXES
from zoo.data.pictures import FilePictures, Found, as_text, misaligned
from zoo.errors import DataError
from zoo.files import disk_errors
from zoo.schema import Dataset

NAME_IT = "Name the pictures' directory with --data DIR."

_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class _Listing:
    """What lies below one split's directory."""

    files: dict[str, list[Path]]
    """For each class its pictures, sorted."""
    ignored: Counter[str]
    """Suffixes of the files that are no pictures."""


def read(_dataset: Dataset, root: Path) -> Found:
    """The pictures of a directory, none of them opened yet.

    A picture at any depth below a class belongs to it. Files without a picture's suffix, and
    hidden ones, are ignored and counted.

    Raises:
        DataError: there is no such directory or no class in it, a class is empty, or one is
            missing from or surplus in a split.
    """
    if not root.is_dir():
        raise DataError(f"There is no directory {root}.", hint=NAME_IT)
    directories = _subdirectories(root)
    splits = _splits(root, directories)
    if splits:
        listings = {name: _listing(path) for name, path in splits.items()}
    else:
        listings = {"train": _listing(root)}
    _check_classes(root, listings, splits.get("train", root))
    classes = tuple(sorted(listings["train"].files))
    parts = {name: _pictures(root, listing, classes) for name, listing in listings.items()}
    ignored = sum((listing.ignored for listing in listings.values()), Counter[str]())
    notes = []
    if ignored:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(ignored.items()))
        notes.append(f"ignored what is no picture below {root}: {kinds}")
    return Found(parts["train"], parts.get("validation"), parts.get("test"), notes=tuple(notes))


def _splits(root: Path, directories: list[Path]) -> dict[str, Path]:
    """The directories of splits, if these are what the root holds."""
    found: dict[str, Path] = {}
    for directory in directories:
        name = _SPLITS.get(directory.name.lower())
        if name is None:
            continue
        if name in found:
            raise DataError(
                f"{root} holds {found[name].name} and {directory.name}: both mean {name}.",
                hint="Leave one of them.",
            )
        found[name] = directory
    others = [directory.name for directory in directories if directory not in found.values()]
    if found and "train" not in found:
        raise DataError(
            f"{root} has no training split: it holds {', '.join(sorted(found))} but no train.",
            hint=f"Put a directory per class into {root / 'train'}.",
        )
    if found and others:
        raise DataError(
            f"{root} holds splits ({', '.join(path.name for path in found.values())}) and also "
            f"{', '.join(others[:5])}: it is not clear which are classes.",
            hint="Keep only the splits there, or only one directory per class.",
        )
    return found


def _listing(directory: Path) -> _Listing:
    files: dict[str, list[Path]] = {}
    ignored: Counter[str] = Counter()
    for child in _subdirectories(directory):
        files[child.name] = []
        for path in walk(child):
            if is_picture(path):
                files[child.name].append(path)
            else:
                ignored[_kind(path)] += 1
    with disk_errors("read", directory):
        for path in directory.iterdir():
            if not path.is_dir():
                ignored[_kind(path)] += 1
    return _Listing({name: sorted(paths) for name, paths in files.items()}, ignored)


def _check_classes(root: Path, listings: dict[str, _Listing], directory: Path) -> None:
    """Refuses classes that nothing can be learned of; `directory` holds those of training."""
    train = listings["train"].files
    if not train:
        raise DataError(
            f"{root} holds no class: a directory for each class is expected, with its pictures.",
            hint=f"Such as {root}/cats/1.jpg and {root}/dogs/1.jpg.",
        )
    problems = []
    for split, listing in listings.items():
        empty = sorted(name for name, paths in listing.files.items() if not paths)
        problems += [f"the class {name} is empty in {split}" for name in empty]
        if split != "train":
            problems += misaligned(split, listing.files, train)
    if problems:
        raise DataError(
            f"{root}: {'; '.join(problems)}.",
            hint="Each class needs pictures for training, and every split the same classes.",
        )
    if len(train) < 2:
        name = next(iter(train))
        raise DataError(
            f"{root} holds one class only, {name}: there is nothing to tell apart.",
            hint=f"Put a directory for each class beside {directory / name}.",
        )


def _pictures(root: Path, listing: _Listing, classes: tuple[str, ...]) -> FilePictures:
    paths = [path for name in classes for path in listing.files[name]]
    targets = [index for index, name in enumerate(classes) for _ in listing.files[name]]
    return FilePictures(
        targets=torch.tensor(targets, dtype=torch.int64),
        classes=tuple(as_text(name) for name in classes),
        names=tuple(as_text(path.relative_to(root).as_posix()) for path in paths),
        paths=tuple(paths),
    )


def _subdirectories(directory: Path) -> list[Path]:
    with disk_errors("read", directory):
        return sorted(
            path
            for path in directory.iterdir()
            if path.is_dir() and not path.name.startswith((".", "__MACOSX"))
        )


def is_picture(path: Path) -> bool:
    """Whether a file has a picture's suffix and is not hidden."""
    is_called_so = path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    # A pipe would never end; a link to nothing is a picture that can't be read.
    return is_called_so and (path.is_file() or not path.exists())


def walk(directory: Path) -> Iterator[Path]:
    """Every file below a directory; links to directories are followed, but never in circles."""
    seen: set[tuple[int, int]] = set()

    def visit(folder: Path) -> Iterator[Path]:
        with disk_errors("read", folder):
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            if entry.is_dir():
                # A link to a folder around this one would bring in the other classes.
                leads_out = entry.is_symlink() and folder.resolve().is_relative_to(
                    Path(entry.path).resolve()
                )
                if not entry.name.startswith(".") and not leads_out:
                    yield from visit(Path(entry.path))
            else:
                yield Path(entry.path)

    yield from visit(directory)


def _kind(path: Path) -> str:
    return "hidden" if path.name.startswith(".") else path.suffix.lower() or "without suffix"
