"""The edit `set`: one of the four hyperparameters of a convolution, and what follows adapts."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from torch import Tensor, fx, nn

from zoo.errors import StructureError, did_you_mean
from zoo.layers import Shape
from zoo.surgery.shapes import OnShapes, shape_text


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Natural = Annotated[int, Field(ge=0, le=65_536, strict=True)]
Value = Annotated[
    Natural | tuple[Natural, Natural] | Literal["same", "valid"], BeforeValidator(_as_tuple)
]


class SetHyperparameter(BaseModel):
    """`LAYER.FIELD=VALUE`: the layer starts anew, and so does every layer that has to adapt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    edit: Literal["set"] = "set"
    layer: str
    """Dotted path of a convolution."""
    field: Literal["out_channels", "kernel_size", "stride", "padding"]
    value: Value

    def __str__(self) -> str:
        return f"{self.layer}.{self.field}={self.value}"

    def apply(self, network: nn.Module, input_shape: Shape) -> nn.Module:
        """The network with the layer replaced and its readers adapted, in place.

        Raises:
            StructureError: there is no such convolution, or a layer would not fit.
        """
        convolution = _convolution(network, self.layer)
        before = _Fitting(network, str(self)).run_on(input_shape)
        network.set_submodule(self.layer, self._changed(convolution))
        after = _Fitting(network, str(self)).run_on(input_shape)
        if isinstance(before, Tensor) and isinstance(after, Tensor) and before.shape != after.shape:
            raise StructureError(
                f"{self} changes the network's output from {shape_text(before)} "
                f"to {shape_text(after)}.",
                hint="The number of classes is set by --num-classes.",
            )
        return network

    def _changed(self, convolution: nn.Conv2d) -> nn.Conv2d:
        value = self.value
        if self.field == "out_channels" and not isinstance(value, int):
            raise StructureError(f"{self}: out_channels takes one number.")
        if isinstance(value, str) and self.field != "padding":
            raise StructureError(f"{self}: {self.field} takes a number or a pair.")
        if self.field != "padding" and 0 in (value if isinstance(value, tuple) else (value,)):
            raise StructureError(f"{self}: {self.field} must be at least 1.")
        try:
            return rebuilt(convolution, **{self.field: value})
        except ValueError as error:  # such as padding="same" with a stride
            raise StructureError(f"{self}: {error}.") from error


def _convolution(network: nn.Module, name: str) -> nn.Conv2d:
    convolutions = {n: m for n, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    if name in convolutions:
        return convolutions[name]
    if any(name == n for n, _ in network.named_modules()):
        kind = type(network.get_submodule(name)).__name__
        raise StructureError(
            f"{name} is of type {kind}; only those of a Conv2d can be set.",
            hint=f"Convolutions: {', '.join(convolutions)}.",
        )
    raise StructureError(
        f"No layer is called {name!r}. {did_you_mean(name, convolutions)}".rstrip(),
        hint=f"Convolutions: {', '.join(convolutions)}.",
    )


def rebuilt(convolution: nn.Conv2d, **changes: Any) -> nn.Conv2d:
    """A fresh convolution of the same class with some settings changed."""
    settings: dict[str, Any] = {
        "in_channels": convolution.in_channels,
        "out_channels": convolution.out_channels,
        "kernel_size": convolution.kernel_size,
        "stride": convolution.stride,
        "padding": convolution.padding,
        "dilation": convolution.dilation,
        "groups": convolution.groups,
        "bias": convolution.bias is not None,
        "padding_mode": convolution.padding_mode,
    }
    # type(), not nn.Conv2d: a subclass brings its paper's initial weights.
    return type(convolution)(**{**settings, **changes}).train(convolution.training)


class _Fitting(OnShapes):
    """Adapts each layer to what it reads."""

    def __init__(self, network: nn.Module, cause: str) -> None:
        super().__init__(network)
        self.cause = cause

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Adapts the layer, then runs it."""
        module = self.network.get_submodule(target)
        fitted = self._adapted(target, module, args[0]) if args else module
        if fitted is not module:
            self.network.set_submodule(target, fitted)
        try:
            return super().call_module(target, args, kwargs)
        except RuntimeError as error:
            raise self._misfit(target, fitted, args[0], str(error)) from error

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Runs an add, a concatenation and the like."""
        return self._joined(super().call_function, target, args, kwargs)

    def call_method(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Runs a reshape and the like."""
        return self._joined(super().call_method, target, args, kwargs)

    def _joined(self, call: Callable[..., Any], target: Any, args: Any, kwargs: Any) -> Any:
        try:
            return call(target, args, kwargs)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            assert self.node is not None
            inputs = [
                f"{_layer_of(node)} gives {shape_text(self.env[node])}"
                for node in self.node.all_input_nodes
                if isinstance(self.env.get(node), Tensor)
            ]
            raise StructureError(
                f"{self.cause} does not fit: "
                f"{getattr(target, '__name__', target)} can't take {', '.join(inputs)}."
            ) from error

    def _adapted(self, name: str, module: nn.Module, x: Tensor) -> nn.Module:
        if isinstance(module, nn.Conv2d) and x.shape[1] != module.in_channels:
            channels = x.shape[1]
            if module.groups == 1:
                return rebuilt(module, in_channels=channels)
            if module.groups == module.in_channels == module.out_channels:  # depthwise
                return rebuilt(module, in_channels=channels, out_channels=channels, groups=channels)
            raise self._misfit(name, module, x, "its groups fix its channels")
        if isinstance(module, nn.Linear) and x.shape[-1] != module.in_features:
            bias = module.bias is not None
            return type(module)(x.shape[-1], module.out_features, bias=bias).train(module.training)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and (
            x.shape[1] != module.num_features
        ):
            return type(module)(
                x.shape[1], module.eps, module.momentum, module.affine, module.track_running_stats
            ).train(module.training)
        return module

    def _misfit(self, name: str, module: nn.Module, x: Tensor, reason: str) -> StructureError:
        needs = getattr(module, "in_channels", getattr(module, "channels", None))
        kernel = getattr(module, "kernel_size", None)
        if needs is not None and x.shape[1] != needs:
            need = f"needs {needs} channels"
        elif kernel is not None:
            height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
            need = f"needs at least {height}×{width} pixels, padding included"
        else:
            need = f"can't take it ({reason.splitlines()[0]})"
        return StructureError(
            f"{self.cause} does not fit: {name} ({type(module).__name__}) "
            f"got {shape_text(x)} and {need}."
        )


def _layer_of(node: fx.Node) -> str:
    """The nearest layer whose output a node passes on."""
    while node.op == "call_function" and node.all_input_nodes:
        node = node.all_input_nodes[0]
    return str(node.target)
