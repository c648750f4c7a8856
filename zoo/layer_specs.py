"""Layers in a row, as a model file describes them. Imports no torch.

Only files that were imported need this: every other architecture is code of ours. A layer says all
that building it takes, so that whether each one fits the one before is checked here, before
anything is allocated.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Shape = tuple[int, ...]
"""Without the batch: channels, height, width; or the length of a vector."""

MAX_LAYERS = 1000
MAX_PARAMS = 500_000_000

Count = Annotated[int, Field(ge=1, le=65_536)]
Zeros = Annotated[int, Field(ge=0, le=4096)]
Width = Annotated[int, Field(ge=1, le=2**28)]
Pair = tuple[Count, Count]
Number = Annotated[float, Field(allow_inf_nan=False)]
Padding = Literal["same", "valid"]
"""As Keras means it: where `same` is uneven, the zero more comes last."""


class Function(BaseModel):
    """An activation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal[
        "relu", "relu6", "clipped-relu", "leaky-relu", "elu", "selu", "sigmoid", "hard-sigmoid",
        "tanh", "softplus", "softsign", "silu", "hard-silu", "gelu", "mish", "exponential",
        "linear", "softmax", "log-softmax", "output-softmax", "output-sigmoid", "shaped-relu",
    ]  # fmt: skip
    """Those of output belong to the model's: the network itself gives logits."""
    value: Number | tuple[Number, Number, Number | None] | None = None
    """Where clipped-relu clips, the slope of leaky-relu, the scale of elu; of shaped-relu the slope
    below its threshold, that threshold, and its largest value, None where there is none."""

    @model_validator(mode="after")
    def _has_its_value(self) -> Self:
        needed = {"clipped-relu": 1, "leaky-relu": 1, "elu": 1, "shaped-relu": 3}.get(self.name, 0)
        given = len(self.value) if isinstance(self.value, tuple) else int(self.value is not None)
        if given != needed:
            raise ValueError(f"{self.name} has {needed} values, not {given}")
        return self


class _Layer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]

    def after(self, shape: Shape) -> Shape:
        """The shape of what it makes of that shape.

        Raises:
            ValueError: it can't take it.
        """
        return shape

    @property
    def params(self) -> int:
        """Parameters in Keras's count."""
        return 0

    def _maps(self, shape: Shape, channels: int | None = None) -> tuple[int, int, int]:
        if len(shape) != 3:
            raise ValueError("it takes maps, and gets a vector")
        if channels not in (None, shape[0]):
            raise ValueError(f"it takes {channels} channels, and gets {shape[0]}")
        return shape[0], shape[1], shape[2]


