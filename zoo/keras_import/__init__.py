"""Models that Keras saved, as model files; neither Keras nor TensorFlow is needed."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from zoo import layer_specs, modelfile
from zoo.description import Arguments, Description, describe
from zoo.errors import ModelFileError, UsageError
from zoo.files import check_output_file, disk_errors
from zoo.keras_import.config import KerasLayer, KerasModel, parse
from zoo.keras_import.conversion import (
    Conversion,
    Converted,
    check_output,
    check_vectors,
    with_output,
)
from zoo.keras_import.notes import ends_in, said_of
from zoo.keras_import.reading import KerasFile, open_file
from zoo.layer_specs import Shape
from zoo.schema import Preprocess
from zoo.summary import Summary, summarize

ARCHITECTURE = "keras-sequential"


@dataclass(frozen=True)
class Imported:
    """A model file that was written."""

    path: Path
    description: Description
    after: Summary
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Scale:
    """How the model has learned to see pictures; None where it is not known."""

    rescale: float | None = None
    """What the values of 0 to 255 were multiplied by."""
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def import_keras(
    source: Path,
    output: Path,
    *,
    classes: Sequence[str] = (),
    input_size: tuple[int, int] | None = None,
    scale: Scale | None = None,
    force: bool = False,
) -> Imported:
    """Writes a Keras file's model as a model file whose outputs are the same.

    Args:
        source: an `.h5` or `.keras` file.
        output: the model file to write.
        classes: their names in the order of the outputs; a Keras file holds none.
        input_size: height and width, where the file leaves them open.
        scale: how pictures were scaled in training; a Keras file does not say.
        force: replaces an existing output.

    Raises:
        ModelFileError: the file is refused, or has a layer that can't be imported.
        NotFoundError: there is no such file.
        UsageError: h5py is missing, or classes, size or scale do not suit the model.
        OutputExistsError: the output exists and `force` is false.
        DiskError: a file can't be read or written.
    """
    check_output_file(output, force=force)
    with open_file(source) as file:
        model = parse(file.config)
        shape = _picture_shape(model, input_size)
        layers, after = _converted(model, shape, file.keras_major)
        parameters = sum(layer.spec.params for layer in layers)
        if parameters > file.size // 2:  # no number takes less than two bytes
            raise ModelFileError(
                f"Its layers have {parameters:,} parameters, more than {file.size:,} bytes hold."
            )
        arguments = Arguments(
            num_classes=2 if ends_in(layers, "output-sigmoid") else after[0],
            in_channels=shape[0],
            input_size=(shape[1], shape[2]),
            layers=tuple(layer.spec for layer in layers),
        )
        description = _described(source, arguments, layers, scale or Scale())
        if classes:
            _check_classes(classes, after, arguments.num_classes)
            description = description.model_copy(update={"classes": tuple(classes)})
        network = modelfile.skeleton(description)
        tensors = _tensors(network, file, model, layers)
    modelfile.assign(network, tensors, str(source))
    modelfile.save(output, network, description)
    # On shapes alone: a few weights can make maps of any size.
    outline = modelfile.outline(description)
    found = summarize(outline, description.input_shape, name=source.name)
    notes = tuple(said_of(model, layers, _names(model.layers), after, description))
    return Imported(output, description, found, notes)


def _picture_shape(model: KerasModel, input_size: tuple[int, int] | None) -> tuple[int, int, int]:
    """Channels, height, width."""
    sides = model.input_shape
    if len(sides) == 2:
        sides = (*sides, 1)
    if len(sides) != 3:
        text = "×".join("?" if side is None else str(side) for side in sides)
        raise ModelFileError(f"It takes {text or 'single numbers'}, which are no pictures.")
    height, width, channels = sides
    if channels is None:
        raise ModelFileError("It does not say how many channels its pictures have.")
    if height is None or width is None:
        if input_size is None:
            raise UsageError(
                "The model takes pictures of any size: which shall it be?", hint="--input-size 224"
            )
        height, width = height or input_size[0], width or input_size[1]
    if input_size not in (None, (height, width)):
        raise UsageError(f"--input-size does not apply: the model takes {height}×{width}.")
    if not 1 <= channels <= 4096 or not all(1 <= side <= 4096 for side in (height, width)):
        raise ModelFileError(f"It takes pictures of {height}×{width} with {channels} channels.")
    return channels, height, width


def _converted(model: KerasModel, shape: Shape, keras_major: int) -> tuple[list[Converted], Shape]:
    """The layers as ours, and the shape of what the last one gives."""
    if not model.layers:
        raise ModelFileError("It has no layers.")
    denses = sum(layer.kind == "Dense" for layer in model.layers)
    conversion = Conversion(shape, keras_major, denses)
    names = _names(model.layers)
    layers, shapes = [], []
    for layer in model.layers:
        layers.append(conversion.convert(layer, names[layer.name]))
        shapes.append(conversion.shape)
    check_output(model.layers, conversion.shape)
    if len(model.input_shape) == 2:
        check_vectors(layers)
    layers = with_output(layers, shapes)
    try:
        layer_specs.check_chain([layer.spec for layer in layers], shape)
    except ValueError as error:
        raise ModelFileError(f"It can't be imported: {error}.") from error
    return layers, conversion.shape


def _names(layers: Sequence[KerasLayer]) -> dict[str, str]:
    """A name for each layer that a module can have, Keras's own where it can."""
    taken = set(dir(nn.Sequential()))
    found: dict[str, str] = {}
    for layer in layers:
        name = re.sub(r"[^A-Za-z0-9_]", "_", layer.name)[:100] or layer.kind.lower()
        while name in taken:
            name += "_"
        taken.add(name)
        found[layer.name] = name
    return found


