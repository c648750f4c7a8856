"""`zoo data preview`."""

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.app import OUTPUT, command
from zoo.cli.data import data
from zoo.cli.options import (
    DataDirectory,
    Force,
    Offline,
    Overrides,
    RecipeArg,
    WeightsForRecipe,
    chosen_recipe,
)
from zoo.cli.output import Result, plural
from zoo.cli.watch import watched
from zoo.errors import DataError


@command(
    data,
    "preview",
    example="zoo data preview digits -o sheet.png\n"
    "zoo data preview --data ~/my-pictures --model lenet5 -o sheet.png",
)
def preview(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The PNG to write.")
    ],
    recipe: RecipeArg = None,
    directory: DataDirectory = None,
    weights: WeightsForRecipe = None,
    settings: Overrides = None,
    model: Annotated[
        str,
        typer.Option(metavar="MODEL", help="The network whose input the pictures are fitted to."),
    ] = "lenet5",
    versions: Annotated[
        int, typer.Option(min=0, max=50, metavar="N", help="Augmented versions of each picture.")
    ] = 8,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Draws pictures and changes.")] = 0,
    offline: Offline = False,
    force: Force = False,
) -> Result:
    """Draw a contact sheet: a picture of each class beside augmented versions of it."""
    from zoo import modelfile
    from zoo.data import preview as previewing
    from zoo.data import sources
    from zoo.data.augment import check_applies
    from zoo.description import decide_preprocessing
    from zoo.files import check_output_file
    from zoo.recipe import load_recipe, name_of

    name = chosen_recipe(recipe, directory, has_weights=weights is not None)
    loaded = load_recipe(name, settings or ())
    check_output_file(output, force=force, suffix=".png")
    source = modelfile.resolve(model)
    if source.path is None:
        source = modelfile.resolve(model, preprocess=loaded.preprocess)
    fitting = decide_preprocessing(source.card, source.description.arguments, loaded.preprocess)
    check_applies(loaded.augment, fitting.channels)
    with watched(offline=offline) as watch:
        found = sources.read(loaded.dataset, directory, watch.downloads)
    for note in found.notes:
        OUTPUT.note(note)
    chosen = previewing.one_of_each_class(found.train, seed)
    shown, classes = len(chosen), len(chosen.classes)
    if not shown:
        raise DataError("No picture can be read.", hint=f"zoo data check {name}")
    if shown < classes:
        OUTPUT.note(f"the sheet shows {shown} of {plural(classes, 'class', 'classes')}")
    sheet = previewing.contact_sheet(chosen, fitting, loaded.augment, versions=versions, seed=seed)
    previewing.write_png(sheet, output)
    document = {
        "recipe": name_of(name),
        "output": str(output),
        "classes": shown,
        "versions": versions,
        "size": list(sheet.size),
    }
    text = (
        f"{output}: {plural(shown, 'class', 'classes')}, "
        f"{plural(versions, 'augmented version')} of each"
    )
    return Result(document, text)
