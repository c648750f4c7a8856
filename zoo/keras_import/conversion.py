"""Keras's layers as ours, and where each of their weights goes.

Keras puts channels last, (height, width, channels), PyTorch first. A kernel is turned; a Flatten
gives the same values in another order, so the weights of what reads them are put in that order.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from zoo import layer_specs as specs
from zoo.errors import ModelFileError
from zoo.keras_import.config import KerasLayer
from zoo.keras_import.settings import Settings, function_of
from zoo.layer_specs import Function, LayerSpec, Shape

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Turn = Callable[["Array"], "Array"]


@dataclass(frozen=True)
class Weight:
    """One weight of a Keras layer."""

    names: tuple[str, ...]
    """What Keras has called it."""
    shape: Shape
    """As Keras stores it."""
    target: str
    """The tensor of ours."""
    turn: Turn


@dataclass(frozen=True)
class Converted:
    """One layer of ours."""

    spec: LayerSpec
    weights: tuple[Weight, ...] = ()
    """In the order in which Keras counts them."""


@dataclass
class Conversion:
    """Converts layers one after another."""

    shape: Shape
    """What the next layer gets: channels, height, width; or the length of a vector."""
    keras_major: int
    """Some layers meant something else in Keras 2."""
    denses: int
    """How many layers still to come read a vector's values in our order."""
    maps: Shape | None = None
    """The maps whose values a vector holds in our order, not Keras's."""

    def convert(self, layer: KerasLayer, name: str) -> Converted:
        """The layer as ours.

        Args:
            layer: reads what the one before gives.
            name: a name that it can have here.

        Raises:
            ModelFileError: it does something that ours can't.
        """
        settings = Settings(layer)
        try:
            converted = _CONVERTERS[layer.kind](self, settings, name)
            self.shape = converted.spec.after(self.shape)
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(str(part) for part in problem["loc"])
            layer.refuse(f"{place}: {problem['msg']}")
        except ValueError as error:
            layer.refuse(str(error))
        settings.check_all_read()
        if isinstance(converted.spec, specs.Linear):
            self.maps = None
        self.denses -= layer.kind == "Dense"
        return converted


def _turn_vector(maps: Shape | None, values: "Array") -> "Array":
    """A value for each feature, in our order."""
    if maps is None:
        return values
    channels, height, width = maps
    return values.reshape(height, width, channels).transpose(2, 0, 1).reshape(-1)


def _turn_dense(maps: Shape | None, kernel: "Array") -> "Array":
    """(inputs, outputs) as (outputs, inputs), the inputs in our order."""
    if maps is not None:
        channels, height, width = maps
        kernel = kernel.reshape(height, width, channels, -1).transpose(2, 0, 1, 3)
        kernel = kernel.reshape(channels * height * width, -1)
    return kernel.T


def _turn_dense_of_maps(kernel: "Array") -> "Array":
    """(inputs, outputs) as the kernel of a 1×1 convolution."""
    return kernel.T[..., None, None]


def _own_function(conversion: Conversion, settings: Settings) -> Function | None:
    """The activation of a layer that does something besides; None where there is none."""
    function = function_of(settings, conversion.keras_major)
    return None if function.name == "linear" else function


def _same(values: "Array") -> "Array":
    return values


def _turn_kernel(kernel: "Array") -> "Array":
    """(height, width, inputs, outputs) as (outputs, inputs, height, width)."""
    return kernel.transpose(3, 2, 0, 1)


def _turn_depthwise(kernel: "Array") -> "Array":
    """(height, width, channels, multiplier) as (channels · multiplier, 1, height, width)."""
    height, width, channels, multiplier = kernel.shape
    return kernel.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)


def _bias(name: str, length: int, has_bias: bool) -> Iterator[Weight]:
    if has_bias:
        yield Weight(("bias",), (length,), f"{name}.bias", _same)


def _channels(conversion: Conversion, settings: Settings) -> int:
    settings.channels_last()
    if len(conversion.shape) != 3:
        settings.layer.refuse("it takes maps, and gets a vector")
    return conversion.shape[0]


def _check_no_groups(settings: Settings) -> None:
    """Keras 2 writes the groups of a depthwise convolution too, and always one."""
    if settings.whole("groups", 1) != 1:
        settings.layer.refuse("its groups can't be imported")