def _described(
    source: Path, arguments: Arguments, layers: Sequence[Converted], scale: Scale
) -> Description:
    digest = hashlib.sha256()
    with disk_errors("read", source), source.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    rescales = isinstance(layers[0].spec, layer_specs.Rescaling)
    if rescales and scale != Scale():
        raise UsageError(
            "The model's first layer scales the pictures itself.",
            hint="--rescale, --mean and --std are for models that do not.",
        )
    for flag, values in (("--mean", scale.mean), ("--std", scale.std)):
        if values is not None and len(values) not in (1, arguments.in_channels):
            raise UsageError(
                f"{flag} has {len(values)} values, but the network {arguments.in_channels} "
                "channels."
            )
    wishes = Preprocess(
        rescale=1.0 if rescales else scale.rescale,
        mean=scale.mean or (0.0,),
        std=scale.std or (1.0,),
    )
    height, width = arguments.input_size
    described = describe(
        ARCHITECTURE, arguments.num_classes, arguments.in_channels, (height, width), wishes
    )
    return described.model_copy(
        update={
            "arguments": arguments,
            "origin": f"Keras file, SHA-256 {digest.hexdigest()}",
            "states_scale": rescales or scale != Scale(),
        }
    )


def _check_classes(classes: Sequence[str], after: Shape, count: int) -> None:
    if len(after) != 1 or count < 2:
        raise UsageError("--classes does not apply: the model tells none apart.")
    if len(classes) != count or len({*classes}) != count or not all(classes):
        raise UsageError(
            f"--classes needs {count} different names; these are {len({*classes} - {''})}."
        )


def _tensors(
    network: nn.Module, file: KerasFile, model: KerasModel, layers: Sequence[Converted]
) -> dict[str, Tensor]:
    """Each tensor of the network, from the file's weights."""
    wanted = {
        layer.name: converted.weights for layer, converted in zip(model.layers, layers, strict=True)
    }
    tensors = {
        weight.target: torch.from_numpy(weight.turn(values).copy(order="C"))
        for weight, values in file.tensors(model.stored, wanted)
    }
    if broken := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise ModelFileError(f"Weights that are not finite: {', '.join(broken[:5])}.")
    # Counters of batches: Keras has none, and PyTorch uses them only without a momentum.
    return {**{name: t for name, t in network.state_dict().items() if not t.is_meta}, **tensors}
