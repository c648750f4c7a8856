"""`zoo recipes list | show | validate | copy | schema`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.app import command, group
from zoo.cli.options import Force, Overrides
from zoo.cli.output import Column, Result, Table
from zoo.errors import RecipeError

recipes = group(
    "recipes",
    help="Recipes: which pictures, how they are prepared, augmented and trained on.",
    example="zoo recipes list",
)

COLUMNS = (
    Column("name", "Name"),
    Column("source", "Source"),
    Column("description", "Description"),
)

NameArg = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A shipped recipe's name, a YAML file or a run.")
]


@command(recipes, "list", example="zoo recipes list\nzoo recipes list --json", table=True)
def list_recipes() -> Result:
    """List the recipes that come with zoo."""
    from zoo import shipped

    rows = []
    for name in shipped.names():
        source, description = shipped.headline(name)
        rows.append({"name": name, "source": source, "description": description})
    return Result({"recipes": rows}, table=Table(COLUMNS, rows))


@command(
    recipes,
    "show",
    example="zoo recipes show digits\nzoo recipes show digits --resolved\n"
    "zoo recipes show digits --set augment.rotation_range=15 --json",
)
def show(
    name: NameArg,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="With every default written out.")
    ] = False,
    settings: Overrides = None,
) -> Result:
    """Show a recipe's YAML; with --resolved or --json everything it means."""
    from zoo import recipe

    loaded = recipe.load_recipe(name, settings or ())
    path = recipe.locate(name)
    document = {
        "name": recipe.name_of(name),
        "path": str(path),
        "recipe": loaded.model_dump(mode="json"),
    }
    if resolved or settings or recipe.run_of(name):
        return Result(document, recipe.resolved_yaml(loaded).rstrip("\n"))
    return Result(document, path.read_text(encoding="utf-8").rstrip("\n"))


@command(recipes, "validate", example="zoo recipes validate cats.yaml\nzoo recipes validate *.yaml")
def validate(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="YAML files, shipped names or runs.")
    ],
    settings: Overrides = None,
) -> Result:
    """Check recipes; everything wrong is listed with file, line and column."""
    from zoo import recipe

    failures: dict[str, RecipeError] = {}
    for name in files:
        try:
            recipe.load_recipe(name, settings or ())
        except RecipeError as error:
            failures[name] = error
    document = {"files": [{"file": name, "ok": name not in failures} for name in files]}
    text = "\n".join(f"{name}: ok" for name in files if name not in failures)
    failure = RecipeError(
        "\n".join(error.message for error in failures.values()),
        hint=recipe.HINT,
        details=[detail for error in failures.values() for detail in error.details],
    )
    return Result(document, text, failure=failure if failures else None)


@command(
    recipes,
    "copy",
    example="zoo recipes copy digits\nzoo recipes copy folder cats.yaml",
)
def copy(
    name: NameArg,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Where to; left out, RECIPE.yaml in this directory."),
    ] = None,
    force: Force = False,
) -> Result:
    """Copy a recipe, to change it; editors check the copy against the schema."""
    from zoo import recipe

    target = recipe.copy(name, file, force=force)
    quoted = shlex.quote(str(target))
    text = (
        f"{target}\n\nnext:\n  zoo recipes validate {quoted}\n  zoo train lenet5 --recipe {quoted}"
    )
    return Result({"recipe": name, "output": str(target)}, text)


@command(recipes, "schema", example="zoo recipes schema > recipe.schema.json")
def schema() -> Result:
    """Print the JSON Schema of a recipe: every key with its type, default, unit and meaning."""
    import json

    from zoo import recipe

    document = recipe.json_schema()
    return Result({"recipe_schema": document}, json.dumps(document, indent=2))
