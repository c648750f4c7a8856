"""Option types, each defined once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from zoo import catalog, tables
from zoo.errors import UsageError


class BadPictures(StrEnum):
    """What to do with pictures that can't be read."""

    error = "error"
    skip = "skip"


class PrecisionName(StrEnum):
    """Which arithmetic; the names of zoo/precision.py, which imports torch."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


class OptimizerName(StrEnum):
    """`train.optimizer`'s names in zoo/schema/train.py, which imports pydantic."""

    adam = "adam"
    adamw = "adamw"
    sgd = "sgd"
    rmsprop = "rmsprop"


class ScheduleName(StrEnum):
    """`train.schedule`'s names."""

    cosine = "cosine"
    one_cycle = "one-cycle"
    step = "step"
    multi_step = "multi-step"
    plateau = "plateau"
    constant = "constant"


class HeadForm(StrEnum):
    """`form`'s names in zoo/surgery/head.py, which imports torch."""

    pool = "pool"
    flatten = "flatten"


class ExportFormat(StrEnum):
    """`zoo.export.FORMATS`' names, which imports torch."""

    onnx = "onnx"
    onnx_int8 = "onnx-int8"
    pt2 = "pt2"
    safetensors = "safetensors"


def _complete_architecture(incomplete: str) -> list[str]:
    library, slash, _ = incomplete.partition("/")
    libraries = [f"{name}/" for name in tables.LIBRARIES]
    names = [card.name for card in catalog.CARDS]
    if slash and f"{library}/" in libraries:
        names += [card.name for card in catalog.cards_of(library)]
    else:
        names += libraries
    return [name for name in names if name.startswith(incomplete)]


def _complete_recipe(incomplete: str) -> list[str]:
    from zoo import shipped

    return [name for name in shipped.names() if name.startswith(incomplete)]


ModelArg = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="An architecture, a model file, or a run directory (its best weights).",
        autocompletion=_complete_architecture,
    ),
]
ModelsArg = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL...",
        help="Architectures, model files, run directories (their best weights), or exported .onnx "
        "and .pt2.",
        autocompletion=_complete_architecture,
    ),
]
LookedAtArg = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="An architecture, a model file, a run directory (its best weights), or an exported "
        "file.",
        autocompletion=_complete_architecture,
    ),
]
TrainedArg = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A model file, a run directory (its best weights), or an exported .onnx or .pt2.",
    ),
]
OptionalModelArg = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        help="An architecture, a model file, or a run directory (its best weights); left out with "
        "--resume.",
        autocompletion=_complete_architecture,
    ),
]
OutputFile = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE", help="The model file to write.")
]
OutputUnlessDry = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="The model file to write; optional with --dry-run."
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would change, and write nothing.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing output.")]
RecipeOption = Annotated[
    str | None,
    typer.Option(
        metavar="RECIPE",
        help="A shipped recipe's name, a YAML file, or a run to repeat.",
        autocompletion=_complete_recipe,
    ),
]
RecipeArg = Annotated[
    str | None,
    typer.Argument(
        metavar="RECIPE",
        help="A shipped recipe's name or a YAML file; left out, --data means `folder`.",
        autocompletion=_complete_recipe,
    ),
]
DataDirectory = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Where the pictures are: your own directory of them, or the first place to look "
        "for a named set. Without --recipe it means the recipe `folder`.",
    ),
]
OnBad = Annotated[
    BadPictures | None,
    typer.Option(
        help="What to do when pictures can't be read: list them and stop, or leave them out."
    ),
]
SplitFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Split the pictures as another run did, by its split.csv."),
]
Offline = Annotated[
    bool,
    typer.Option("--offline", help="Download nothing; so does ZOO_OFFLINE=1."),
]
NumClasses = Annotated[
    int | None,
    typer.Option(min=1, max=1_000_000, metavar="N", help="Length of the output."),
]
InChannels = Annotated[
    int | None, typer.Option(min=1, max=4096, metavar="N", help="Channels of the pictures.")
]
InputSize = Annotated[
    str | None,
    typer.Option(metavar="N|HxW", help="Height and width of the pictures, such as 64 or 64x48."),
]
NoTop = Annotated[
    bool,
    typer.Option(
        "--no-top",
        help="End with the last feature maps: Keras's include_top=False.",
    ),
]
_LAYER_FIELDS = "LAYER.FIELD=VALUE of a convolution: out_channels, kernel_size, stride, padding"
LayerSettings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help=f"{_LAYER_FIELDS}. Repeatable."),
]
DatasetSettings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="The recipe's dataset.KEY=VALUE. Repeatable."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="The recipe's SECTION.KEY=VALUE. Repeatable."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help=f"The recipe's SECTION.KEY=VALUE, or {_LAYER_FIELDS}. Repeatable.",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=2**63 - 1,
        metavar="N",
        help="Draws first weights, order, augmentation and dropout; not the split.",
    ),
]
Device = Annotated[
    str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps; auto is the fastest.")
]
PrecisionOption = Annotated[
    PrecisionName,
    typer.Option(
        "--precision",
        help="Arithmetic of forward passes: figures in fp32 agree between machines; bf16 and fp16 "
        "are faster where the device has them; auto is bf16 there, else fp32.",
    ),
]
Threads = Annotated[int | None, typer.Option(min=1, max=1024, metavar="N", help="CPU threads.")]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="Start from published weights (imagenet, or a name that `zoo show MODEL` lists), a "
        "model file, a run, plain safetensors, or a .pt/.pth state dict.",
    ),
]


def chosen_recipe(recipe: str | None, directory: Path | None, *, has_weights: bool) -> str:
    """The recipe given, or what --data alone means.

    Raises:
        UsageError: neither is given.
    """
    if recipe is not None:
        if has_weights:
            raise UsageError(
                "--weights chooses the recipe of --data alone; with a recipe it does not apply."
            )
        return recipe
    if directory is None:
        raise UsageError(
            "Which pictures? Neither a recipe nor --data is given.",
            hint="zoo recipes list shows every recipe; --data DIR means your own pictures.",
        )
    from zoo.recipe import folder_recipe

    return folder_recipe(has_weights=has_weights)


WeightsForRecipe = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="NAME|FILE",
        help="As for train: --data then means the recipe `folder-finetune`.",
    ),
]


def parse_size(text: str | None) -> tuple[int, int] | None:
    """`64` or `64x48` as height and width.

    Raises:
        UsageError: it is neither.
    """
    if text is None:
        return None
    sides = text.lower().replace("×", "x").split("x")
    if len(sides) not in (1, 2) or not all(_is_side(side) for side in sides):
        raise UsageError(f"--input-size {text}: expected a side of 1 to 4096, or two: 64x48.")
    height, width = sides * 2 if len(sides) == 1 else sides
    return int(height), int(width)


def check_share(option: str, share: float | None) -> None:
    """Refuses a value that is no share, such as a percentage.

    Raises:
        UsageError: it lies outside [0, 1]; the hint is what was most likely meant.
    """
    if share is not None and not 0 <= share <= 1:
        raise UsageError(
            f"{option} {share} is no share in [0, 1].",
            hint=f"{option} {share / 100:g}" if 2 <= share <= 100 else "",
        )


def _is_side(text: str) -> bool:
    return text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= 4096
