"""Looking a dataset over before anyone trains on it."""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from zoo.data import Access, check_applies, sources, split_training
from zoo.data.decode import BadPictureError, suffixes
from zoo.data.gathering import Settings, in_parallel, path_of
from zoo.data.pictures import FilePictures, Pictures
from zoo.data.split import SPLITS
from zoo.errors import DiskError
from zoo.schema import Dataset

ERRORS = frozenset({"unreadable", "leak", "empty"})
"""Kinds of problem that spoil a training or its figures; the others deserve a look."""


@dataclass(frozen=True)
class Problem:
    """Something wrong with one picture, or one class."""

    kind: str
    """unreadable, leak (in two splits), conflict (in two classes), duplicate, suffix, or empty (a
    class with nothing to train on)."""
    path: str
    message: str

    @property
    def is_error(self) -> bool:
        """Whether the check fails for it."""
        return self.kind in ERRORS


@dataclass
class SplitCheck:
    """One split."""

    images: int
    classes: dict[str, int]
    """Pictures of each class."""


@dataclass
class Check:
    """What `zoo data check` found."""

    splits: dict[str, SplitCheck]
    problems: list[Problem]
    sizes: dict[str, tuple[int, int]]
    """Height and width: smallest, median and largest, each side by itself."""
    channels: dict[int, int]
    """How many pictures are grayscale (1) and RGB (3)."""
    mean: list[float]
    """Of each channel over the pixels of the training split, values scaled to [0, 1]."""
    std: list[float]
    imbalance: float
    """Pictures of the commonest class over those of the rarest, in the training split."""
    naive_top1: float
    """What always guessing the commonest class would reach on the training split."""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Seen:
    """What is kept of one picture."""

    digest: str = ""
    """Of the content as the split knows it: a file's bytes."""
    pixels: str = ""
    """Of the decoded picture: the same in another file, or without its metadata."""
    shape: tuple[int, ...] = ()
    sums: tuple[Tensor, Tensor] | None = None
    """Sum and sum of squares per channel, of values in [0, 1]."""
    problem: Problem | None = None


def check(dataset: Dataset, access: Access) -> Check:
    """Reads every picture of a dataset.

    Raises:
        DataError: there are no pictures, or classes differ between the splits.
    """
    found = sources.read(dataset, access.given, access.downloads)
    check_applies(dataset, found)
    parts = {
        name: part
        for name, part in zip(SPLITS, (found.train, found.validation, found.test), strict=True)
        if part is not None
    }
    settings = Settings(workers=dataset.workers, progress=access.progress)
    seen = {name: in_parallel(part, partial(_look, part), settings) for name, part in parts.items()}
    problems = [problem for name, part in parts.items() for problem in _problems(part, seen[name])]
    problems += _leaks(parts, seen)
    assigned = {name: [name] * len(part) for name, part in parts.items()}
    readable = [index for index, one in enumerate(seen["train"]) if one.digest]
    split = split_training(
        dataset,
        found,
        lambda: [seen["train"][index].digest for index in readable],
        found.train.targets[torch.tensor(readable, dtype=torch.int64)],
        access,
    )
    if split is not None:
        for index, name in zip(readable, split.assigned, strict=True):
            assigned["train"][index] = name
    splits = _counts(parts, seen, assigned)
    training = [
        one for one, name in zip(seen["train"], assigned["train"], strict=True) if name == "train"
    ]
    mean, std = _mean_and_std(one for one in training if one.digest)
    shapes = [one.shape for part in seen.values() for one in part if one.digest]
    counts = list(splits["train"].classes.values()) if "train" in splits else [0]
    problems += _empty(splits)
    return Check(
        splits=splits,
        problems=sorted(problems, key=lambda one: (not one.is_error, one.kind, one.path)),
        sizes=_sizes(shapes),
        channels=dict(sorted(Counter(shape[0] for shape in shapes).items())),
        mean=mean,
        std=std,
        imbalance=max(counts) / min(counts) if min(counts) else math.inf,
        naive_top1=max(counts) / max(1, sum(counts)),
        notes=list(found.notes),
    )


