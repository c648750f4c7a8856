"""`zoo export`: a model for other runtimes, checked in them."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.app import OUTPUT, app, command
from zoo.cli.options import DataDirectory, ExportFormat, Force, ModelArg, RecipeOption
from zoo.cli.output import Result, percent, plural, shape

if TYPE_CHECKING:
    from zoo.export import Made


@command(
    app,
    "export",
    example="zoo export runs/lenet5-digits -o lenet5.onnx\n"
    "zoo export runs/lenet5-digits --embed-preprocess --softmax -o lenet5.onnx\n"
    "zoo export runs/lenet5-digits --format onnx-int8 -o small.onnx\n"
    "zoo export resnet18 --format pt2 -o resnet18.pt2\n"
    "zoo export runs/lenet5-digits -o tensors.safetensors",
)
def export(
    model: ModelArg,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")
    ],
    format_name: Annotated[
        ExportFormat | None,
        typer.Option(
            "--format",
            help="onnx for onnxruntime and many more, onnx-int8 for the same in 8 bits, pt2 for "
            "torch without zoo, safetensors for plain tensors; left out, what the output is called "
            "after, else onnx.",
        ),
    ] = None,
    opset: Annotated[
        int | None,
        typer.Option(metavar="N", help="ONNX operator set; left out, the exporter's own choice."),
    ] = None,
    embed_preprocess: Annotated[
        bool,
        typer.Option(
            "--embed-preprocess",
            help="Take decoded pictures, (N, height, width, channels) in uint8, of any size: they "
            "are resized, scaled and normalized inside.",
        ),
    ] = False,
    softmax: Annotated[
        bool, typer.Option("--softmax", help="Give probabilities instead of logits.")
    ] = False,
    no_check: Annotated[
        bool,
        typer.Option(
            "--no-check",
            help="Do not compare the file's answers with the network's; the file says so.",
        ),
    ] = False,
    calibration_images: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Pictures of the recipe that onnx-int8 finds its ranges on; left out, 512.",
        ),
    ] = None,
    recipe: RecipeOption = None,
    data: DataDirectory = None,
    force: Force = False,
) -> Result:
    """Write a model for other runtimes. Exit 10, and no file, where its answers differ."""
    from zoo.export import Wishes, export_file

    made = export_file(
        model,
        output,
        None if format_name is None else format_name.value,
        Wishes(
            opset=opset,
            embed_preprocess=embed_preprocess,
            softmax=softmax,
            checked=not no_check,
            recipe_name=recipe,
            data=data,
            calibration_images=calibration_images,
        ),
        force=force,
    )
    for note in made.notes:
        OUTPUT.note(note)
    document = {
        "output": str(made.path),
        "format": made.document.kind,
        **made.settings,
        "data": None if made.data_path is None else str(made.data_path),
        "bytes": made.bytes,
        "input": made.input,
        "gives": made.document.gives,
        "output_shape": [None, *made.output_shape],
        "classes": made.classes,
        "calibration": _calibration(made),
        "parity": _parity(made),
    }
    return Result(document, _text(made))


def _calibration(made: "Made") -> dict[str, Any] | None:
    found = made.document.calibration
    return None if found is None else found.model_dump(mode="json")


def _parity(made: "Made") -> dict[str, Any]:
    found = made.document.parity
    if found is None:
        return {"checked": False, "max_abs_diff": None, "top1_agreement": None, "batches": []}
    return {"checked": True, "runtime": made.runtime, **found.model_dump(mode="json")}


def _text(made: "Made") -> str:
    settings = "".join(f", {name} {value}" for name, value in made.settings.items())
    beside = "" if made.data_path is None else f", weights in {made.data_path.name}"
    rows = [
        ("input", _input(made.input)),
        *_preparation(made.input),
        ("output", f"{made.document.gives}: float32, {shape(['N', *made.output_shape])}"),
        *_calibrated(made),
        *_check(made),
    ]
    return "\n".join(
        (
            f"{made.path}: {made.document.kind}{settings}, {made.bytes / 1e6:.2f} MB{beside}",
            "",
            *(f"  {name:<8} {text}" for name, text in rows),
            *_next(made),
        )
    )


def _input(contract: dict[str, Any]) -> str:
    if contract["embedded"]:
        sides = ["N", "height", "width", contract["shape"][-1]]
        any_size = ", decoded, of any size"
    else:
        sides, any_size = ["N", *contract["shape"][1:]], ""
    kind = f"{contract['name']}: {contract['dtype']}, {contract['layout']}"
    return f"{kind}, {shape(sides)}{any_size}"


def _preparation(contract: dict[str, Any]) -> list[tuple[str, str]]:
    """What becomes of a picture, inside or before."""
    who = "inside" if contract["embedded"] else "before"
    content, size = shape(contract["content"]), shape(contract["size"])
    around = "" if content == size else f" in the middle of {size}, black around it"
    how = contract["interpolation"] + (
        "" if contract["interpolation"] == "nearest" else ", antialiased"
    )
    rescale = contract["rescale"]
    steps = [] if rescale == 1 else [f"/ {1 / rescale:.6g}" if rescale < 1 else f"× {rescale:.6g}"]
    steps += ["− the picture's own mean"] * contract["samplewise_center"]
    steps += ["/ (the picture's own std + 1e-6)"] * contract["samplewise_std_normalization"]
    steps += [f"− {_numbers(contract['mean'])}"] * any(contract["mean"])
    steps += [f"/ {_numbers(contract['std'])}"] * any(value != 1 for value in contract["std"])
    return [
        (who, f"{contract['fit']} to {content}{around} ({how})"),
        *([("", f"values {', '.join(steps)}")] if steps else []),
    ]


def _calibrated(made: "Made") -> list[tuple[str, str]]:
    found = made.document.calibration
    return (
        []
        if found is None
        else [("ranges", f"of {plural(found.images, 'picture')} of {found.recipe}")]
    )


def _check(made: "Made") -> list[tuple[str, str]]:
    found = made.document.parity
    if found is None:
        return [("check", "none: --no-check")]
    origin = "random pictures" if found.recipe is None else f"pictures of {found.recipe}"
    sizes = " and ".join(str(size) for size in found.batches)
    agreement = (
        "" if found.top1_agreement is None else f", same class for {percent(found.top1_agreement)}"
    )
    return [
        ("check", f"in {made.runtime}, {found.images} {origin} in batches of {sizes}:"),
        ("", f"differs by at most {found.max_abs_diff:.1e} of {made.largest:.3g}{agreement}"),
    ]


def _next(made: "Made") -> tuple[str, ...]:
    predicts = made.document.kind != "safetensors" and made.document.gives != "features"
    if not predicts or not made.document.description.is_trained:
        return ()
    return "", "next:", f"  zoo predict {shlex.quote(str(made.path))} PICTURE"


def _numbers(values: list[float]) -> str:
    texts = [f"{value:.6g}" for value in values]
    return texts[0] if len(set(texts)) == 1 else f"({', '.join(texts)})"
