"""`zoo import`: models of other programs as model files."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.app import OUTPUT, command, group
from zoo.cli.build import counts
from zoo.cli.options import Force, InputSize, OutputFile, parse_size
from zoo.cli.output import Result, count
from zoo.errors import UsageError
from zoo.files import disk_errors

importing = group(
    "import",
    help="Models of other programs as model files.",
    example="zoo import keras previous.h5 -o previous.safetensors",
)

_MAX_NAMES_BYTES = 1 << 20


@command(
    importing,
    "keras",
    example="zoo import keras previous.h5 -o previous.safetensors\n"
    "zoo import keras cats.keras --classes cat,dog -o cats.safetensors",
)
def keras(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="What Keras saved: .h5 (Keras 2 and 3) or .keras."),
    ],
    output: OutputFile,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES|FILE",
            help="Class names in the order of the outputs, such as cat,dog; or a text file with "
            "one a line. A Keras file holds none.",
        ),
    ] = None,
    input_size: InputSize = None,
    rescale: Annotated[
        str | None,
        typer.Option(
            metavar="FACTOR",
            help="What values of 0 to 255 were multiplied by in training, such as 1/255, which is "
            "assumed.",
        ),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(metavar="NUMBERS", help="Subtracted after that: one, or one a channel."),
    ] = None,
    std: Annotated[
        str | None,
        typer.Option(metavar="NUMBERS", help="Divided by then: one, or one a channel."),
    ] = None,
    force: Force = False,
) -> Result:
    """Import a Sequential, or a plain chain, that Keras saved; Keras itself is not needed."""
    names = () if classes is None else _names(classes)
    factor = None if rescale is None else _positive("--rescale", rescale)[0]
    means = None if mean is None else _numbers("--mean", mean)
    deviations = None if std is None else _positive("--std", std)

    from zoo.keras_import import Scale, import_keras

    imported = import_keras(
        file,
        output,
        classes=names,
        input_size=parse_size(input_size),
        scale=Scale(factor, means, deviations),
        force=force,
    )
    for note in imported.notes:
        OUTPUT.note(note)
    description = imported.description
    document = {
        "output": str(imported.path),
        "edits": list(description.edits),
        "before": None,
        "after": counts(imported.after),
        "architecture": description.architecture,
        "layers": [layer.name for layer in imported.after.layers],
        "classes": list(description.classes),
    }
    path = shlex.quote(str(imported.path))
    text = (
        f"{imported.path}: {len(imported.after.layers)} layers, "
        f"{count(imported.after.total_params)} parameters, "
        f"{imported.path.stat().st_size / 1e6:.2f} MB\n\n"
        f"next:\n  zoo summary {path} --style keras"
    )
    if not description.is_headless:
        text += f"\n  zoo predict {path} PICTURE"
    return Result(document, text)


def _names(text: str) -> tuple[str, ...]:
    """Names in a text, or in the file that it names."""
    path = Path(text)
    if not path.is_file():
        return tuple(name.strip() for name in text.split(","))
    with disk_errors("read", path):
        if path.stat().st_size > _MAX_NAMES_BYTES:
            raise UsageError(f"--classes: {path} is too large to be a list of names.")
        content = path.read_bytes()
    try:
        return tuple(line.strip() for line in content.decode().splitlines() if line.strip())
    except UnicodeDecodeError as error:
        raise UsageError(f"--classes: {path} is no text.") from error


def _numbers(option: str, text: str) -> tuple[float, ...]:
    """`0.5`, `1/255` or `0.5,0.4,0.3`."""
    try:
        found = tuple(_number(part) for part in text.split(","))
    except (ValueError, ZeroDivisionError) as error:
        raise UsageError(f"{option} {text}: expected numbers, such as 1/255 or 0.5.") from error
    return found


def _number(text: str) -> float:
    above, slash, below = text.partition("/")
    number = float(above) / float(below) if slash else float(above)
    if not -1e6 < number < 1e6:
        raise ValueError("too large")
    return number


def _positive(option: str, text: str) -> tuple[float, ...]:
    found = _numbers(option, text)
    if min(found) <= 0 or (option == "--rescale" and len(found) > 1):
        raise UsageError(f"{option} {text}: expected what is above 0.")
    return found
