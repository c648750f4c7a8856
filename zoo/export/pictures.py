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
from zoo.data.fit import fit
from zoo.data.pictures import Pictures
from zoo.errors import DataError, DiskError, UsageError
from zoo.modelfile import Source
from zoo.provenance import task_of
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


def choose(source: Source, count: int, *, recipe_name: str | None, data: Path | None) -> Chosen:
    """Pictures to compare outputs on. Nothing is downloaded.

    Args:
        source: MODEL.
        count: how many.
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
        return Chosen(list(_spread_over(pictures, count)), task.name)
    except (DataError, DiskError, UsageError) as error:
        if is_asked:
            raise
        assert description.training is not None
        note = (
            f"checked with random pictures, for those of {description.training.recipe} are not "
            f"here: {error.message}"
        )
        return Chosen(random_pictures(description.preprocessing, count), None, (note,))


def _spread_over(pictures: Pictures, count: int) -> Iterator[Tensor]:
    """So many pictures from all of a set, whose order is often that of its classes."""
    step = max(1, len(pictures) // count)
    taken = 0
    for index in range(0, len(pictures), step):
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
    """Batches (N, C, H, W), uint8: one of the largest size, the rest of the smallest."""
    fitted = [fit(picture[None], preprocessing) for picture in pictures]
    largest = max(sizes)
    several = [torch.cat([fitted[i % len(fitted)] for i in range(largest)])]
    return several + [fitted[i % len(fitted)] for i in range(largest, 2 * largest)]


def decoded_batches(
    pictures: list[Tensor], preprocessing: Preprocessing, sizes: tuple[int, ...]
) -> list[Tensor]:
    """Batches (N, h, w, C), uint8, of pictures as they come from a decoder and of odd sizes."""
    largest = max(sizes)
    ready = [_in_channels(picture, preprocessing.channels) for picture in pictures]
    several = [_resized(ready[i % len(ready)], preprocessing.size) for i in range(largest)]
    singles = [
        _resized(
            ready[(largest + i) % len(ready)],
            tuple(math.ceil(s * side) for s, side in zip(scales, preprocessing.size, strict=True)),
        )
        for i, scales in enumerate(_SCALES[:largest])
    ]
    return [_nhwc(torch.cat(several)), *(_nhwc(single) for single in singles)]


def _in_channels(picture: Tensor, channels: int) -> Tensor:
    """(1, channels, h, w), converted as `fit` converts."""
    height, width = picture.shape[-2:]
    same = Preprocessing(
        channels=channels, size=(height, width), content=(height, width),
        mean=(0.0,) * channels, std=(1.0,) * channels, interpolation="bilinear", fit="resize",
    )  # fmt: skip
    return fit(picture[None], same)


def _resized(picture: Tensor, size: tuple[int, ...]) -> Tensor:
    return F.interpolate(picture, size, mode="bilinear", antialias=True)


def _nhwc(pictures: Tensor) -> Tensor:
    return pictures.permute(0, 2, 3, 1).contiguous()
