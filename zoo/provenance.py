"""Which recipe, which pictures and which split a command works on: what was asked, or was kept."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import recipe
from zoo.data.split import read_csv
from zoo.description import RANDOM, Training
from zoo.errors import DataError, ModelFileError, RecipeError
from zoo.modelfile import Source, new_head_hint
from zoo.schema import Dataset, Recipe
from zoo.values import MADE_HERE, OF_ONES_OWN


@dataclass(frozen=True)
class Task:
    """A recipe, and how its pictures are found and split."""

    name: str
    """Of the recipe."""
    recipe: Recipe
    given: Path | None
    """The first place to look for the pictures: --data, or where the run had found them."""
    recorded: dict[str, str] | None
    """An earlier split, by content hash."""
    must_match: bool
    """Whether the split was asked for, so that it must be of these pictures."""
    notes: tuple[str, ...] = ()


def task_of(
    source: Source,
    *,
    recipe_name: str | None = None,
    overrides: tuple[str, ...] = (),
    data: Path | None = None,
    split_file: Path | None = None,
    weights: Path | None = None,
    is_pretrained: bool = False,
) -> Task:
    """What a command is to work on.

    The recipe is the one asked for, else the model file's, else `folder` where only --data is
    given (`folder-finetune` on weights that are trained), else the card's. Pictures and split are
    those of the run that the model lies in, else of the run whose recipe is asked for, unless
    others are.

    Args:
        source: MODEL.
        recipe_name: `--recipe`; where it names a run, that run is repeated.
        overrides: `SECTION.KEY=VALUE`.
        data: `--data`.
        split_file: `--split-file`.
        weights: the file of `--weights`; where it comes from a run, its test pictures stay apart.
        is_pretrained: whether a bare architecture starts from published weights.

    Raises:
        RecipeError: the recipe is invalid.
        ModelFileError: the model file's recipe is none of this version's.
        UsageError, DataError: the split file is missing or wrong.
    """
    name, chosen = _recipe(
        source, recipe_name, overrides, data, is_pretrained or weights is not None
    )
    place, kept = _of_repeated(recipe_name, chosen)
    data = data or place
    if weights is not None and split_file is None:
        recorded = {**kept, **(_split_of_weights(weights, chosen) or {})}
        return Task(name, chosen, data, recorded or None, must_match=False)
    training = source.description.training
    before = None if training is None else trained_recipe(source, training)
    run = _run_of(source)
    same_source = before is not None and before.dataset.source == chosen.dataset.source
    if data is None and chosen.dataset.root is None and same_source and run is not None:
        data = _data_of(run, chosen.dataset)
    if split_file is not None:
        return Task(name, chosen, data, read_csv(split_file), must_match=True)
    if not same_source or before is None:
        return Task(name, chosen, data, kept or None, must_match=False)
    if _drawing(before) != _drawing(chosen):
        note = (
            f"{source.name} was trained on another split of {before.dataset.source}: "
            "pictures it learned from may now be among the test pictures"
        )
        return Task(name, chosen, data, kept or None, must_match=False, notes=(note,))
    if run is None and kept:
        return Task(name, chosen, data, kept, must_match=False)
    if run is None:
        note = (
            f"{source.name} lies in no run, so its split is drawn again: pictures added since it "
            "was trained may move others (--split-file keeps a split)"
        )
        notes = (note,) if chosen.dataset.source in OF_ONES_OWN else ()
        return Task(name, chosen, data, None, must_match=False, notes=notes)
    # What the model has learned from stays apart, whatever another run did with it.
    recorded = {**kept, **(_split_of(run) or {})}
    return Task(name, chosen, data, recorded or None, must_match=False)


def check_classes(
    source: Source,
    classes: tuple[str, ...],
    recipe_name: str,
    directory: Path | None = None,
    *,
    hint: str = "",
) -> None:
    """Refuses pictures whose classes are not the model's; their order is mapped by name.

    Args:
        source: MODEL.
        classes: of the pictures.
        recipe_name: what to call the pictures.
        directory: `--data`.
        hint: what to do; left out, to train the model on them.

    Raises:
        DataError: names or number differ.
    """
    difference = class_difference(source, classes, recipe_name)
    if difference is not None:
        place = f" --data {shlex.quote(str(directory))}" if directory else ""
        raise DataError(
            difference,
            hint=hint or new_head_hint(source, f" --recipe {shlex.quote(recipe_name)}{place}"),
        )


def class_difference(source: Source, classes: tuple[str, ...], recipe_name: str) -> str | None:
    """In what pictures' classes differ from those that the model tells apart; None where in none.

    Args:
        source: MODEL; where it names no classes, their number counts.
        classes: of the pictures, in any order.
        recipe_name: what to call the pictures.
    """
    ours, number = source.description.classes, source.description.num_classes
    if ours and {*ours} != {*classes}:
        missing, surplus = sorted({*ours} - {*classes}), sorted({*classes} - {*ours})
        reasons = [
            f"it lacks {_some(missing)}" if missing else "",
            f"{_some(surplus)} {'is' if len(surplus) == 1 else 'are'} new to the model"
            if surplus
            else "",
        ]
        difference = "; ".join(reason for reason in reasons if reason)
        return f"The classes of {recipe_name} are not those of {source.name}: {difference}."
    if number != len(classes):
        return f"{source.name} tells {number} classes apart, {recipe_name} has {len(classes)}."
    return None


def _some(names: list[str]) -> str:
    """The first ten, for a network may tell a thousand apart."""
    rest = f" and {len(names) - 10:,} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + rest


def trained_recipe(source: Source, training: Training) -> Recipe:
    """The recipe that a model file holds.

    Raises:
        ModelFileError: it is none of this version's.
    """
    try:
        return recipe.from_json(training.content, str(source.path))
    except RecipeError as error:
        raise ModelFileError(f"{source.path} holds a recipe that is invalid: {error}") from error


def _recipe(
    source: Source,
    recipe_name: str | None,
    overrides: tuple[str, ...],
    data: Path | None,
    is_pretrained: bool,
) -> tuple[str, Recipe]:
    training = source.description.training
    if recipe_name is None and training is not None:
        kept = trained_recipe(source, training)
        # An embedded set is nowhere on the disk: --data must mean another.
        if data is None or kept.dataset.source not in MADE_HERE:
            return training.recipe, recipe.override(kept, overrides)
    has_weights = is_pretrained or source.description.origin != RANDOM or training is not None
    default = source.card.recipe if data is None else recipe.folder_recipe(has_weights=has_weights)
    name = recipe_name or default
    return recipe.name_of(name), recipe.load_recipe(name, overrides)


def _of_repeated(recipe_name: str | None, chosen: Recipe) -> tuple[Path | None, dict[str, str]]:
    """Where the run that `--recipe` names had its pictures, and its split.

    Neither where the recipe was changed to mean other pictures or to draw another split.
    """
    run = None if recipe_name is None else recipe.run_of(recipe_name)
    if run is None:
        return None, {}
    recorded = recipe.load_recipe(str(run / "run.json"))
    here, there = chosen.dataset, recorded.dataset
    is_same = (here.source, here.root) == (there.source, there.root)
    place = _data_of(run, here) if is_same else None
    split = _split_of(run) if _drawing(recorded) == _drawing(chosen) else None
    return place, split or {}


def _split_of_weights(weights: Path, chosen: Recipe) -> dict[str, str] | None:
    """The split of the run that the weights come from, if it is of the same source."""
    run = weights if weights.is_dir() else weights.parent
    source = _setting(run, "resolved_recipe", "dataset", "source")
    return _split_of(run) if source == chosen.dataset.source else None


def _split_of(run: Path) -> dict[str, str] | None:
    """The split that a run keeps; None where zoo drew none."""
    kept = run / "split.csv"
    return read_csv(kept) if kept.is_file() else None


def _drawing(chosen: Recipe) -> dict[str, Any]:
    """What decides which picture falls into which split."""
    return chosen.dataset.model_dump(include={"source", "split", "validation", "test", "seed"})


def _run_of(source: Source) -> Path | None:
    """The run directory that a model file lies in."""
    if source.path is None or not (source.path.parent / "run.json").is_file():
        return None
    return source.path.parent


def _data_of(run: Path, dataset: Dataset) -> Path | None:
    """Where the run had found its pictures; None where they are gone but may lie elsewhere too."""
    place = _setting(run, "data")
    if not isinstance(place, str):
        return None
    lies_elsewhere = dataset.source not in OF_ONES_OWN or dataset.root is not None
    return None if lies_elsewhere and not Path(place).exists() else Path(place)


def _setting(run: Path, *keys: str) -> Any:
    """What `run.json` says under these keys; None where it says nothing."""
    try:
        value = json.loads((run / "run.json").read_text(encoding="utf-8"))
        for key in keys:
            value = value[key]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return value
