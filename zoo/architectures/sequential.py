"""Layers in a row, as `zoo import keras` finds them in a file: each row of the summary is one."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor, nn

from zoo.errors import StructureError

Pair = tuple[int, int]


def zeros_around(side: int, kernel: int, stride: int, dilation: int) -> Pair:
    """Zeros before and after a side, as Keras's padding `same` has them: the one more comes last.

    https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
    """
    total = max((-(-side // stride) - 1) * stride + dilation * (kernel - 1) + 1 - side, 0)
    return total // 2, total - total // 2


def padded(x: Tensor, kernel: Pair, stride: Pair, dilation: Pair, value: float = 0.0) -> Tensor:
    """Maps with what padding `same` puts around them."""
    top, bottom = zeros_around(x.shape[-2], kernel[0], stride[0], dilation[0])
    left, right = zeros_around(x.shape[-1], kernel[1], stride[1], dilation[1])
    if not any((top, bottom, left, right)):
        return x
    return F.pad(x, (left, right, top, bottom), value=value)


def _pair(value: int | tuple[int, ...]) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


class SameConv2d(nn.Conv2d):
    """A convolution with Keras's padding `same`, which PyTorch's has for a stride of 1 alone."""

    def __init__(self, *, padding: Any = "same", **settings: Any) -> None:
        super().__init__(padding=0 if padding == "same" else padding, **settings)
        if padding == "same":
            self.padding = "same"

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉)."""
        if self.padding != "same":  # it was set to another
            return super().forward(x)
        x = padded(x, _pair(self.kernel_size), _pair(self.stride), _pair(self.dilation))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class SeparableConv2d(nn.Module):
    """A depthwise convolution and a 1×1 on what it gives: one layer, as in Keras.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        kernel_size: of the depthwise convolution, and what follows too.
        multiplier: maps that it makes of each channel.
        stride: of the window.
        dilation: between the window's values.
        padding: `same` or `valid`.
        bias: of the 1×1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        multiplier: int,
        stride: Pair,
        dilation: Pair,
        padding: str,
        bias: bool,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.multiplier = multiplier
        self.kernel_size, self.stride, self.dilation = kernel_size, stride, dilation
        self.padding: str | int = "same" if padding == "same" else 0
        inner = in_channels * multiplier
        self.depthwise_weight = nn.Parameter(torch.empty(inner, 1, *kernel_size))
        self.pointwise_weight = nn.Parameter(torch.empty(out_channels, inner, 1, 1))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new weights as Keras does: glorot_uniform, and biases of zero."""
        nn.init.xavier_uniform_(self.depthwise_weight)
        nn.init.xavier_uniform_(self.pointwise_weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def mult_adds(self, output_shape: tuple[int, ...]) -> int:
        """Every weight and bias at each position of the output."""
        values = sum(parameter.numel() for parameter in self.parameters())
        return values * output_shape[1] * output_shape[2]

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H', W')."""
        if self.padding == "same":
            x = padded(x, self.kernel_size, self.stride, self.dilation)
        x = F.conv2d(
            x, self.depthwise_weight, None, self.stride, 0, self.dilation, self.in_channels
        )
        return F.conv2d(x, self.pointwise_weight, self.bias)

    def convolutions(self) -> nn.Sequential:
        """The same as its two convolutions, which share its weights."""
        inner = self.in_channels * self.multiplier
        kind = SameConv2d if self.padding == "same" else nn.Conv2d
        depthwise = kind(
            in_channels=self.in_channels, out_channels=inner, kernel_size=self.kernel_size,
            stride=self.stride, dilation=self.dilation, groups=self.in_channels, bias=False,
            device="meta",
        )  # fmt: skip
        has_bias = self.bias is not None
        pointwise = nn.Conv2d(inner, self.out_channels, 1, bias=has_bias, device="meta")
        depthwise.weight, pointwise.weight = self.depthwise_weight, self.pointwise_weight
        pointwise.bias = self.bias
        return nn.Sequential(depthwise, pointwise)


class SameMaxPool2d(nn.MaxPool2d):
    """The largest of each window, with Keras's padding `same`."""

    def __init__(self, kernel_size: Pair, stride: Pair) -> None:
        super().__init__(kernel_size, stride)
        self.padding = "same"  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, ⌈H / stride⌉, ⌈W / stride⌉)."""
        kernel, stride = _pair(self.kernel_size), _pair(self.stride)
        return F.max_pool2d(padded(x, kernel, stride, (1, 1), -torch.inf), kernel, stride)


class SameAvgPool2d(nn.AvgPool2d):
    """The mean of each window, with Keras's padding `same`: only what lies on the map counts."""

    def __init__(self, kernel_size: Pair, stride: Pair) -> None:
        super().__init__(kernel_size, stride)
        self.padding = "same"  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, ⌈H / stride⌉, ⌈W / stride⌉)."""
        kernel, stride = _pair(self.kernel_size), _pair(self.stride)
        shares = padded(torch.ones_like(x[:1, :1]), kernel, stride, (1, 1))
        means = F.avg_pool2d(padded(x, kernel, stride, (1, 1)), kernel, stride)
        return means / F.avg_pool2d(shares, kernel, stride)


class GlobalAvgPool2d(nn.AdaptiveAvgPool2d):
    """The mean of each map, as a vector."""

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C)."""
        return super().forward(x).flatten(1)


