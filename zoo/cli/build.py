"""`zoo build`: an architecture as a model file."""

import shlex
from typing import TYPE_CHECKING

from zoo.cli.app import OUTPUT, app, command
from zoo.cli.following import on_model
from zoo.cli.layer_settings import parse_settings
from zoo.cli.options import (
    Force,
    InChannels,
    InputSize,
    LayerSettings,
    ModelArg,
    NoTop,
    NumClasses,
    Offline,
    OutputFile,
    Seed,
    Weights,
    parse_size,
)
from zoo.cli.output import Result, count
from zoo.cli.watch import watched

if TYPE_CHECKING:
    from zoo.summary import Summary


@command(
    app,
    "build",
    example="zoo build lenet5 -o lenet5.safetensors\n"
    "zoo build resnet50 --weights imagenet -o r50.safetensors\n"
    "zoo build lenet5 --num-classes 3 --set c1.out_channels=12 -o mine.safetensors\n"
    "zoo build vgg16 --no-top --input-size 150 -o features.safetensors",
)
def build(
    model: ModelArg,
    output: OutputFile,
    num_classes: NumClasses = None,
    in_channels: InChannels = None,
    input_size: InputSize = None,
    weights: Weights = None,
    settings: LayerSettings = None,
    no_top: NoTop = False,
    seed: Seed = None,
    offline: Offline = False,
    force: Force = False,
) -> Result:
    """Build a network and write it as a model file."""
    from zoo import building

    with watched(offline=offline) as watch:
        built = building.build_file(
            model,
            output,
            num_classes=num_classes,
            in_channels=in_channels,
            input_size=parse_size(input_size),
            weights=weights,
            downloads=watch.downloads,
            edits=parse_settings(settings),
            no_top=no_top,
            seed=seed,
            force=force,
        )
    for note in built.notes:
        OUTPUT.note(note)
    published = built.description.published
    document = {
        "output": str(built.path),
        "edits": list(built.description.edits),
        "before": counts(built.before),
        "after": counts(built.after),
        "weights": published and published.model_dump(),
    }
    path = shlex.quote(str(built.path))
    if built.description.is_trained and built.description.classes:
        further = f"zoo predict {path} PICTURE"
    else:
        further = on_model("train", built.path, built.description)
    text = (
        f"{built.path}: {built.description.architecture}, {count(built.after.total_params)} "
        f"parameters, {built.path.stat().st_size / 1e6:.2f} MB\n\nnext:\n  zoo summary {path}\n"
        f"  {further}"
    )
    return Result(document, text)


def counts(summary: "Summary") -> dict[str, int]:
    """What the JSON says of a network before or after a change."""
    return {
        "total_params": summary.total_params,
        "torch_params": summary.torch_params,
        "mult_adds": summary.mult_adds,
    }
