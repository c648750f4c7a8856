"""ImageNet's ILSVRC 2012 (Russakovsky et al. 2015), laid out as torchvision does."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import torch

from zoo.data.decode import SUFFIXES
from zoo.data.pictures import FilePictures, Found
from zoo.data.sources.checks import distinct
from zoo.downloads import Downloads
from zoo.errors import DataError
from zoo.files import disk_errors
from zoo.published import imagenet_classes

_WNID = re.compile(r"n\d{8}")
_LAYOUTS = (".", "ImageNet", "imagenet")
ADVICE = (
    "Register at https://image-net.org/download.php, unpack ILSVRC 2012 into DIR/train/WNID/ and "
    "DIR/val/WNID/ (torchvision.datasets.ImageNet unpacks the archives so), and pass --data DIR."
)


def read(name: str, places: Sequence[Path], downloads: Downloads) -> Found:  # noqa: ARG001
    """The training pictures, and the 50,000 of `val` as the validation split.

    The 1000 classes of ILSVRC 2012 have torchvision's names. Of others, which ImageNet-21k has too,
    it is the first synonym where `meta.bin` lies there, else WordNet's number.

    Raises:
        DataError: it is not here, for it can't be downloaded; or a file is bad.
    """
    for place in places:
        for root in (place / layout for layout in _LAYOUTS):
            wnids = _wnids(root / "train")
            if wnids:
                return _read(root, wnids)
    raise not_here(name, places)


def not_here(name: str, places: Sequence[Path] = ()) -> DataError:
    """The error of a set that nobody may pass on."""
    looked = "".join(f"\n  {place}" for place in places)
    where = f" Looked for train/n01440764/ and the like in:{looked}" if places else ""
    return DataError(
        f"{name} can't be downloaded without an account of your own.{where}", hint=ADVICE
    )


def _read(root: Path, wnids: list[str]) -> Found:
    classes = _classes(root / "meta.bin", wnids)
    validation_wnids = _wnids(root / "val")
    unknown = sorted(set(validation_wnids) - set(wnids))
    if unknown:
        raise DataError(f"{root / 'val'} holds {unknown[0]}, which {root / 'train'} does not.")
    train = _pictures(root, "train", wnids, classes)
    if not validation_wnids and (root / "val").is_dir() and any((root / "val").iterdir()):
        raise DataError(
            f"{root / 'val'} holds no directory for each class.",
            hint="Sort its pictures into directories named as in train.",
        )
    validation = _pictures(root, "val", wnids, classes) if validation_wnids else None
    return Found(train, validation)


def _wnids(directory: Path) -> list[str]:
    if not directory.is_dir():
        return []
    with disk_errors("read", directory), os.scandir(directory) as entries:
        return sorted(e.name for e in entries if _WNID.fullmatch(e.name) and e.is_dir())


def _pictures(root: Path, split: str, wnids: list[str], classes: tuple[str, ...]) -> FilePictures:
    names: list[str] = []
    targets: list[int] = []
    for target, wnid in enumerate(wnids):
        directory = root / split / wnid
        if directory.is_dir():
            with disk_errors("read", directory):
                files = sorted(os.listdir(directory))
            pictures = [file for file in files if os.path.splitext(file)[1].lower() in SUFFIXES]
            names += [f"{split}/{wnid}/{file}" for file in pictures]
            targets += [target] * len(pictures)
    if not names:
        raise DataError(f"{root / split} holds no pictures.", hint=ADVICE)
    return FilePictures(
        targets=torch.tensor(targets),
        classes=classes,
        names=tuple(names),
        paths=tuple(root / name for name in names),
    )


def _classes(path: Path, wnids: list[str]) -> tuple[str, ...]:
    """Readable names: those of the 1000 classes are the same with every set and with weights."""
    known = imagenet_classes()
    if known.keys() >= set(wnids):
        return tuple(known[wnid] for wnid in wnids)
    if not path.is_file():
        return tuple(wnids)
    try:
        synonyms = torch.load(path, weights_only=True)[0]
        names = [str(synonyms[wnid][0]) for wnid in wnids]
    # A hostile or damaged pickle ends in many ways, none of which runs it.
    except Exception as error:
        raise DataError(
            f"{path} does not name the classes: {(str(error).splitlines() or ['damaged'])[0]}",
            hint="Remove it: the classes are then WordNet's numbers.",
        ) from error
    return distinct(names, wnids)