class GlobalMaxPool2d(nn.AdaptiveMaxPool2d):
    """The largest of each map, as a vector."""

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C)."""
        largest: Tensor = super().forward(x)
        return largest.flatten(1)


class ChannelsLastFlatten(nn.Flatten):
    """Maps as a vector in Keras's order: the values of one place stand together."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, H·W·C)."""
        return x.permute(0, 2, 3, 1).flatten(1)


class Rescaling(nn.Module):
    """Values times a scale plus an offset, each one number or one for each channel."""

    def __init__(self, scale: Iterable[float], offset: Iterable[float]) -> None:
        super().__init__()
        self.scale, self.offset = list(scale), list(offset)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, …), of the same shape."""
        shape = (1, -1, *(1,) * (x.ndim - 2))
        scale, offset = (x.new_tensor(values).view(shape) for values in (self.scale, self.offset))
        return x * scale + offset


class Exponential(nn.Module):
    """The exponential function."""

    activation_name = "exponential"

    def forward(self, x: Tensor) -> Tensor:
        """Of the same shape."""
        return x.exp()


class ShapedReLU(nn.Module):
    """Keras's ReLU with all its settings.

    Args:
        slope: below the threshold, of the way down from it.
        threshold: values up to it count as below.
        largest: value that is given; None where there is none.
    """

    activation_name = "relu"

    def __init__(self, slope: float, threshold: float, largest: float | None) -> None:
        super().__init__()
        self.slope, self.threshold, self.largest = slope, threshold, largest

    def forward(self, x: Tensor) -> Tensor:
        """Of the same shape."""
        above = F.threshold(x, self.threshold, 0.0)
        if self.largest is not None:
            above = above.clamp(max=self.largest)
        return above - self.slope * F.relu(self.threshold - x) if self.slope else above


class OutputSoftmax(nn.Softmax):
    """The softmax of the model's output: `predict` takes it, and in training the loss has it.

    The network gives logits.
    """

    activation_name = "softmax"

    def forward(self, x: Tensor) -> Tensor:
        """The logits as they are."""
        return x


class OutputSigmoid(nn.Sigmoid):
    """The sigmoid of a model with one output, as the logits of two classes.

    Their softmax is 1 − p and p.
    """

    activation_name = "sigmoid"

    is_own_layer = False

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1) to (N, 2)."""
        return F.pad(x, (1, 0))

    def for_outputs(self, count: int) -> nn.Module:
        """A softmax behind a head of several outputs: those are logits already."""
        if count == 1:
            return self
        softmax = OutputSoftmax(dim=1)
        softmax.is_own_layer = self.is_own_layer  # type: ignore[assignment]
        return softmax


_FUNCTIONS: dict[str, Callable[[Any], nn.Module]] = {
    "relu": lambda _: nn.ReLU(),
    "relu6": lambda _: nn.ReLU6(),
    "clipped-relu": lambda value: nn.Hardtanh(0.0, value),
    "shaped-relu": lambda values: ShapedReLU(*values),
    "leaky-relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": lambda _: nn.SELU(),
    "sigmoid": lambda _: nn.Sigmoid(),
    "hard-sigmoid": lambda _: nn.Hardsigmoid(),
    "tanh": lambda _: nn.Tanh(),
    "softplus": lambda _: nn.Softplus(),
    "softsign": lambda _: nn.Softsign(),
    "silu": lambda _: nn.SiLU(),
    "hard-silu": lambda _: nn.Hardswish(),
    "gelu": lambda _: nn.GELU(),
    "mish": lambda _: nn.Mish(),
    "exponential": lambda _: Exponential(),
    "linear": lambda _: nn.Identity(),
    "softmax": lambda _: nn.Softmax(dim=1),
    "log-softmax": lambda _: nn.LogSoftmax(dim=1),
    "output-softmax": lambda _: OutputSoftmax(dim=1),
    "output-sigmoid": lambda _: OutputSigmoid(),
}


