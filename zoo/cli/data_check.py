"""`zoo data check`."""

from typing import TYPE_CHECKING, Any

from zoo.cli.app import OUTPUT, command
from zoo.cli.data import data
from zoo.cli.layer_settings import dataset_settings
from zoo.cli.options import (
    DataDirectory,
    DatasetSettings,
    Offline,
    RecipeArg,
    SplitFile,
    WeightsForRecipe,
    chosen_recipe,
)
from zoo.cli.output import Column, Result, Table, count, percent, plural, shape
from zoo.cli.watch import watched
from zoo.errors import DataError

if TYPE_CHECKING:
    from zoo.data.check import Check

# A table of more problems than this hides the rest of what was found.
_SHOWN = 30


@command(
    data,
    "check",
    example="zoo data check digits\nzoo data check --data ~/my-pictures\n"
    "zoo data check cats.yaml --json",
    table=True,
)
def check(
    recipe: RecipeArg = None,
    directory: DataDirectory = None,
    weights: WeightsForRecipe = None,
    settings: DatasetSettings = None,
    split_file: SplitFile = None,
    offline: Offline = False,
) -> Result:
    """Look a dataset over: counts, sizes, what can't be read, duplicates, leaks between splits.

    Exit 4 where a picture can't be read or is in two splits.
    """
    from zoo.data import Access
    from zoo.data import check as checking
    from zoo.data.split import read_csv
    from zoo.recipe import load_recipe, name_of

    name = chosen_recipe(recipe, directory, has_weights=weights is not None)
    loaded = load_recipe(name, dataset_settings(settings, "data check"))
    recorded = None if split_file is None else read_csv(split_file)
    with watched(offline=offline) as watch:
        access = Access(
            directory, watch.downloads, watch.decoded, recorded, must_match=recorded is not None
        )
        found = checking.check(loaded.dataset, access)
    for note in found.notes:
        OUTPUT.note(note)
    errors = sum(problem.is_error for problem in found.problems)
    failure = DataError(
        f"{plural(errors, 'picture has', 'pictures have')} an error.",
        hint="Mend or remove them; zoo train --on-bad skip leaves out what can't be read.",
    )
    return Result(
        {"recipe": name_of(name), **_document(found)},
        _text(found),
        _table(found),
        failure=failure if errors else None,
    )


def _document(found: "Check") -> dict[str, Any]:
    return {
        "splits": {name: vars(split) for name, split in found.splits.items()},
        "problems": [{**vars(problem), "error": problem.is_error} for problem in found.problems],
        "sizes": found.sizes,
        "channels": found.channels,
        "mean": found.mean,
        "std": found.std,
        "imbalance": found.imbalance,
        "naive_top1": found.naive_top1,
    }


def _table(found: "Check") -> Table:
    names = list(found.splits)
    columns = [Column("class", "Class")]
    columns += [Column(name, name.capitalize(), count, right=True) for name in names]
    rows: list[dict[str, Any]] = [
        {"class": label, **{name: found.splits[name].classes[label] for name in names}}
        for label in found.splits[names[0]].classes
    ]
    total = {"class": "all", **{name: found.splits[name].images for name in names}}
    return Table(columns, [*rows, total])


def _text(found: "Check") -> str:
    from zoo.data.pictures import on_one_line

    sizes = ", ".join(f"{name} {shape(size)}" for name, size in found.sizes.items())
    kinds = {1: "grayscale", 3: "RGB"}
    channels = ", ".join(f"{number:,} {kinds[key]}" for key, number in found.channels.items())
    lines = [
        f"sizes     {sizes}",
        f"channels  {channels}",
        f"mean      {_values(found.mean)}",
        f"std       {_values(found.std)}",
        f"balance   {found.imbalance:.3g} : 1 between the commonest class and the rarest; "
        f"always guessing gives {percent(found.naive_top1)}",
    ]
    if not found.problems:
        return "\n".join([*lines, "problems  none"])
    lines.append(f"problems  {len(found.problems):,}")
    lines += [
        f"  {problem.kind}: {on_one_line(f'{problem.path}: {problem.message}')}"
        for problem in found.problems[:_SHOWN]
    ]
    if len(found.problems) > _SHOWN:
        lines.append(f"  … and {len(found.problems) - _SHOWN:,} more; --json lists them all")
    return "\n".join(lines)


def _values(values: list[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
