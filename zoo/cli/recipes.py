"""`zoo recipes list | show | validate`."""

from typing import Annotated

import typer

from zoo.cli.app import Debug, Json, Quiet, app, command, configure
from zoo.cli.output import Column, Result, Table
from zoo.errors import RecipeError

recipes = typer.Typer(
    name="recipes",
    help="Recipes: which pictures, how they are prepared, augmented and trained on.",
    epilog="\b\nExample:\n  zoo recipes list",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)
app.add_typer(recipes, name="recipes")


@recipes.callback()
def _group(json: Json = False, quiet: Quiet = False, debug: Debug = False) -> None:
    configure({"json": json, "quiet": quiet, "debug": debug})


COLUMNS = (
    Column("name", "Name"),
    Column("source", "Source"),
    Column("description", "Description"),
)

NameArg = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A shipped recipe's name or a YAML file.")
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


@command(recipes, "show", example="zoo recipes show digits\nzoo recipes show digits --json")
def show(name: NameArg) -> Result:
    """Show a recipe's YAML; with --json everything it means, defaults included."""
    from zoo import recipe

    loaded = recipe.load_recipe(name)
    path = recipe.locate(name)
    document = {"name": path.stem, "path": str(path), "recipe": loaded.model_dump(mode="json")}
    return Result(document, path.read_text(encoding="utf-8").rstrip("\n"))


@command(recipes, "validate", example="zoo recipes validate cats.yaml\nzoo recipes validate *.yaml")
def validate(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="YAML files or shipped names.")
    ],
) -> Result:
    """Check recipes; everything wrong is listed with file, line and column."""
    from zoo import recipe

    failures: dict[str, RecipeError] = {}
    for name in files:
        try:
            recipe.load_recipe(name)
        except RecipeError as error:
            failures[name] = error
    document = {"files": [{"file": name, "ok": name not in failures} for name in files]}
    text = "\n".join(f"{name}: ok" for name in files if name not in failures)
    failure = RecipeError(
        "\n".join(error.message for error in failures.values()),
        hint="zoo recipes show digits prints a valid recipe.",
        details=[detail for error in failures.values() for detail in error.details],
    )
    return Result(document, text, failure=failure if failures else None)
