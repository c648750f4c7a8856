"""What people should know of a model that was imported from Keras."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zoo import layer_specs
from zoo.description import Description
from zoo.keras_import.config import KerasLayer, KerasModel
from zoo.keras_import.conversion import Converted
from zoo.layer_specs import Shape


def ends_in(layers: Sequence[Converted], function: str) -> bool:
    """Whether that is the model's output, whatever follows: only there it has that name."""
    specs: list[Any] = [layer.spec for layer in layers]
    found = [getattr(one, "function", None) or getattr(one, "activation", None) for one in specs]
    return any(one is not None and one.name == function for one in found)


def said_of(
    model: KerasModel,
    layers: Sequence[Converted],
    names: Mapping[str, str],
    after: Shape,
    description: Description,
) -> Iterator[str]:
    """What the user should know.

    Args:
        model: Keras's.
        layers: ours, one for each of Keras's.
        names: that Keras's layers have here.
        after: shape of what the last layer gives.
        description: of our network.
    """
    renamed = [f"{theirs} is {ours}" for theirs, ours in names.items() if theirs != ours]
    if renamed:
        yield f"layers renamed: {', '.join(renamed)}"
    if description.arguments.tells_no_classes:
        kind = "maps" if len(after) > 1 else "a single number"
        yield f"the model ends in {kind}: it gives features and tells no classes apart"
    elif not any(ends_in(layers, name) for name in ("output-softmax", "output-sigmoid")):
        yield from _on_output(layers)
    elif not description.classes:
        yield "a Keras file names no classes: without --classes, labels are indices of its outputs"
    of_maps = [
        converted.spec.name
        for layer, converted in zip(model.layers, layers, strict=True)
        if layer.kind == "Dense" and isinstance(converted.spec, layer_specs.Conv2d)
    ]
    if of_maps:
        yield f"a Dense that reads 1×1 maps is a 1×1 convolution here: {', '.join(of_maps)}"
    if isinstance(layers[0].spec, layer_specs.Rescaling):
        yield f"pictures stay in 0 to 255: {layers[0].spec.name} scales them"
    elif not description.states_scale:
        yield (
            "a Keras file does not say how pictures were scaled in training: until a recipe, "
            "--rescale, --mean or --std does, they are scaled to [0, 1] and no more"
        )
    frozen = [
        names[layer.name] for layer in model.layers if layer.settings.get("trainable") is False
    ]
    if frozen:
        yield f"frozen in Keras, trainable here: {', '.join(frozen)}"
    penalized = [
        names[layer.name]
        for layer in model.layers
        if any(value for key, value in layer.settings.items() if key.endswith("_regularizer"))
    ]
    if penalized:
        yield f"penalties on weights are left out (see train.weight_decay): {', '.join(penalized)}"
    if others := {name for layer in model.layers if (name := _policy(layer)) != "float32"}:
        yield f"Keras computed in {', '.join(sorted(others))}; the weights are float32 here"


def _on_output(layers: Sequence[Converted]) -> Iterator[str]:
    last: Any = layers[-1].spec
    function = getattr(last, "function", None) or getattr(last, "activation", None)
    if function is not None and function.name not in ("linear", "log-softmax"):
        yield (
            f"the model ends in {function.name}, not in a softmax: predict and evaluate take its "
            "outputs for logits, so the likeliest label is Keras's and the probability is not"
        )
    else:
        yield "the model ends without a softmax: its outputs are taken for logits"


def _policy(layer: KerasLayer) -> str:
    """The arithmetic of a layer."""
    found = layer.settings.get("dtype")
    if isinstance(found, dict):
        config = found.get("config")
        found = config.get("name") if isinstance(config, dict) else None
    return found if isinstance(found, str) else "float32"
