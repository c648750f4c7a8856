"""`torchvision/NAME`: torchvision's other classification sets, read by its own classes."""

import contextlib
import inspect
import io
import os
import secrets
import shutil
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from zoo.data.pictures import DatasetPictures, FilePictures, Found, Pictures
from zoo.data.sources import torchvision_attributes as attributes
from zoo.data.sources.checks import checked_targets
from zoo.data.sources.idx import numbered
from zoo.data.sources.remote import Fetched
from zoo.downloads import Downloads
from zoo.errors import DataError, UsageError, ZooError, closest
from zoo.files import disk_errors
from zoo.places import cache_directory


@dataclass(frozen=True)
class _Kind:
    """How one of torchvision's classes splits its set."""

    splits: tuple[str | None, ...] = (None,)
    """Its names for training, validation and test; None where it lacks one. One None alone is a
    set that is not split."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What else the constructor is given."""
    folder: str | None = None
    """Must be there already: the constructor would make it."""


_THREE = _Kind(("train", "val", "test"))
_TWO = _Kind(("train", None, "test"))

SETS: dict[str, _Kind] = {
    "Caltech101": _Kind(folder="caltech101"),
    "Caltech256": _Kind(folder="caltech256"),
    "CLEVRClassification": _Kind(("train", "val", None)),  # its test pictures have no labels
    "Country211": _Kind(("train", "valid", "test")),
    "DTD": _THREE,
    "EuroSAT": _Kind(),
    "FER2013": _TWO,
    "FGVCAircraft": _THREE,
    "GTSRB": _TWO,
    "Imagenette": _Kind(("train", "val", None)),
    # Its train and test are different people, so only the whole can be classified.
    "LFWPeople": _Kind(arguments={"split": "10fold"}),
    "Omniglot": _Kind(),  # likewise: the evaluation set has other characters
    "OxfordIIITPet": _Kind(("trainval", None, "test")),
    "PCAM": _THREE,
    "Places365": _Kind(("train-standard", "val", None), {"small": True}),
    "QMNIST": _TWO,
    "RenderedSST2": _THREE,
    "SEMEION": _Kind(),
    "StanfordCars": _TWO,
    "SUN397": _Kind(),
    "USPS": _TWO,
}
"""Every class of torchvision that reads a classification set of pictures."""

NAMED = {
    "MNIST": "mnist", "FashionMNIST": "fashion-mnist", "KMNIST": "kmnist", "EMNIST": "emnist",
    "CIFAR10": "cifar10", "CIFAR100": "cifar100", "SVHN": "svhn", "STL10": "stl10",
    "Flowers102": "flowers102", "Food101": "food101", "ImageNet": "imagenet",
}  # fmt: skip
"""Classes whose sets are sources of their own."""


def class_name(name: str) -> str:
    """The class that a name means, whatever its case.

    Raises:
        UsageError: it is no classification set of torchvision.
    """
    if name.lower() in ("imagefolder", "datasetfolder"):
        raise UsageError(f"torchvision/{name} is zoo's source folder.", hint="source: folder")
    known = {known.lower(): known for known in (*SETS, *NAMED)}
    found = known.get(name.lower())
    if found is None:
        match = closest(name.lower(), known)
        suggestion = f" Did you mean torchvision/{known[match]}?" if match else ""
        raise UsageError(
            f"torchvision/{name} is no set of labelled pictures.{suggestion}",
            hint=f"torchvision/NAME takes {', '.join(sorted(SETS))}.",
        )
    return found


def read(name: str, places: Sequence[Path], downloads: Downloads) -> Found:
    """A set from the first place that torchvision's class can read, or else downloaded by it.

    Args:
        name: of the class, such as `DTD`.
        places: directories to give the class as its root.
        downloads: used where no place has it.

    Raises:
        UsageError: it is no classification set of torchvision.
        DataError: it is not here and can't be downloaded, or its labels are bad.
    """
    name = class_name(name)
    places = [*places, _cached(name)]
    found = _search(name, places)
    if found is None:
        if downloads.offline:
            raise _absent(name, places)
        fetched = fetch(name, downloads).path
        found = _search(name, [fetched])
    if found is None:
        raise DataError(
            f"torchvision can't read what it downloaded to {fetched}.",
            hint=f"Remove {fetched}, then: zoo data fetch torchvision/{name}",
        )
    root, datasets = found
    return _found(name, root, datasets)


