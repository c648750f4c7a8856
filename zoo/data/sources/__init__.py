"""What pictures: one file a source."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.data.pictures import Found, Pictures, misaligned
from zoo.errors import DataError, UsageError
from zoo.places import search_path
from zoo.schema import Dataset
from zoo.values import MADE_HERE, OF_ONES_OWN, TORCHVISION

if TYPE_CHECKING:
    from zoo.downloads import Downloads


def read(dataset: Dataset, given: Path | None, downloads: "Downloads | None") -> Found:
    """The pictures that a recipe names.

    Args:
        dataset: the recipe's section.
        given: `--data`, the first place to look.
        downloads: fetches a named set that is nowhere on this machine; None fetches nothing.

    Raises:
        DataError: they are missing or bad, or a class is in one split only.
        UsageError: a directory is missing, or does not apply.
    """
    found = _read(dataset, given, downloads)
    train = _labels(found.train)
    for split, part in (("validation", found.validation), ("test", found.test)):
        problems = [] if part is None else misaligned(split, _labels(part), train)
        if problems:
            raise DataError(f"{dataset.source}: {'; '.join(problems)}.")
    return found


def _labels(pictures: Pictures) -> set[str]:
    return {pictures.classes[label] for label in set(pictures.targets.tolist())}


def _read(dataset: Dataset, given: Path | None, downloads: "Downloads | None") -> Found:
    from zoo.data.sources import digits, folder, idx, shapes, table

    if dataset.source in MADE_HERE:
        if given is not None or dataset.root is not None:
            raise UsageError(
                f"{dataset.source} comes with zoo: --data and dataset.root do not apply."
            )
        return digits.read() if dataset.source == "digits" else shapes.read(dataset)
    if dataset.source in OF_ONES_OWN:
        root = given or (Path(dataset.root).expanduser() if dataset.root else None)
        if root is None:
            raise UsageError(
                f"The source {dataset.source} needs to know where your pictures are.",
                hint="Name their directory with --data DIR, or as dataset.root in the recipe.",
            )
        reader = {"folder": folder.read, "csv": table.read, "idx": idx.read}[dataset.source]
        return reader(dataset, root)
    if given is not None and not given.exists():
        raise DataError(f"--data {given}: there is no such directory.")
    from zoo.data.sources import named
    from zoo.downloads import NO_DOWNLOADS

    if downloads is None:
        downloads = NO_DOWNLOADS
    name = dataset.source.removeprefix(TORCHVISION)
    if given is not None:
        # First there alone, so that it is said when the pictures come from elsewhere.
        offline = replace(downloads, offline=True, announce=lambda _line: None)
        with suppress(DataError):
            return named.read_named(dataset, [given / name, given], offline)
    found = named.read_named(dataset, search_path(name, given, dataset.root), downloads)
    if given is None:
        return found
    note = f"{given} does not hold {dataset.source}: the pictures come from another place"
    return replace(found, notes=(*found.notes, note))
