"""What a Keras file says of its model's layers: a `Sequential`, or a plain chain."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from zoo.errors import ModelFileError
from zoo.layer_specs import MAX_LAYERS

SUPPORTED = (
    "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "ZeroPadding2D", "MaxPooling2D",
    "AveragePooling2D", "GlobalMaxPooling2D", "GlobalAveragePooling2D", "Flatten", "Dense",
    "BatchNormalization", "Dropout", "SpatialDropout2D", "Activation", "ReLU", "LeakyReLU", "ELU",
    "Softmax", "Rescaling",
)  # fmt: skip
_MODELS = ("Sequential", "Functional", "Model")
_WORKING = f"Layers that can be imported: Input, {', '.join(SUPPORTED)}."


@dataclass(frozen=True)
class KerasLayer:
    """One layer as Keras describes it."""

    kind: str
    """Its class, such as `Conv2D`."""
    name: str
    settings: Mapping[str, Any]

    def refuse(self, reason: str, hint: str = "") -> NoReturn:
        """Refuses the file for this layer.

        Raises:
            ModelFileError: always.
        """
        raise ModelFileError(f"{self.name} ({self.kind}): {reason}.", hint=hint)


@dataclass(frozen=True)
class KerasModel:
    """A model whose layers stand in a row."""

    layers: tuple[KerasLayer, ...]
    """In the order they run, without the input."""
    stored: tuple[KerasLayer, ...]
    """The same in the order they are stored."""
    input_shape: tuple[int | None, ...]
    """Without the batch: height, width and, but for a gray picture, channels."""


def parse(text: str | bytes) -> KerasModel:
    """The model that a config describes.

    Raises:
        ModelFileError: it is no plain chain, or has a layer that can't be imported.
    """
    try:
        found = json.loads(text, parse_constant=_no_number)
    except RecursionError as error:
        raise ModelFileError("Its description of the layers is nested too deeply.") from error
    except ValueError as error:
        raise ModelFileError(f"Its description of the layers is no JSON: {error}.") from error
    kind, config = _of(found, "class_name"), _of(found, "config")
    if kind not in _MODELS:
        raise ModelFileError(
            f"It holds a {kind}, which is neither a Sequential nor a functional model.",
            hint="A model that is a class of its own is code, which no file holds.",
        )
    entries = config if isinstance(config, list) else _of(config, "layers")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_LAYERS:
        raise ModelFileError(f"It should list from 1 to {MAX_LAYERS:,} layers.")
    layers = [_layer(entry) for entry in entries]
    if len({layer.name for layer in layers}) < len(layers):
        raise ModelFileError("Two of its layers have the same name.")
    chain = layers if kind == "Sequential" else _in_order(layers, entries, config)
    shape = _input_shape(chain, config)
    return KerasModel(
        tuple(layer for layer in chain if layer.kind != "InputLayer"),
        tuple(layer for layer in layers if layer.kind != "InputLayer"),
        shape,
    )


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _of(mapping: Any, key: str) -> Any:
    if not isinstance(mapping, dict) or key not in mapping:
        raise ModelFileError(f"Its description of the layers lacks {key!r}.")
    return mapping[key]


def _layer(entry: Any) -> KerasLayer:
    kind, settings = _of(entry, "class_name"), _of(entry, "config")
    if not isinstance(kind, str) or not isinstance(settings, dict):
        raise ModelFileError("Its description of the layers is none that Keras writes.")
    name = settings.get("name", entry.get("name", kind.lower()))
    if not isinstance(name, str):
        raise ModelFileError(f"A {kind} has no proper name.")
    layer = KerasLayer(kind, name, settings)
    module = entry.get("module")
    if kind == "Lambda":
        layer.refuse("it is code, and no code of a file is run", _WORKING)
    if kind in _MODELS:
        layer.refuse("it is a model inside the model", "Only layers in one row can be imported.")
    is_keras = module is None or (isinstance(module, str) and _is_kerass(module))
    if not is_keras or entry.get("registered_name") not in (None, kind, f"Keras>{kind}"):
        layer.refuse("it is a layer of one's own, whose code the file does not hold", _WORKING)
    if kind not in (*SUPPORTED, "InputLayer"):
        layer.refuse("no such layer can be imported", _WORKING)
    return layer


def _is_kerass(module: str) -> bool:
    return module.partition(".")[0] in ("keras", "tf_keras", "tensorflow")


def _in_order(
    layers: Sequence[KerasLayer], entries: Sequence[Any], config: Any
) -> list[KerasLayer]:
    """The layers of a functional model from its input to its output.

    Raises:
        ModelFileError: it branches.
    """
    following: dict[str, KerasLayer] = {}
    start: KerasLayer | None = None
    for layer, entry in zip(layers, entries, strict=True):
        nodes = _of(entry, "inbound_nodes")
        if layer.kind == "InputLayer" or not nodes:
            if start is not None or layer.kind != "InputLayer":
                layer.refuse("the model has several inputs, or none", _ONE_ROW)
            start = layer
            continue
        if len(nodes) > 1:
            layer.refuse("it is used several times", _ONE_ROW)
        sources = list(_sources(layer, nodes[0]))
        if len(sources) != 1:
            layer.refuse(f"it has {len(sources)} inputs", _ONE_ROW)
        if sources[0] in following:
            layer.refuse(
                f"the model branches: {following[sources[0]].name} reads {sources[0]} too", _ONE_ROW
            )
        following[sources[0]] = layer
    chain = [] if start is None else [start]
    while chain and len(chain) <= len(layers) and chain[-1].name in following:
        chain.append(following[chain[-1].name])
    ends = _ends(_of(config, "output_layers"))
    if len(chain) != len(layers) or ends != [chain[-1].name]:
        raise ModelFileError("Its layers do not stand in one row.", hint=_ONE_ROW)
    return chain


_ONE_ROW = "Only models whose layers stand in one row can be imported."


def _ends(found: Any) -> list[Any]:
    """Names in `["dense", 0, 0]` or `[["dense", 0, 0]]`."""
    if isinstance(found, list) and found and isinstance(found[0], str):
        return found[:1]
    return [entry[0] for entry in found]


def _sources(layer: KerasLayer, node: Any) -> Iterator[str]:
    """The layers that a call of a layer reads, in Keras 3's form or in Keras 2's."""
    if isinstance(node, dict):
        _check_call(layer, node.get("kwargs") or {})
        for argument in node["args"]:
            if not isinstance(argument, dict) or argument.get("class_name") != "__keras_tensor__":
                layer.refuse("it is called with more than the layer before it", _ONE_ROW)
            yield str(argument["config"]["keras_history"][0])
        return
    for name, *_, keywords in node:
        _check_call(layer, keywords if isinstance(keywords, dict) else {})
        yield str(name)


def _check_call(layer: KerasLayer, keywords: Mapping[str, Any]) -> None:
    for key, value in keywords.items():
        if value is not None and (key, value) != ("training", False):
            layer.refuse(f"it is called with {key}, which can't be imported", _ONE_ROW)


def _input_shape(layers: Sequence[KerasLayer], config: Any) -> tuple[int | None, ...]:
    """The shape of the input, as the first layer or the model states it."""
    given = layers[0].settings
    shape = given.get("batch_shape", given.get("batch_input_shape"))
    if shape is None and isinstance(config, dict):
        shape = config.get("build_input_shape")
    if shape is None:
        raise ModelFileError(
            "It does not say which pictures it takes: the model was saved before it was built.",
            hint="Give its first layer an input shape in Keras, and save it again.",
        )
    sides = shape[1:]
    if not all(side is None or type(side) is int for side in sides):
        raise ModelFileError("The shape of its input is none.")
    if any(layer.kind == "InputLayer" for layer in layers[1:]):
        raise ModelFileError("It has an input in the middle.")
    return tuple(sides)