def fetch(name: str, downloads: Downloads) -> Fetched:
    """Has torchvision download a set into zoo's cache, whole or not at all.

    Raises:
        UsageError: it is no classification set of torchvision.
        DataError: offline, or it can't be downloaded.
    """
    name = class_name(name)
    source = f"torchvision/{name}"
    root = _cached(name)
    if _search(name, [root]) is not None:
        return Fetched(source, root, _listed(root), 0)
    if downloads.offline:
        raise _absent(name, [root])
    kind = _constructor(name)
    if "download" not in inspect.signature(kind).parameters:
        raise DataError(
            f"torchvision can't download {name}.",
            hint=f"Lay it out as torchvision.datasets.{name} wants it and pass --data DIR.",
        )
    hosts = " and ".join(_hosts(kind)) or "where its authors keep it"
    downloads.announce(f"torchvision downloads {name} (size unknown) from {hosts} to {root}")
    with disk_errors("write", root):
        root.parent.mkdir(parents=True, exist_ok=True)
        temporary = root.with_name(f".zoo-{secrets.token_hex(8)}.tmp")
        temporary.mkdir()
    try:
        _datasets(name, temporary, download=True)
        size = sum(path.stat().st_size for path in temporary.rglob("*") if path.is_file())
        with disk_errors("write", root):
            if root.is_dir():  # it holds nothing that torchvision can read
                shutil.rmtree(root)
            temporary.rename(root)
    except ZooError:
        raise
    # torchvision, its sets' readers and what they call have no error in common.
    except Exception as error:
        raise DataError(
            f"torchvision could not download {name}: {error or type(error).__name__}",
            hint=f"Lay it out as torchvision.datasets.{name} wants it and pass --data DIR.",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Fetched(source, root, _listed(root), size)


def _cached(name: str) -> Path:
    return cache_directory() / "data" / "torchvision" / name


def _absent(name: str, places: Sequence[Path]) -> DataError:
    looked = "\n".join(f"  {place}" for place in places)
    return DataError(
        f"torchvision/{name} is not on this machine, and zoo is offline. "
        f"torchvision.datasets.{name} finds it in none of:\n{looked}",
        hint=f"Run `zoo data fetch torchvision/{name}` online, and copy "
        f"{_cached(name)} from there.",
    )


def _search(name: str, places: Sequence[Path]) -> tuple[Path, list[Any]] | None:
    folder = SETS[name].folder
    for place in places:
        if not place.is_dir() or (folder is not None and not (place / folder).is_dir()):
            continue
        # How a class says that its set is not there differs from class to class.
        with contextlib.suppress(Exception):
            return place, _datasets(name, place, download=False)
    return None


def _datasets(name: str, root: Path, *, download: bool) -> list[Any]:
    """The class's training, validation and test sets; None where it lacks one."""
    kind, constructor = SETS[name], _constructor(name)
    parameters = inspect.signature(constructor).parameters
    arguments = dict(kind.arguments)
    if "download" in parameters:
        arguments["download"] = download  # some classes download unless told otherwise
    datasets: list[Any] = []
    silence = io.StringIO()
    with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
        for index, split in enumerate(kind.splits):
            if split is None:
                datasets.append(None if index else constructor(str(root), **arguments))
            elif "train" in parameters:
                datasets.append(constructor(str(root), train=split == "train", **arguments))
            else:
                datasets.append(constructor(str(root), split=split, **arguments))
    return datasets


def _constructor(name: str) -> Any:
    from torchvision import datasets

    if not hasattr(datasets, name):
        raise UsageError(f"This version of torchvision has no {name}.")
    return getattr(datasets, name)


def _hosts(kind: Any) -> list[str]:
    """Where a class downloads from, as far as its attributes tell."""
    urls = [value for value in vars(kind).values() if isinstance(value, str)]
    hosts = [urllib.parse.urlsplit(url).netloc for url in urls if url.startswith("http")]
    return sorted(set(hosts))


def _listed(root: Path) -> tuple[str, ...]:
    return tuple(sorted(os.listdir(root)))


def _found(name: str, root: Path, datasets: list[Any]) -> Found:
    labels = [attributes.labels(dataset) if dataset is not None else None for dataset in datasets]
    # Pictures without labels, as in one of FER2013's two layouts, can't be tested on.
    labels = [None if values is None or None in values else values for values in labels]
    if labels[0] is None:
        raise DataError(f"The training pictures of torchvision/{name} have no labels.")
    stated = attributes.classes(datasets[0])
    if stated is None:  # the numbers are all there is
        used = sorted({int(label) for values in labels if values for label in values})
        indices = {label: index for index, label in enumerate(used)}
        labels = [values and [indices[int(label)] for label in values] for values in labels]
        stated = tuple(str(label) for label in used)
    names = ("train", "validation", "test")[: len(datasets)]
    parts = {
        split: _pictures(f"torchvision/{name}/{split}", root, dataset, values, stated)
        for split, dataset, values in zip(names, datasets, labels, strict=True)
        if values is not None
    }
    return Found(parts["train"], parts.get("validation"), parts.get("test"))


def _pictures(
    prefix: str, root: Path, dataset: Any, labels: list[Any], classes: tuple[str, ...]
) -> Pictures:
    targets = checked_targets(labels, classes, prefix)
    paths = attributes.paths(dataset)
    if paths is None or len(paths) != len(targets):
        if len(dataset) != len(targets):
            raise DataError(f"{prefix} has {len(dataset)} pictures and {len(targets)} labels.")
        positions = tuple(range(len(targets)))
        return DatasetPictures(targets, classes, numbered(prefix, len(targets)), dataset, positions)
    names = [Path(os.path.relpath(path, root)).as_posix() for path in paths]
    # Some classes list a directory in whatever order the disk gives.
    order = sorted(range(len(names)), key=names.__getitem__)
    return FilePictures(
        targets=targets[torch.tensor(order)],
        classes=classes,
        names=tuple(names[index] for index in order),
        paths=tuple(paths[index] for index in order),
    )