def _conv2d(spec: Mapping[str, Any]) -> nn.Module:
    keys = ("in_channels", "out_channels", "kernel_size", "stride", "dilation", "groups", "bias")
    settings = {key: spec[key] for key in keys}
    return SameConv2d(**settings) if spec["padding"] == "same" else nn.Conv2d(**settings)


def _separable(spec: Mapping[str, Any]) -> nn.Module:
    others = ("type", "name", "activation")
    return SeparableConv2d(**{key: value for key, value in spec.items() if key not in others})


def _zero_pad(spec: Mapping[str, Any]) -> nn.Module:
    (top, bottom), (left, right) = spec["zeros"]
    return nn.ZeroPad2d((left, right, top, bottom))


def _pool(spec: Mapping[str, Any]) -> nn.Module:
    plain, same = {
        "max": (nn.MaxPool2d, SameMaxPool2d), "average": (nn.AvgPool2d, SameAvgPool2d),
    }[spec["kind"]]  # fmt: skip
    kind = same if spec["padding"] == "same" else plain
    made: nn.Module = kind(spec["kernel_size"], spec["stride"])
    return made


def _global_pool(spec: Mapping[str, Any]) -> nn.Module:
    if spec["keeps_dims"]:
        return nn.AdaptiveMaxPool2d(1) if spec["kind"] == "max" else nn.AdaptiveAvgPool2d(1)
    return GlobalMaxPool2d() if spec["kind"] == "max" else GlobalAvgPool2d()


def _flatten(spec: Mapping[str, Any]) -> nn.Module:
    return ChannelsLastFlatten() if spec["channels_last"] else nn.Flatten()


def _linear(spec: Mapping[str, Any]) -> nn.Module:
    return nn.Linear(spec["in_features"], spec["out_features"], bias=spec["bias"])


def _batch_norm(spec: Mapping[str, Any]) -> nn.Module:
    kind = nn.BatchNorm2d if spec["of_maps"] else nn.BatchNorm1d
    affine = spec["scales"] or spec["shifts"]
    norm = kind(spec["num_features"], spec["eps"], spec["momentum"], affine=affine)
    if affine and not spec["scales"]:
        norm.weight = None  # type: ignore[assignment]
    if affine and not spec["shifts"]:
        norm.bias = None  # type: ignore[assignment]
    return norm


def _dropout(spec: Mapping[str, Any]) -> nn.Module:
    return nn.Dropout2d(spec["rate"]) if spec["of_maps"] else nn.Dropout(spec["rate"])


def _activation(spec: Mapping[str, Any]) -> nn.Module:
    module = _function(spec["function"])
    module.is_own_layer = True  # type: ignore[assignment]  # a row of the summary
    return module


def _rescaling(spec: Mapping[str, Any]) -> nn.Module:
    return Rescaling(spec["scale"], spec["offset"])


def _function(function: Mapping[str, Any]) -> nn.Module:
    return _FUNCTIONS[function["name"]](function["value"])


_BUILDERS: dict[str, Callable[[Mapping[str, Any]], nn.Module]] = {
    "conv2d": _conv2d,
    "separable-conv2d": _separable,
    "zero-pad2d": _zero_pad,
    "pool2d": _pool,
    "global-pool2d": _global_pool,
    "flatten": _flatten,
    "linear": _linear,
    "batch-norm": _batch_norm,
    "dropout": _dropout,
    "activation": _activation,
    "rescaling": _rescaling,
}


class Sequential(nn.Sequential):
    """A network of layers in a row that gives logits.

    Args:
        layers: for each the fields of its class in zoo/layer_specs.py, where all are checked.
        _others: what other architectures take; these layers have it in them.

    Raises:
        StructureError: a layer has the name of one of a module's own attributes.
    """

    def __init__(self, layers: Iterable[Mapping[str, Any]], **_others: Any) -> None:
        super().__init__()
        specs = list(layers)
        names = {spec["name"] for spec in specs}
        for spec in specs:
            self._add(spec["name"], _BUILDERS[spec["type"]](spec))
            if spec.get("activation") is not None:
                name = f"{spec['name']}_{spec['activation']['name']}".replace("-", "_")
                while name in names:
                    name += "_"
                names.add(name)
                self._add(name, _function(spec["activation"]))

    def _add(self, name: str, module: nn.Module) -> None:
        try:
            self.add_module(name, module)
        except KeyError as error:
            raise StructureError(f"No layer can be called {name!r}.") from error