def _look(pictures: Pictures, index: int) -> _Seen:
    try:
        picture, digest = pictures.read(index)
    except (BadPictureError, DiskError) as error:
        return _Seen(problem=Problem("unreadable", path_of(pictures, index), error.message))
    values = picture.flatten(1).double() / 255
    sums = (values.sum(dim=1), values.square().sum(dim=1))
    shape = tuple(picture.shape)
    pixels = hashlib.sha256(repr(shape).encode() + picture.contiguous().numpy().tobytes())
    problem = _suffix_problem(pictures, index)
    return _Seen(digest, pixels.hexdigest(), shape, sums, problem)


def _suffix_problem(pictures: Pictures, index: int) -> Problem | None:
    if not isinstance(pictures, FilePictures):
        return None
    path = pictures.paths[index]
    with path.open("rb") as file:
        usual = suffixes(file.read(1 << 16))
    if not usual or path.suffix.lower() in usual:
        return None
    return Problem("suffix", str(path), f"its content is that of a {min(usual)}; it is read anyway")


def _problems(pictures: Pictures, seen: list[_Seen]) -> list[Problem]:
    """Those of single pictures, and duplicates within a split."""
    problems = [one.problem for one in seen if one.problem is not None]
    first: dict[str, int] = {}
    for index, one in enumerate(seen):
        if not one.digest:
            continue
        before = first.setdefault(one.pixels, index)
        if before == index:
            continue
        path, other = path_of(pictures, index), path_of(pictures, before)
        if pictures.targets[before] == pictures.targets[index]:
            problems.append(Problem("duplicate", path, f"the same picture as {other}"))
        else:
            problems.append(
                Problem("conflict", path, f"the same picture as {other}, of another class")
            )
    return problems


def _leaks(parts: dict[str, Pictures], seen: dict[str, list[_Seen]]) -> list[Problem]:
    """Pictures that the source has in two of its own splits; a drawn split parts no duplicates."""
    places: dict[str, dict[str, int]] = defaultdict(dict)
    for name in parts:
        for index, one in enumerate(seen[name]):
            if one.digest:
                places[one.pixels].setdefault(name, index)
    problems = []
    for where in places.values():
        (first, index), *others = where.items()
        for name, other in others:
            path = path_of(parts[name], other)
            origin = path_of(parts[first], index)
            problems.append(
                Problem("leak", path, f"this picture of {name} is also in {first}: {origin}")
            )
    return problems


def _counts(
    parts: dict[str, Pictures], seen: dict[str, list[_Seen]], assigned: dict[str, list[str]]
) -> dict[str, SplitCheck]:
    classes = parts["train"].classes
    counted: dict[str, Counter[int]] = {name: Counter() for name in SPLITS}
    for part, pictures in parts.items():
        for target, one, name in zip(
            pictures.targets.tolist(), seen[part], assigned[part], strict=True
        ):
            if one.digest:
                counted[name][target] += 1
    return {
        name: SplitCheck(
            counts.total(), {label: counts[index] for index, label in enumerate(classes)}
        )
        for name, counts in counted.items()
        if counts
    }


def _empty(splits: dict[str, SplitCheck]) -> list[Problem]:
    """Classes that a training would refuse."""
    train = splits["train"].classes if "train" in splits else {}
    return [
        Problem("empty", name, "no picture of this class is in train")
        for name, count in train.items()
        if not count
    ]


def _sizes(shapes: list[tuple[int, ...]]) -> dict[str, tuple[int, int]]:
    if not shapes:
        return {}
    heights, widths = (sorted(shape[side] for shape in shapes) for side in (1, 2))
    places = {"smallest": 0, "median": len(shapes) // 2, "largest": -1}
    return {name: (heights[place], widths[place]) for name, place in places.items()}


def _mean_and_std(seen: Iterable[_Seen]) -> tuple[list[float], list[float]]:
    """Per channel; where some pictures are RGB, gray ones count as RGB."""
    kept = [one for one in seen if one.sums is not None]
    if not kept:
        return [], []
    channels = max(one.shape[0] for one in kept)
    total, pixels = torch.zeros(channels, dtype=torch.float64), 0
    squares = total
    for one in kept:
        assert one.sums is not None
        total = total + one.sums[0]
        squares = squares + one.sums[1].expand(channels)
        pixels += one.shape[1] * one.shape[2]
    mean = total / pixels
    std = (squares / pixels - mean.square()).clamp(min=0).sqrt()
    return [round(value, 6) for value in mean.tolist()], [round(v, 6) for v in std.tolist()]
