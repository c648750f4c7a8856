"""From a recipe to batches: `sources`, `gather` (decode and fit), `split`, `augment`, `loader`."""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.data import sources
from zoo.data.fit import mean_and_std
from zoo.data.fitted import Fitted
from zoo.data.gathering import Bad, Gathered, Progress, Settings, gather, refused
from zoo.data.pictures import Found
from zoo.data.split import SPLITS, Split, draw, restrict
from zoo.errors import DataError, RecipeError, UsageError
from zoo.schema import Dataset, Preprocess, Preprocessing

if TYPE_CHECKING:
    from zoo.downloads import Downloads

__all__ = ["Access", "Data", "Fitted", "open_data"]

_VALIDATION = 0.1
_TEST = 0.2
_MEASURED_AT_ONCE = 512


@dataclass(frozen=True)
class Access:
    """How pictures are reached on this machine."""

    given: Path | None = None
    """`--data`, the first place to look."""
    downloads: "Downloads | None" = None
    """Fetches a named set that is nowhere here; None fetches nothing."""
    progress: Progress = lambda _done, _total: None
    """Follows the decoding."""
    recorded: Mapping[str, str] | None = None
    """An earlier split, by content hash."""
    must_match: bool = False
    """Whether none of the pictures being in the earlier split is an error."""


@dataclass(frozen=True)
class Data:
    """A dataset, split, its pictures fitted to a network's input."""

    classes: tuple[str, ...]
    parts: dict[str, Fitted]
    """`train`, `validation` and `test`; an empty one where there is none."""
    split_csv: str | None
    """The text of a run's `split.csv`: the pictures that zoo split itself; None where none."""
    preprocessing: Preprocessing
    """With mean and std measured, where the recipe says so."""
    digest: Callable[[], str]
    """SHA-256 over which pictures, by name and content, are in which split under which label."""
    notes: tuple[str, ...] = ()
    """What the user should know."""
    bad: tuple[Bad, ...] = ()
    """Pictures that were left out, for they can't be read."""

    @property
    def counts(self) -> dict[str, int]:
        """Pictures per split."""
        return {name: len(pictures) for name, pictures in self.parts.items()}

    def in_order_of(self, classes: tuple[str, ...]) -> "Data":
        """With the same classes in a model's order, mapped by name; as it is where they differ."""
        if classes == self.classes or sorted(classes) != sorted(self.classes):
            return self
        note = "the classes stand in another order than the model's: they are mapped by name"
        parts = {name: pictures.in_order_of(classes) for name, pictures in self.parts.items()}
        return replace(self, classes=classes, parts=parts, notes=(*self.notes, note))


def open_data(
    dataset: Dataset,
    preprocessing: Preprocessing,
    access: Access | None = None,
    *,
    measure: Preprocess | None = None,
    needs_train: bool = True,
) -> Data:
    """Reads, checks, splits and fits a dataset.

    Args:
        dataset: the recipe's section.
        preprocessing: of the network.
        access: how the pictures are reached.
        measure: a recipe's wishes: where mean or std is `auto`, the training split decides them.
        needs_train: false leaves a large training split unread where nothing is drawn from it.

    Raises:
        DataError: pictures are missing or bad, or a split would be empty.
        RecipeError, UsageError: an option does not apply to this source.
    """
    access = access or Access()
    found = sources.read(dataset, access.given, access.downloads)
    check_applies(dataset, found)
    settings = Settings(dataset.in_memory, dataset.workers, access.progress)
    train = found.train
    draws = any(_shares(dataset, found).values()) or access.recorded
    if not needs_train and not draws:
        train = train.at([])
    gathered = {
        name: gather(pictures, preprocessing, settings)
        for name, pictures in (
            ("train", train),
            ("validation", found.validation),
            ("test", found.test),
        )
        if pictures is not None
    }
    bad = tuple(one for part in gathered.values() for one in part.bad)
    if bad and dataset.on_bad == "error":
        raise refused(bad, len(bad) + sum(len(part.fitted) for part in gathered.values()))
    parts, split_csv = _split(dataset, found, gathered, access)
    if len(train):
        check_classes(parts["train"].targets, found.train.classes)
    preprocessing = _measured(preprocessing, measure, parts["train"])
    notes = [*found.notes, *_changed(split_csv, access)]
    if bad:
        names = ", ".join(one.path for one in bad[:5]) + (", …" if len(bad) > 5 else "")
        are = "picture can't be read and is" if len(bad) == 1 else "pictures can't be read and are"
        notes.append(f"{len(bad):,} {are} left out: {names}")
    return Data(
        classes=found.train.classes,
        parts=parts,
        split_csv=split_csv,
        preprocessing=preprocessing,
        digest=lambda: _digest(gathered, split_csv),
        notes=tuple(notes),
        bad=bad,
    )


def check_applies(dataset: Dataset, found: Found) -> None:
    """Refuses shares of what the source has split itself.

    Raises:
        RecipeError: dataset.validation or dataset.test does not apply.
    """
    for name, own in (("validation", found.validation), ("test", found.test)):
        if own is not None and getattr(dataset, name) is not None:
            raise RecipeError(
                f"{dataset.source} has a {name} split of its own here, so dataset.{name} does not "
                "apply.",
                hint=f"--set dataset.{name}=null",
            )


