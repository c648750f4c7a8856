"""The pictures that an exported file is checked with: a recipe's if they are here, else random."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
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


def calibration(
    source: Source, count: int, *, recipe_name: str | None, data: Path | None
) -> Chosen:
    """Training pictures to find the ranges of a network's numbers on. Nothing is downloaded.

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
    check_classes(source, found.classes, task.name, data)
    # Every second one: where the set has one part only, the others are compared.
    return Chosen(list(_spread_over(found, count, start=1, step=2)), task.name)


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
        spread = _spread_over(pictures, count, step=2 if is_calibrated else 1)
        return Chosen(list(spread), task.name)
    except (DataError, DiskError, UsageError) as error:
        if is_asked:
            raise
        assert description.training is not None
        note = (
            f"checked with random pictures, for those of {description.training.recipe} are not "
            f"here: {error.message}"
        )
        return Chosen(random_pictures(description.preprocessing, count), None, (note,))


def _spread_over(
    pictures: Pictures, count: int, *, start: int = 0, step: int = 1
) -> Iterator[Tensor]:
    """So many pictures from all of a set, whose order is often that of its classes.

    Args:
        pictures: the set.
        count: how many at most.
        start: the first that may be taken.
        step: from there, every so-manieth may.
    """
    places = range(min(start, len(pictures) - 1), len(pictures), step)
    taken = 0
    for index in places[:: max(1, len(places) // count)]:
        try:
            yield pictures.picture(index)
        except BadPictureError:
            continue
        taken += 1
        if taken == count:
            return
    if not taken:
        raise DataError("None of the recipe's pictures that were tried can be read.")


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
