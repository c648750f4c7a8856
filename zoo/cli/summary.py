"""`zoo summary`: the layers of a network."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.app import app, command
from zoo.cli.options import (
    InChannels,
    InputSize,
    LayerSettings,
    LookedAtArg,
    NoTop,
    NumClasses,
)
from zoo.cli.outlined import outlined
from zoo.cli.output import Column, Result, Table, compact, count, plural, shape
from zoo.errors import ThresholdError

if TYPE_CHECKING:
    from zoo.summary import LayerSummary, Summary

COLUMNS = (
    Column("name", "Name"),
    Column("type", "Type"),
    Column("output_shape", "Output", shape),
    Column("kernel_size", "Kernel", lambda sides: _brief(sides)),
    Column("stride", "Stride", lambda sides: _brief(sides)),
    Column("padding", "Padding", lambda sides: _brief(sides)),
    Column("activation", "Activation", lambda name: name or ""),
    Column("params", "Parameters", count, right=True),
    Column("trainable_params", "Trainable", count, right=True),
    Column("mult_adds", "Mult-adds", count, right=True),
)
SPARES = ("padding", "stride", "kernel_size", "trainable_params", "activation", "type")
"""Columns that a narrow terminal does without, the first to go first."""


class Style(StrEnum):
    """Whose table to draw."""

    zoo = "zoo"
    keras = "keras"


@command(
    app,
    "summary",
    example="zoo summary lenet5\nzoo summary keras-mnist-cnn --style keras\n"
    "zoo summary lenet5 --assert-params 61706",
    table=True,
)
def summary(
    model: LookedAtArg,
    style: Annotated[
        Style, typer.Option(help="keras draws the table of Keras's model.summary().")
    ] = Style.zoo,
    input_size: InputSize = None,
    num_classes: NumClasses = None,
    in_channels: InChannels = None,
    settings: LayerSettings = None,
    no_top: NoTop = False,
    depth: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Join layers deeper than this many modules."),
    ] = None,
    assert_params: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Exit 10 unless the parameters with batch-norm statistics (Keras) are N.",
        ),
    ] = None,
    assert_torch_params: Annotated[
        int | None,
        typer.Option(metavar="N", help="Exit 10 unless the parameters alone (PyTorch) are N."),
    ] = None,
) -> Result:
    """Summarize a network: layers, shapes, parameters, multiply-adds."""
    from zoo import modelfile
    from zoo.summary import summarize

    name, description = outlined(
        model,
        num_classes=num_classes,
        in_channels=in_channels,
        input_size=input_size,
        settings=settings,
        no_top=no_top,
    )
    found = summarize(
        modelfile.outline(description), description.input_shape, name=name, depth=depth
    )
    rows = [_row(layer) for layer in found.layers]
    table = Table(COLUMNS, rows, spares=SPARES)
    result = Result({**_totals(found), "layers": rows}, _totals_text(found), table)
    if style is Style.keras:
        result = Result(result.document, _keras_totals(found), _keras_table(found))
    result.failure = _missed(found, assert_params, assert_torch_params)
    return result


def _row(layer: "LayerSummary") -> dict[str, Any]:
    return {**vars(layer), "trainable": layer.trainable}


def _totals(found: "Summary") -> dict[str, Any]:
    return {
        "model": found.model,
        "input_shape": found.input_shape,
        "total_params": found.total_params,
        "trainable_params": found.trainable_params,
        "non_trainable_params": found.non_trainable_params,
        "torch_params": found.torch_params,
        "mult_adds": found.mult_adds,
        "size_bytes": found.size_bytes,
    }


def _totals_text(found: "Summary") -> str:
    lines = [
        f"input {shape(found.input_shape)}, {plural(len(found.layers), 'layer')}, "
        f"{found.size_bytes / 1e6:.2f} MB",
        f"parameters with batch-norm statistics (Keras)  {count(found.total_params)}",
        f"parameters alone (PyTorch)                     {count(found.torch_params)}",
        f"  trainable                                    {count(found.trainable_params)}",
        f"  not trainable (of Keras's)                   {count(found.non_trainable_params)}",
        f"multiply-adds for one picture, biases included {compact(found.mult_adds)}",
    ]
    return "\n".join(lines)


# Keras's names for torch.nn's types.
_KERAS_TYPES = {
    "AdaptiveAvgPool2d": "GlobalAveragePooling2D",
    "AdaptiveMaxPool2d": "GlobalMaxPooling2D",
    "AvgPool2d": "AveragePooling2D",
    "BatchNorm1d": "BatchNormalization",
    "BatchNorm2d": "BatchNormalization",
    "Conv2d": "Conv2D",
    "Dropout2d": "SpatialDropout2D",
    "LayerNorm": "LayerNormalization",
    "Linear": "Dense",
    "MaxPool2d": "MaxPooling2D",
    "SeparableConv2d": "SeparableConv2D",
    "ShapedReLU": "ReLU",
    "ZeroPad2d": "ZeroPadding2D",
}


def _keras_table(found: "Summary") -> Table:
    columns = (
        Column("layer", "Layer (type)"),
        Column("output_shape", "Output Shape"),
        Column("params", "Param #", right=True),
    )
    rows = [
        {
            "layer": f"{layer.name} ({_KERAS_TYPES.get(layer.type, layer.type)})",
            "output_shape": _keras_shape(layer.output_shape),
            "params": layer.params,
        }
        for layer in found.layers
    ]
    return Table(columns, rows)


def _keras_shape(sides: tuple[int, ...] | None) -> str:
    """Keras names the batch None and puts the channels last."""
    if sides is None:
        return "–"
    channels_last = (*sides[1:], sides[0]) if len(sides) == 3 else sides
    return f"({', '.join(['None', *(str(side) for side in channels_last)])})"


def _keras_totals(found: "Summary") -> str:
    return "\n".join(
        (
            f"Total params: {count(found.total_params)}",
            f"Trainable params: {count(found.trainable_params)}",
            f"Non-trainable params: {count(found.non_trainable_params)}",
        )
    )


def _missed(found: "Summary", keras: int | None, torch: int | None) -> ThresholdError | None:
    wrong = (keras is not None and keras != found.total_params) or (
        torch is not None and torch != found.torch_params
    )
    if not wrong:
        return None
    asserted = " and ".join(
        f"{option} {number:,}"
        for option, number in (("--assert-params", keras), ("--assert-torch-params", torch))
        if number is not None
    )
    return ThresholdError(
        f"{found.model} has {found.total_params:,} parameters with batch-norm statistics (Keras) "
        f"and {found.torch_params:,} without (PyTorch); asserted was {asserted}."
    )


def _brief(sides: tuple[int, ...] | str | None) -> str:
    """`5×5`, `same`, or nothing where a layer has none."""
    if sides is None or isinstance(sides, str):
        return sides or ""
    return shape(sides)