def _digest(gathered: dict[str, Gathered], split_csv: str | None) -> str:
    digest = hashlib.sha256()
    for name, part in gathered.items():
        labels = part.fitted.targets.tolist()
        content = [name, part.fitted.names, labels, part.digests(), split_csv]
        digest.update(json.dumps(content).encode())
    return digest.hexdigest()


def _changed(split_csv: str | None, access: Access) -> list[str]:
    """Notes on pictures that an earlier split did not have, and on those of it that are gone."""
    if not access.recorded or split_csv is None:
        return []
    rows = list(csv.reader(io.StringIO(split_csv)))[1:]
    notes = []
    new = Counter(split for _, digest, split in rows if digest not in access.recorded)
    if new:
        are = "picture is" if new.total() == 1 else "pictures are"
        notes.append(f"{new.total():,} {are} new since the split was drawn: {_places(new, 'to')}")
    here = {digest for _, digest, _ in rows}
    gone = Counter(split for digest, split in access.recorded.items() if digest not in here)
    if gone and gone.total() < len(access.recorded):  # else the split is of another set
        are = "picture of the split is" if gone.total() == 1 else "pictures of the split are"
        notes.append(f"{gone.total():,} {are} no longer there: {_places(gone, 'of')}")
    return notes


def _places(counts: Counter[str], word: str) -> str:
    return ", ".join(f"{counts[name]:,} {word} {name}" for name in SPLITS if counts[name])


def check_classes(targets: Tensor, classes: tuple[str, ...]) -> None:
    """After bad pictures are left out and splits drawn, each class must still have one to train on.

    Raises:
        DataError: names those that have none.
    """
    counts = torch.bincount(targets, minlength=len(classes)).tolist()
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    if empty:
        raise DataError(
            f"No picture of {', '.join(empty)} is left in train: what there is can't be read, or "
            "is in validation or test.",
            hint="zoo data check shows each split's pictures by class.",
        )


def _split(
    dataset: Dataset, found: Found, gathered: dict[str, Gathered], access: Access
) -> tuple[dict[str, Fitted], str | None]:
    """The pictures of each split, and what is to be recorded of those that zoo split."""
    train = gathered["train"]
    parts = {name: part.fitted for name, part in gathered.items()}
    nothing = train.fitted.at([])
    split = split_training(dataset, found, train.digests, train.fitted.targets, access)
    if split is None:
        return {name: parts.get(name, nothing) for name in SPLITS}, None
    drawn = {name: train.fitted.at(split.indices(name)) for name in SPLITS}
    own = {name: part for name, part in parts.items() if name != "train"}
    return {**drawn, **own}, split.to_csv(train.fitted.names)


def split_training(
    dataset: Dataset,
    found: Found,
    digests: Callable[[], list[str]],
    targets: Tensor,
    access: Access,
) -> Split | None:
    """What is drawn from the training pictures; None where nothing is.

    Args:
        dataset: the recipe's section.
        found: which splits the source has itself.
        digests: the content hash of each readable training picture.
        targets: (N,), of the same pictures.
        access: an earlier split.

    Raises:
        DataError: the earlier split is of other pictures, or too few are left to train on.
    """
    shares = _shares(dataset, found)
    own = {"validation": found.validation is not None, "test": found.test is not None}
    if all(own.values()):
        if access.must_match:
            raise UsageError(
                f"{dataset.source} is split already, so --split-file does not apply.",
            )
        return None
    if not any(shares.values()) and not access.recorded:
        return None
    hashes = digests()
    recorded = {
        digest: split
        for digest, split in restrict(access.recorded or {}, hashes).items()
        # What the source has itself is not taken from its training pictures.
        if split == "train" or not own[split]
    }
    if access.must_match and not recorded:
        raise DataError(
            "None of the pictures is in the split file: it belongs to another dataset.",
            hint="Leave --split-file out to draw a new split.",
        )
    return draw(hashes, targets.tolist(), seed=dataset.seed, recorded=recorded, **shares)


def _shares(dataset: Dataset, found: Found) -> dict[str, float]:
    """How much of the training pictures goes to validation and test."""
    validation = _VALIDATION if dataset.validation is None else dataset.validation
    test = dataset.test
    if test is None:
        test = _TEST if found.draws_test else 0.0
    return {
        "validation": 0.0 if found.validation is not None else validation,
        "test": 0.0 if found.test is not None else test,
    }


def _measured(
    preprocessing: Preprocessing, wishes: Preprocess | None, train: Fitted
) -> Preprocessing:
    if wishes is None or not (wishes.measures_mean or wishes.measures_std):
        return preprocessing
    batches = train.batches(torch.split(torch.arange(len(train)), _MEASURED_AT_ONCE))
    mean, std = mean_and_std(batches, preprocessing)
    return preprocessing.model_copy(
        update={
            "mean": mean if wishes.measures_mean else preprocessing.mean,
            "std": std if wishes.measures_std else preprocessing.std,
        }
    )
