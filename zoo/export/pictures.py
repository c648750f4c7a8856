"""The pictures that an exported file is checked with: a recipe's if they are here, else random."""

import math
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor

from zoo.data import sources
from zoo.data.decode import BadPictureError
from zoo.data.fit import fit, to_channels
from zoo.data.pictures import Pictures
from zoo.errors import DataError, DiskError, UsageError
from zoo.modelfile import Source
from zoo.provenance import check_classes, task_of
from zoo.schema import Preprocessing

_SOME = 5
_SCALES = ((1.0, 1.0), (0.5, 1.7), (2.3, 0.9), (1.4, 1.4), (0.25, 0.3))
"""Sides of the pictures that a graph fits itself, in the network's."""


@dataclass(frozen=True)
class Chosen:
    """Decoded pictures, and where they come from."""

    pictures: list[Tensor]
    """Each (1 or 3, h, w), uint8."""
    recipe: str | None
    """None where they are random."""
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    """Those of which there are pictures."""


def calibration(
    source: Source, count: int, *, recipe_name: str | None, data: Path | None
) -> Chosen:
    """Training pictures to find the ranges of a network's numbers on. Nothing is downloaded.

    Where a run records how it split its pictures, those of its training split.

    Args:
        source: MODEL.
        count: how many.
        recipe_name: `--recipe`; left out, the model file's own.
        data: `--data`.

    Raises:
        UsageError: nothing says which pictures.
        RecipeError: the recipe is invalid.
        DataError: the pictures are not here, can't be read, or are of other classes or channels.
    """
    if (recipe_name, data, source.description.training) == (None, None, None):
        raise UsageError(
            f"onnx-int8 is calibrated on pictures, and {source.name} names no recipe.",
            hint="--recipe RECIPE or --data DIR: pictures of the kind that it will see.",
        )
    task = task_of(source, recipe_name=recipe_name, data=data)
    channels, ours = task.recipe.preprocess.channels, source.description.preprocessing.channels
    if channels not in (None, ours):
        raise DataError(
            f"The pictures of {task.name} have {channels} channels, {source.name} takes {ours}."
        )
    found = sources.read(task.recipe.dataset, task.given, None).train
    if source.description.is_trained:  # else its classes mean nothing yet
        check_classes(
            source,
            found.classes,
            task.name,
            hint="Another --recipe, or --data with pictures of the model's classes.",
        )
    # Every second one: where the set has one part only, the others are compared.
    return _drawn(found, count, task.name, start=1, step=2, recorded=task.recorded)


def choose(
    source: Source,
    count: int,
    *,
    recipe_name: str | None,
    data: Path | None,
    is_calibrated: bool = False,
) -> Chosen:
    """Pictures to compare outputs on. Nothing is downloaded.

    Args:
        source: MODEL.
        count: how many.
        is_calibrated: whether `calibration` has taken every second one.
        recipe_name: `--recipe`; left out, the model file's own.
        data: `--data`.

    Raises:
        RecipeError: the recipe is invalid.
        DataError: the pictures that were asked for are not here, or can't be read.
    """
    description = source.description
    is_asked = recipe_name is not None or data is not None
    if not is_asked and description.training is None:
        return Chosen(random_pictures(description.preprocessing, count), None)
    try:
        task = task_of(source, recipe_name=recipe_name, data=data)
        found = sources.read(task.recipe.dataset, task.given, None)
        parts = (found.test, found.validation, found.train)
        pictures = next(part for part in parts if part is not None and len(part))
        return _drawn(pictures, count, task.name, step=2 if is_calibrated else 1)
    except (DataError, DiskError, UsageError) as error:
        if is_asked:
            raise
        assert description.training is not None
        note = (
            f"checked with random pictures, for those of {description.training.recipe} are not "
            f"here: {error.message}"
        )
        return Chosen(random_pictures(description.preprocessing, count), None, (note,))


def _drawn(
    pictures: Pictures,
    count: int,
    recipe: str,
    *,
    start: int = 0,
    step: int = 1,
    recorded: Mapping[str, str] | None = None,
) -> Chosen:
    """So many pictures of a set, as many of each class as there are.

    Args:
        pictures: the set, often in the order of its classes.
        count: how many at most.
        recipe: what the set is called.
        start: the first of each class that may be taken; of a single one, that one.
        step: from there, every so-manieth may.
        recorded: by content hash, the splits that pictures are in: of these only training ones.

    Raises:
        DataError: none can be read.
    """
    found: list[Tensor] = []
    seen: set[int] = set()
    targets = pictures.targets.tolist()
    for place in _in_turns(targets, start, step):
        if len(found) == count:
            break
        with suppress(BadPictureError):
            picture, digest = pictures.read(place)
            if (recorded or {}).get(digest, "train") == "train":
                found.append(picture)
                seen.add(targets[place])
    if not found:
        raise DataError("None of the recipe's pictures can be read.")
    return Chosen(found, recipe, classes=tuple(pictures.classes[label] for label in sorted(seen)))


