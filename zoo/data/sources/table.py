"""Pictures listed in CSV tables: a path and a label in each row."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import torch

from zoo.data.pictures import FilePictures, Found, as_text, misaligned
from zoo.data.sources.folder import NAME_IT
from zoo.errors import DataError, did_you_mean
from zoo.files import disk_errors
from zoo.schema import Dataset

_SHOWN = 20  # problems that a message names


def read(dataset: Dataset, root: Path) -> Found:
    """The pictures of train.csv and, where there are, validation.csv and test.csv.

    Paths are below the table's directory, or absolute. Classes are the labels of the training
    table, sorted.

    Args:
        dataset: file and column names.
        root: the directory of the tables, or the training table itself.

    Raises:
        DataError: there is no such directory, a table is missing or wrong, a picture is not
            there, or the classes differ.
    """
    train_file = dataset.train_file or "train.csv"
    if root.is_file():
        root, train_file = root.parent, root.name
    if not root.is_dir():
        raise DataError(f"There is no directory {root}.", hint=NAME_IT)
    tables = {"train": _rows(root / train_file, dataset)}
    for split, given, usual in (
        ("validation", dataset.validation_file, "validation.csv"),
        ("test", dataset.test_file, "test.csv"),
    ):
        path = root / (given or usual)
        if given or path.is_file():
            tables[split] = _rows(path, dataset)
    classes = tuple(sorted({label for _, label in tables["train"]}))
    for split, rows in tables.items():
        _check_classes(split, {label for _, label in rows}, classes)
    parts = {split: _pictures(root, rows, classes) for split, rows in tables.items()}
    return Found(parts["train"], parts.get("validation"), parts.get("test"))


def _rows(path: Path, dataset: Dataset) -> list[tuple[Path, str]]:
    if not path.is_file():
        raise DataError(
            f"There is no table {path}.",
            hint=f"It has the columns {dataset.path_column} and {dataset.label_column}.",
        )
    rows: list[tuple[Path, str]] = []
    problems: list[str] = []
    with disk_errors("read", path), path.open(encoding="utf-8-sig", newline="") as file:
        try:
            for line, name, label in _cells(path, file, dataset):
                picture = path.parent / name
                if not name or not label:
                    problems.append(f"{path}:{line}: a path or a label is missing")
                elif not picture.is_file():
                    problems.append(f"{path}:{line}: there is no file {picture}")
                else:
                    rows.append((picture, label))
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{path} is no CSV table in UTF-8: {error}.") from error
    if problems:
        rest = f"\n… and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise DataError("\n".join(problems[:_SHOWN]) + rest)
    if not rows:
        raise DataError(f"{path} lists no pictures.")
    return rows


def _cells(path: Path, file: TextIO, dataset: Dataset) -> Iterator[tuple[int, str, str]]:
    """Line, path and label of each row; what is missing is empty."""
    reader = csv.DictReader(file, strict=True)
    columns = list(reader.fieldnames or [])
    for name in (dataset.path_column, dataset.label_column):
        if name not in columns:
            has = ", ".join(columns) or "none"
            raise DataError(
                f"{path}:1: there is no column {name}; it has {has}.",
                hint=did_you_mean(name, columns)
                or "Name them with --set dataset.path_column=… and dataset.label_column=…",
            )
    for row in reader:
        cells = (row[dataset.path_column], row[dataset.label_column])
        name, label = ((cell or "").strip() for cell in cells)
        yield reader.line_num, name, label


def _check_classes(split: str, labels: set[str], classes: tuple[str, ...]) -> None:
    problems = misaligned(split, labels, classes)
    if problems:
        raise DataError(
            f"{'; '.join(problems)}.", hint="Every table needs pictures of the same classes."
        )
    if len(classes) < 2:
        raise DataError(
            f"The tables name one class only, {classes[0]}: there is nothing to tell apart.",
            hint="Two classes are the least.",
        )


def _pictures(root: Path, rows: list[tuple[Path, str]], classes: tuple[str, ...]) -> FilePictures:
    index = {name: number for number, name in enumerate(classes)}
    return FilePictures(
        targets=torch.tensor([index[label] for _, label in rows], dtype=torch.int64),
        classes=classes,
        names=tuple(
            as_text((path.relative_to(root) if path.is_relative_to(root) else path).as_posix())
            for path, _ in rows
        ),
        paths=tuple(path for path, _ in rows),
    )