def _window(settings: Settings) -> dict[str, Any]:
    return {
        "kernel_size": settings.pair("kernel_size", ()),
        "stride": settings.pair("strides"),
        "dilation": settings.pair("dilation_rate"),
        "padding": settings.padding(),
    }


def _conv2d(conversion: Conversion, settings: Settings, name: str) -> Converted:
    channels, groups = _channels(conversion, settings), settings.whole("groups", 1)
    spec = specs.Conv2d(
        name=name, in_channels=channels, out_channels=settings.whole("filters"), groups=groups,
        bias=settings.switch("use_bias"), activation=_own_function(conversion, settings),
        **_window(settings),
    )  # fmt: skip
    shape = (*spec.kernel_size, channels // groups, spec.out_channels)
    kernel = Weight(("kernel",), shape, f"{name}.weight", _turn_kernel)
    return Converted(spec, (kernel, *_bias(name, spec.out_channels, spec.bias)))


def _depthwise(conversion: Conversion, settings: Settings, name: str) -> Converted:
    channels = _channels(conversion, settings)
    _check_no_groups(settings)
    multiplier = settings.whole("depth_multiplier", 1)
    spec = specs.Conv2d(
        name=name, in_channels=channels, out_channels=channels * multiplier, groups=channels,
        bias=settings.switch("use_bias"), activation=_own_function(conversion, settings),
        **_window(settings),
    )  # fmt: skip
    shape = (*spec.kernel_size, channels, multiplier)
    names = ("depthwise_kernel", "kernel")
    kernel = Weight(names, shape, f"{name}.weight", _turn_depthwise)
    return Converted(spec, (kernel, *_bias(name, spec.out_channels, spec.bias)))


def _separable(conversion: Conversion, settings: Settings, name: str) -> Converted:
    channels = _channels(conversion, settings)
    _check_no_groups(settings)
    multiplier = settings.whole("depth_multiplier", 1)
    spec = specs.SeparableConv2d(
        name=name, in_channels=channels, out_channels=settings.whole("filters"),
        multiplier=multiplier, bias=settings.switch("use_bias"),
        activation=_own_function(conversion, settings), **_window(settings),
    )  # fmt: skip
    depthwise = Weight(
        ("depthwise_kernel",), (*spec.kernel_size, channels, multiplier),
        f"{name}.depthwise_weight", _turn_depthwise,
    )  # fmt: skip
    pointwise = Weight(
        ("pointwise_kernel",), (1, 1, channels * multiplier, spec.out_channels),
        f"{name}.pointwise_weight", _turn_kernel,
    )  # fmt: skip
    return Converted(spec, (depthwise, pointwise, *_bias(name, spec.out_channels, spec.bias)))


def _zero_padding(conversion: Conversion, settings: Settings, name: str) -> Converted:
    _channels(conversion, settings)
    padding = settings.get("padding")
    both = padding if isinstance(padding, list | tuple) else (padding, padding)
    sides = [side if isinstance(side, list | tuple) else (side, side) for side in both]
    return Converted(specs.ZeroPad2d.model_validate({"name": name, "zeros": sides}))


def _pool(conversion: Conversion, settings: Settings, name: str) -> Converted:
    _channels(conversion, settings)
    size = settings.pair("pool_size", (2, 2))
    spec = specs.Pool2d(
        name=name, kind="max" if settings.layer.kind.startswith("Max") else "average",
        kernel_size=size, stride=settings.pair("strides", size), padding=settings.padding(),
    )  # fmt: skip
    return Converted(spec)


def _global_pool(conversion: Conversion, settings: Settings, name: str) -> Converted:
    _channels(conversion, settings)
    spec = specs.GlobalPool2d(
        name=name, kind="max" if settings.layer.kind.startswith("GlobalMax") else "average",
        keeps_dims=settings.switch("keepdims", default=False),
    )  # fmt: skip
    return Converted(spec)


def _flatten(conversion: Conversion, settings: Settings, name: str) -> Converted:
    settings.channels_last()
    mixes = len(conversion.shape) == 3 and math.prod(conversion.shape[1:]) > 1
    if mixes and conversion.denses:
        conversion.maps = conversion.shape
    # Where no weights follow that could be turned, the values stay in Keras's order.
    return Converted(specs.Flatten(name=name, channels_last=mixes and not conversion.denses))


def _dense(conversion: Conversion, settings: Settings, name: str) -> Converted:
    inputs, outputs = conversion.shape[0], settings.whole("units")
    has_bias, function = settings.switch("use_bias"), _own_function(conversion, settings)
    if conversion.shape[1:] == (1, 1):  # after a global pooling that keeps them
        of_maps = specs.Conv2d(
            name=name, in_channels=inputs, out_channels=outputs, kernel_size=(1, 1), bias=has_bias,
            activation=function,
        )  # fmt: skip
        kernel = Weight(("kernel",), (inputs, outputs), f"{name}.weight", _turn_dense_of_maps)
        return Converted(of_maps, (kernel, *_bias(name, outputs, has_bias)))
    if len(conversion.shape) != 1:
        settings.layer.refuse(
            "it gets maps, not a vector", "In Keras, a Flatten or a global pooling comes before it."
        )
    spec = specs.Linear(
        name=name, in_features=inputs, out_features=outputs, bias=has_bias, activation=function
    )
    turn = partial(_turn_dense, conversion.maps)
    kernel = Weight(("kernel",), (inputs, outputs), f"{name}.weight", turn)
    return Converted(spec, (kernel, *_bias(name, outputs, spec.bias)))


def _batch_norm(conversion: Conversion, settings: Settings, name: str) -> Converted:
    shape, layer = conversion.shape, settings.layer
    axis = settings.get("axis", -1)
    if axis not in (-1, [-1], len(shape), [len(shape)]):
        layer.refuse(f"its axis {axis} is not that of the channels")
    if settings.get("renorm", False):
        layer.refuse("its renorm can't be imported")
    spec = specs.BatchNorm.model_validate({
        "name": name, "num_features": shape[0], "of_maps": len(shape) == 3,
        "eps": settings.number("epsilon", 1e-3),
        "momentum": round(1 - (settings.number("momentum", 0.99) or 0.0), 12),
        "scales": settings.switch("scale"), "shifts": settings.switch("center"),
    })  # fmt: skip
    targets = {"moving_mean": "running_mean", "moving_variance": "running_var"}
    if spec.shifts:
        targets = {"beta": "bias", **targets}
    if spec.scales:
        targets = {"gamma": "weight", **targets}
    turn = partial(_turn_vector, conversion.maps)
    weights = [
        Weight((theirs,), shape[:1], f"{name}.{ours}", turn) for theirs, ours in targets.items()
    ]
    return Converted(spec, tuple(weights))


def _dropout(conversion: Conversion, settings: Settings, name: str) -> Converted:
    of_maps = settings.layer.kind == "SpatialDropout2D"
    if of_maps:
        _channels(conversion, settings)
    rate = settings.number("rate")
    return Converted(specs.Dropout.model_validate({"name": name, "rate": rate, "of_maps": of_maps}))


def _activation(conversion: Conversion, settings: Settings, name: str) -> Converted:
    return Converted(
        specs.Activation(name=name, function=function_of(settings, conversion.keras_major))
    )


def _relu(_conversion: Conversion, settings: Settings, name: str) -> Converted:
    largest = settings.number("max_value")
    slope, threshold = (settings.number(key) or 0.0 for key in ("negative_slope", "threshold"))
    if min(slope, threshold, largest or 0.0) < 0:
        settings.layer.refuse("its max_value, negative_slope or threshold is below 0")
    if threshold or (largest is not None and (slope or largest == 0)):
        function = Function(name="shaped-relu", value=(slope, threshold, largest))
    elif largest is not None:
        function = Function(name="clipped-relu", value=largest)
        function = Function(name="relu6") if largest == 6 else function
    else:
        function = Function(name="leaky-relu", value=slope) if slope else Function(name="relu")
    return Converted(specs.Activation(name=name, function=function))


def _leaky_relu(_conversion: Conversion, settings: Settings, name: str) -> Converted:
    slope = settings.number("negative_slope", settings.number("alpha", 0.3))
    return Converted(specs.Activation(name=name, function=Function(name="leaky-relu", value=slope)))


def _elu(_conversion: Conversion, settings: Settings, name: str) -> Converted:
    function = Function(name="elu", value=settings.number("alpha", 1.0))
    return Converted(specs.Activation(name=name, function=function))


def _softmax(conversion: Conversion, settings: Settings, name: str) -> Converted:
    axis = settings.get("axis", -1)
    if axis not in (-1, [-1], len(conversion.shape), [len(conversion.shape)]):
        settings.layer.refuse(f"its axis {axis} is not that of the channels")
    return Converted(specs.Activation(name=name, function=Function(name="softmax")))


def _rescaling(conversion: Conversion, settings: Settings, name: str) -> Converted:
    values: Mapping[str, Any] = {
        key: [value] if isinstance(value, int | float) else value
        for key, value in (("scale", settings.get("scale")), ("offset", settings.get("offset", 0)))
    }
    if conversion.maps is not None and any(len(given) > 1 for given in values.values()):
        settings.layer.refuse("it rescales each value after a Flatten, which can't be imported")
    return Converted(specs.Rescaling.model_validate({"name": name, **values}))


_CONVERTERS: dict[str, Callable[[Conversion, Settings, str], Converted]] = {
    "Conv2D": _conv2d,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "ZeroPadding2D": _zero_padding,
    "MaxPooling2D": _pool,
    "AveragePooling2D": _pool,
    "GlobalMaxPooling2D": _global_pool,
    "GlobalAveragePooling2D": _global_pool,
    "Flatten": _flatten,
    "Dense": _dense,
    "BatchNormalization": _batch_norm,
    "Dropout": _dropout,
    "SpatialDropout2D": _dropout,
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "Softmax": _softmax,
    "Rescaling": _rescaling,
}


def with_output(layers: list[Converted], shapes: Sequence[Shape]) -> list[Converted]:
    """The layers with a last softmax, or a lone sigmoid, as the model's output.

    A Flatten may follow it: of 1×1 maps, that gives the same values.

    Args:
        layers: in order.
        shapes: of what each one gives.
    """
    shape = shapes[-1]
    computing = [n for n, layer in enumerate(layers) if not isinstance(layer.spec, specs.Flatten)]
    if not computing or math.prod(shapes[computing[-1]][1:]) > 1:
        return layers
    place = computing[-1]
    last = layers[place].spec
    own = isinstance(last, specs.Activation)
    function = last.function if isinstance(last, specs.Activation) else getattr(
        last, "activation", None
    )  # fmt: skip
    if function is None or len(shape) != 1:
        return layers
    if function.name == "softmax" and shape[0] > 1:
        name = "output-softmax"
    elif function.name == "sigmoid" and shape[0] == 1:
        name = "output-sigmoid"
    else:
        return layers
    of_output = Function.model_validate({"name": name})
    changed = last.model_copy(update={"function" if own else "activation": of_output})
    return [*layers[:place], Converted(changed, layers[place].weights), *layers[place + 1 :]]


def check_output(layers: Sequence[KerasLayer], shape: Shape) -> None:
    """Refuses a Dense whose outputs are maps to the end: Keras gives (1, 1, units) there.

    Args:
        layers: in order.
        shape: of what the last one gives.

    Raises:
        ModelFileError: no Flatten follows it.
    """
    denses = [layer for layer in layers if layer.kind == "Dense"]
    if shape[1:] == (1, 1) and denses:
        denses[-1].refuse(
            "it gets and gives 1×1 maps, as the global pooling before it keeps those (keepdims), "
            "and no Flatten follows: the model's outputs are no vector",
            "Add a Flatten behind the pooling in Keras, or leave keepdims out, and save it again.",
        )


def check_vectors(layers: list[Converted]) -> None:
    """Refuses a picture without channels that does not go into a Flatten as it is.

    Raises:
        ModelFileError: another layer reads its rows.
    """
    for layer in layers:
        if isinstance(layer.spec, specs.Flatten):
            return
        if not isinstance(layer.spec, specs.Rescaling | specs.Activation | specs.Dropout):
            break
    raise ModelFileError(
        "It takes pictures without an axis for channels, and a layer other than Flatten reads them."
    )