def _in_turns(targets: Sequence[int], start: int, step: int) -> list[int]:
    """Places, of which the first ones, however many, are of all classes and from all of each.

    Args:
        targets: the class of each place.
        start: the first of each class that may be taken; of a single one, that one.
        step: from there, every so-manieth may.
    """
    of_class: dict[int, list[int]] = {}
    for place, label in enumerate(targets):
        of_class.setdefault(label, []).append(place)
    draws = random.Random(0)  # noqa: S311 - equal models are to give equal files
    turns: list[tuple[int, int]] = []
    for places in of_class.values():
        allowed = places[min(start, len(places) - 1) :: step]
        turns += enumerate(draws.sample(allowed, len(allowed)))
    draws.shuffle(turns)  # which classes come first, where there are fewer turns than classes
    return [place for _, place in sorted(turns, key=itemgetter(0))]


def lacking(source: Source, chosen: Chosen, purpose: str) -> tuple[str, ...]:
    """A note where a class of the model has no picture among those that were chosen.

    Args:
        source: MODEL.
        chosen: of a recipe.
        purpose: what they were chosen for, such as "checked with".
    """
    names = [name for name in source.description.classes if name not in chosen.classes]
    if not names or chosen.recipe is None:
        return ()
    some = ", ".join(names[:_SOME]) + (f" and {len(names) - _SOME:,} more" * (len(names) > _SOME))
    return (f"{purpose} no picture of {some}, so nothing is known of them",)


def random_pictures(preprocessing: Preprocessing, count: int) -> list[Tensor]:
    """Blots of various contrast under noise, which differ more from one another than noise does."""
    generator = torch.Generator().manual_seed(0)
    channels = 3 if preprocessing.channels == 3 else 1
    height, width = preprocessing.size
    blots = torch.rand(count, channels, 4, 4, generator=generator)
    blots = F.interpolate(blots, (height, width), mode="bilinear")  # (count, channels, H, W)
    noise = torch.rand(blots.shape, generator=generator)
    contrast = torch.linspace(0.3, 1.0, count)[:, None, None, None]
    return list(((0.8 * blots + 0.2 * noise) * contrast * 255).byte())


def fitted_batches(
    pictures: list[Tensor], preprocessing: Preprocessing, sizes: tuple[int, ...]
) -> list[Tensor]:
    """Batches (N, C, H, W), uint8: a large one, single ones, then large ones."""
    fitted = [fit(picture[None], preprocessing) for picture in pictures]
    largest = max(sizes)
    several = [torch.cat([fitted[i % len(fitted)] for i in range(largest)])]
    single = [fitted[i % len(fitted)] for i in range(largest, 2 * largest)]
    rest = fitted[2 * largest :]
    return [*several, *single, *_in_batches(rest, largest)]


def decoded_batches(
    pictures: list[Tensor], preprocessing: Preprocessing, sizes: tuple[int, ...]
) -> list[Tensor]:
    """Batches (N, h, w, C), uint8, of pictures as they come from a decoder and of odd sizes."""
    largest = max(sizes)
    ready = [to_channels(picture[None], preprocessing.channels) for picture in pictures]
    several = [_resized(ready[i % len(ready)], preprocessing.size) for i in range(largest)]
    singles = [
        _resized(
            ready[(largest + i) % len(ready)],
            tuple(math.ceil(s * side) for s, side in zip(scales, preprocessing.size, strict=True)),
        )
        for i, scales in enumerate(_SCALES[:largest])
    ]
    rest = [_resized(picture, preprocessing.size) for picture in ready[2 * largest :]]
    made = [torch.cat(several), *singles, *_in_batches(rest, largest)]
    return [_nhwc(batch) for batch in made]


def _in_batches(pictures: list[Tensor], size: int) -> list[Tensor]:
    return [torch.cat(pictures[i : i + size]) for i in range(0, len(pictures), size)]


def _resized(picture: Tensor, size: tuple[int, ...]) -> Tensor:
    return F.interpolate(picture, size, mode="bilinear", antialias=True)


def _nhwc(pictures: Tensor) -> Tensor:
    return pictures.permute(0, 2, 3, 1).contiguous()