class _Window(_Layer):
    kernel_size: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: Padding = "valid"

    def _sides(self, shape: Shape) -> Shape:
        """Height and width after the window went over them."""
        found = []
        sizes = zip(shape[1:], self.kernel_size, self.stride, self.dilation, strict=True)
        for side, kernel, stride, dilation in sizes:
            room = side if self.padding == "same" else side - dilation * (kernel - 1)
            if room < 1:
                raise ValueError(f"its window is larger than the {shape[1]}×{shape[2]} it gets")
            found.append(-(-room // stride))
        return tuple(found)


class Conv2d(_Window):
    """A convolution; depthwise where there are as many groups as channels."""

    type: Literal["conv2d"] = "conv2d"
    in_channels: Count
    out_channels: Count
    groups: Count = 1
    bias: bool = True
    activation: Function | None = None

    def after(self, shape: Shape) -> Shape:
        """The shape of what it makes of that shape."""
        self._maps(shape, self.in_channels)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(f"its {self.groups} groups divide its channels unevenly")
        return (self.out_channels, *self._sides(shape))

    @property
    def params(self) -> int:
        """Weights and biases."""
        weights = math.prod(self.kernel_size) * self.in_channels // self.groups
        return (weights + self.bias) * self.out_channels


class SeparableConv2d(_Window):
    """A depthwise convolution and a 1×1 on what it gives, as one layer."""

    type: Literal["separable-conv2d"] = "separable-conv2d"
    in_channels: Count
    out_channels: Count
    multiplier: Count = 1
    """Maps that the first makes of each channel."""
    bias: bool = True
    activation: Function | None = None

    def after(self, shape: Shape) -> Shape:
        """The shape of what it makes of that shape."""
        self._maps(shape, self.in_channels)
        return (self.out_channels, *self._sides(shape))

    @property
    def params(self) -> int:
        """Both weights and the biases."""
        inner = self.in_channels * self.multiplier
        return inner * math.prod(self.kernel_size) + (inner + self.bias) * self.out_channels


class ZeroPad2d(_Layer):
    """Zeros around."""

    type: Literal["zero-pad2d"] = "zero-pad2d"
    zeros: tuple[tuple[Zeros, Zeros], tuple[Zeros, Zeros]]
    """Above and below, left and right."""

    def after(self, shape: Shape) -> Shape:
        """The shape of what it makes of that shape."""
        channels, height, width = self._maps(shape)
        return (channels, height + sum(self.zeros[0]), width + sum(self.zeros[1]))


class Pool2d(_Window):
    """The largest or the mean of each window; zeros around are not counted."""

    type: Literal["pool2d"] = "pool2d"
    kind: Literal["average", "max"]

    def after(self, shape: Shape) -> Shape:
        """The shape of what it makes of that shape."""
        self._maps(shape)
        return (shape[0], *self._sides(shape))


class GlobalPool2d(_Layer):
    """The largest or the mean of each map."""

    type: Literal["global-pool2d"] = "global-pool2d"
    kind: Literal["average", "max"]
    keeps_dims: bool = False
    """Whether it gives maps of 1×1 instead of a vector."""

    def after(self, shape: Shape) -> Shape:
        """The shape of what it makes of that shape."""
        self._maps(shape)
        return (shape[0], 1, 1) if self.keeps_dims else shape[:1]


class Flatten(_Layer):
    """Maps as a vector."""

    type: Literal["flatten"] = "flatten"
    channels_last: bool = False
    """Whether the values of one place stand together, as in Keras, or those of one map."""

    def after(self, shape: Shape) -> Shape:
        """The shape of what it makes of that shape."""
        return (math.prod(shape),)


class Linear(_Layer):
    """A full connection."""

    type: Literal["linear"] = "linear"
    in_features: Width
    out_features: Width
    bias: bool = True
    activation: Function | None = None

    def after(self, shape: Shape) -> Shape:
        """The shape of what it makes of that shape."""
        if len(shape) != 1:
            raise ValueError("it takes a vector, and gets maps")
        if shape[0] != self.in_features:
            raise ValueError(f"it takes {self.in_features} values, and gets {shape[0]}")
        return (self.out_features,)

    @property
    def params(self) -> int:
        """Weights and biases."""
        return (self.in_features + self.bias) * self.out_features


class BatchNorm(_Layer):
    """Batch normalization of maps or of a vector."""

    type: Literal["batch-norm"] = "batch-norm"
    num_features: Width
    of_maps: bool
    eps: Annotated[float, Field(ge=0, le=1)]
    momentum: Annotated[float, Field(ge=0, le=1)]
    """PyTorch's: the share of the newest statistics."""
    scales: bool = True
    shifts: bool = True

    def after(self, shape: Shape) -> Shape:
        """The shape of what it makes of that shape."""
        if (len(shape) == 3) != self.of_maps or shape[0] != self.num_features:
            raise ValueError(f"it takes {self.num_features} channels, and gets {shape}")
        return shape

    @property
    def params(self) -> int:
        """What it learns, and its statistics."""
        return (2 + self.scales + self.shifts) * self.num_features


class Dropout(_Layer):
    """Drops values, or whole maps."""

    type: Literal["dropout"] = "dropout"
    rate: Annotated[float, Field(ge=0, le=1)]
    of_maps: bool = False


class Activation(_Layer):
    """An activation that is a layer of its own."""

    type: Literal["activation"] = "activation"
    function: Function


class Rescaling(_Layer):
    """Values times a scale, plus an offset."""

    type: Literal["rescaling"] = "rescaling"
    scale: Annotated[tuple[Number, ...], Field(min_length=1, max_length=4096)]
    """One, or one for each channel."""
    offset: Annotated[tuple[Number, ...], Field(min_length=1, max_length=4096)]

    def after(self, shape: Shape) -> Shape:
        """The shape of what it makes of that shape."""
        for values in (self.scale, self.offset):
            if len(values) not in (1, shape[0]):
                raise ValueError(f"it has {len(values)} values for {shape[0]} channels")
        return shape


LayerSpec = Annotated[
    Conv2d | SeparableConv2d | ZeroPad2d | Pool2d | GlobalPool2d | Flatten | Linear | BatchNorm
    | Dropout | Activation | Rescaling,
    Field(discriminator="type"),
]  # fmt: skip
"""Any layer, told apart by its field `type`."""

LayerSpecs = Annotated[tuple[LayerSpec, ...], Field(min_length=1, max_length=MAX_LAYERS)]


def check_chain(layers: Sequence[LayerSpec], input_shape: Shape) -> Shape:
    """The shape of what layers in a row give.

    Args:
        layers: in order.
        input_shape: channels, height, width.

    Raises:
        ValueError: two have one name, one does not fit the one before, or all are too large.
    """
    names = [layer.name for layer in layers]
    if len({*names}) < len(names):
        raise ValueError("two layers have the same name")
    shape, params = input_shape, 0
    for layer in layers:
        try:
            shape = layer.after(shape)
        except ValueError as error:
            raise ValueError(f"the layer {layer.name} does not fit: {error}") from error
        params += layer.params
        if params > MAX_PARAMS or math.prod(shape) > MAX_PARAMS:
            raise ValueError(f"the layers up to {layer.name} have more than {MAX_PARAMS:,} values")
    return shape
