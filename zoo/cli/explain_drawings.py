"""`zoo explain filters | maps | cam`: PNG sheets of what a network looks for and sees."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli.app import OUTPUT, command
from zoo.cli.explain import explain
from zoo.cli.options import Force, ModelArg
from zoo.cli.output import Result, percent, plural, shape, shortened
from zoo.description import RANDOM_NOTE
from zoo.files import check_output_file

if TYPE_CHECKING:
    from zoo.modelfile import Source

_LABEL_LETTERS = 40

PngOutput = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE", help="The PNG to write.")
]


@command(
    explain,
    "filters",
    example="zoo explain filters runs/lenet5-digits -o filters.png",
)
def filters(model: ModelArg, output: PngOutput, force: Force = False) -> Result:
    """Draw the filters of the first convolution, each on its own scale."""
    from zoo import modelfile

    check_output_file(output, force=force, suffix=".png")
    source = modelfile.resolve(model)
    note = _noted(source)

    from zoo.data.preview import write_png
    from zoo.explain.drawing import MAX_FILTERS, draw_filters
    from zoo.explain.maps import first_filters

    found = first_filters(source)
    if len(found.weights) > MAX_FILTERS:
        OUTPUT.note(f"the sheet shows {MAX_FILTERS} of {len(found.weights):,} filters")
    sheet = draw_filters(found, source.name, note)
    write_png(sheet, output)
    count, *sides = found.weights.shape
    document = {
        "model": source.name,
        "output": str(output),
        "layer": found.layer,
        "filters": count,
        "shape": sides,
        "size": list(sheet.size),
    }
    return Result(
        document, f"{output}: {plural(count, 'filter')} of {shape(sides)} of {found.layer}"
    )


PictureArg = Annotated[
    Path, typer.Argument(metavar="PICTURE", help="The file that the network looks at.")
]


@command(
    explain,
    "maps",
    example="zoo explain maps runs/lenet5-digits seven.png -o maps.png",
)
def maps(
    model: ModelArg,
    picture: PictureArg,
    output: PngOutput,
    force: Force = False,
) -> Result:
    """Draw the feature maps that a picture gives: the last layer of each resolution."""
    from zoo import modelfile

    check_output_file(output, force=force, suffix=".png")
    source = modelfile.resolve(model)

    from zoo.data.preview import write_png
    from zoo.explain.drawing import MAPS_A_ROW, draw_maps
    from zoo.explain.maps import stages

    image, found = stages(source, picture, count=MAPS_A_ROW)
    sheet = draw_maps(image, found, source.name, _noted(source))
    write_png(sheet, output)
    document = {
        "model": source.name,
        "picture": str(picture),
        "output": str(output),
        "stages": [{"layer": stage.layer, "shape": stage.shape} for stage in found],
        "size": list(sheet.size),
    }
    lines = [f"  {stage.layer}  {shape(stage.shape)}" for stage in found]
    return Result(
        document, "\n".join([f"{output}: the maps of {plural(len(found), 'layer')}", *lines])
    )


@command(
    explain,
    "cam",
    example="zoo explain cam runs/lenet5-digits seven.png -o cam.png\n"
    "zoo explain cam runs/lenet5-digits seven.png --label 1 -o cam.png",
)
def cam(
    model: ModelArg,
    picture: PictureArg,
    output: PngOutput,
    label: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What speaks for this class; left out, the likeliest."),
    ] = None,
    force: Force = False,
) -> Result:
    """Draw which places of a picture speak for a class, by Grad-CAM (Selvaraju et al. 2017)."""
    from zoo import modelfile

    check_output_file(output, force=force, suffix=".png")
    source = modelfile.resolve(model)

    from zoo.data.letters import drawn
    from zoo.data.pictures import on_one_line
    from zoo.data.preview import write_png
    from zoo.explain.cam import look
    from zoo.explain.drawing import draw_cam

    found = look(source, picture, label)
    note = _noted(source)
    label = shortened(drawn(on_one_line(found.label), f"class {found.index}"), _LABEL_LETTERS)
    title = f"{source.name}: what speaks for {label}"
    lines = [
        f"Its probability is {percent(found.probability)}. Grad-CAM of {found.layer}, from blue, "
        "nothing, to red, the most.",
        *([f"{note[0].upper()}{note[1:]}."] if note else []),
    ]
    sheet = draw_cam(found.image, found.shares, title, lines)
    write_png(sheet, output)
    document = {
        "model": source.name,
        "picture": str(picture),
        "output": str(output),
        "label": found.label,
        "probability": found.probability,
        "layer": found.layer,
        "map": found.map.tolist(),
        "size": list(sheet.size),
    }
    text = (
        f"{output}: what speaks for {on_one_line(found.label)} ({percent(found.probability)}), "
        f"by {found.layer} of {shape(found.map.shape)}"
    )
    return Result(document, text)


def _noted(source: "Source") -> str:
    """Notes that nothing is trained, and gives the note; empty where something is."""
    if source.description.is_trained:
        return ""
    OUTPUT.note(RANDOM_NOTE)
    return RANDOM_NOTE
