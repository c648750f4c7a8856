"""What holds for the labels of every named set."""

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.errors import DataError
from zoo.files import disk_errors


def checked_targets(labels: Any, classes: Collection[str], where: object) -> Tensor:
    """Labels as class indices, (N,), int64.

    Args:
        labels: numbers from 0 up, in an array or a list.
        classes: as many as there may be.
        where: the set or the file, for the error.

    Raises:
        DataError: there are none, or one is no index of a class.
    """
    targets = torch.as_tensor(labels).long().flatten()
    if not len(targets):
        raise DataError(f"{where} holds no pictures.")
    for label in (int(targets.min()), int(targets.max())):
        if not 0 <= label < len(classes):
            raise DataError(f"{where} holds the label {label} of {len(classes)} classes.")
    return targets


def check_files(root: Path, names: Sequence[str]) -> None:
    """Refuses a list of files of which one is named twice or missing.

    Args:
        root: the directory that the names are relative to.
        names: such as `jpg/image_00001.jpg`.

    Raises:
        DataError: the first of them.
    """
    listed: dict[str, set[str]] = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        if folder not in listed:
            directory = root / folder
            with disk_errors("read", directory):
                listed[folder] = set(os.listdir(directory)) if directory.is_dir() else set()
        if file not in listed[folder]:
            raise DataError(f"{root / name} is missing.", hint=f"Remove {root} and fetch it again.")
    if len(set(names)) != len(names):
        raise DataError(f"A list below {root} names a picture twice.")


def distinct(names: Sequence[str], identifiers: Iterable[str]) -> tuple[str, ...]:
    """Class names with the identifier added to those that several classes share."""
    return tuple(
        f"{name} ({identifier})" if names.count(name) > 1 else name
        for name, identifier in zip(names, identifiers, strict=True)
    )
