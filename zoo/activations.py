"""Activations, and the layers to whose outputs a network applies them."""

from collections.abc import Callable, Iterable, MutableMapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import activation
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from zoo.removed import Removed

_ACTIVATIONS = tuple(
    kind
    for kind in vars(activation).values()
    if isinstance(kind, type)
    and issubclass(kind, nn.Module)
    and kind not in (nn.Module, nn.MultiheadAttention)
)
_ACTIVATION_NAMES = {kind.__name__.lower() for kind in _ACTIVATIONS}
_ALONG_A_DIMENSION = ("softmax", "softmin", "logsoftmax", "glu")


def is_activation(module: nn.Module) -> bool:
    """Whether it is one of torch's activations, or says so, and without parameters."""
    known = isinstance(module, _ACTIVATIONS) or hasattr(module, "activation_name")
    return known and not any(True for _ in module.parameters())


def joins_a_row(module: nn.Module) -> bool:
    """Whether it is an activation that is no row itself, as those are that Keras stored so."""
    return is_activation(module) and not getattr(module, "is_own_layer", False)


@dataclass(frozen=True)
class Application:
    """An activation at work, outside of any layer."""

    layer: nn.Module | None
    """To whose output it is applied; None where that is something else, such as a sum."""
    name: str
    module: nn.Module | None
    """None of a function."""


class AppliedActivations(TorchFunctionMode):
    """Notes, while a network runs, the activation of each of its layers.

    That is the first one, module or function, applied to what the layer returns: to that tensor at
    that version (an activation in place makes another version), or to a view of all of it unless
    the activation looks along a dimension. A layer that ends with an activation of its own, as
    timm's BatchNormAct2d, has that one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[nn.Module, str] = {}
        """What was found, by layer."""
        self.applications: list[Application] = []
        """All, in their order."""
        # By tensor, for as long as it lives: the layer that returned it, and at which version.
        self._outputs: MutableMapping[Tensor, tuple[nn.Module, int]] = WeakTensorKeyDictionary()
        self._inputs: tuple[Any, ...] | None = None  # of the layer that is running
        self._latest: tuple[Any, str] | None = None  # an activation in that layer: result, name
        self._module: nn.Module | None = None  # an activation that is running

    def hooks(self, network: nn.Module, layers: Iterable[nn.Module]) -> ExitStack:
        """What tells of the layers and of modules that are activations, until it is closed."""
        stack = ExitStack()
        for layer in layers:
            stack.enter_context(layer.register_forward_pre_hook(self._layer_starts))
            stack.enter_context(layer.register_forward_hook(self._layer_ends))
        for module in filter(joins_a_row, network.modules()):
            stack.enter_context(module.register_forward_pre_hook(self._activation_starts))
            stack.enter_context(module.register_forward_hook(self._activation_ends))
        for module in network.modules():
            if isinstance(module, Removed):
                stack.enter_context(module.register_forward_hook(self._passed_on))
        return stack

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").replace("_", "")  # leaky_relu_ is LeakyReLU
        if name not in _ACTIVATION_NAMES:
            return func(*args, **kwargs)
        x = args[0] if args else kwargs.get("input")
        self._before(name, x)
        result = func(*args, **kwargs)
        self._after(name, x, result)
        return result

    def _layer_starts(self, _: nn.Module, args: tuple[Any, ...]) -> None:
        self._inputs = args

    def _layer_ends(self, layer: nn.Module, _: tuple[Any, ...], output: Any) -> None:
        if self._latest is not None and self._latest[0] is output:
            self.names.setdefault(layer, self._latest[1])
        self._inputs = self._latest = None
        # An Identity, or a dropout that drops nothing here, returns what another layer returned.
        if isinstance(output, Tensor) and self._returned_by(output) is None:
            self._outputs[output] = layer, output._version

    def _passed_on(self, _: Removed, args: tuple[Any, ...], output: Any) -> None:
        """A copy counts as what was copied."""
        layer = self._returned_by(args[0])
        if layer is not None and self._inputs is None:
            self._outputs[output] = layer, output._version

    def _activation_starts(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        self._before(_name(module), next(iter(args), None), module)
        self._module = module

    def _activation_ends(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        self._module = None
        self._after(_name(module), next(iter(args), None), output)

    def _before(self, name: str, x: Any, module: nn.Module | None = None) -> None:
        if self._inputs is not None or self._module is not None or not isinstance(x, Tensor):
            return
        layer, whole = self._returned_by(x), x._base
        if layer is None and whole is not None and name not in _ALONG_A_DIMENSION:
            layer = self._returned_by(whole) if whole.numel() == x.numel() else None
        self.applications.append(Application(layer, name, module))
        if layer is not None:
            self.names.setdefault(layer, name)

    def _after(self, name: str, x: Any, result: Any) -> None:
        # What is applied to a layer's input is all that it does, as in PReLU.
        if self._inputs is not None and all(x is not given for given in self._inputs):
            self._latest = result, name

    def _returned_by(self, tensor: Tensor) -> nn.Module | None:
        layer, version = self._outputs.get(tensor, (None, 0))
        return layer if version == tensor._version else None


def _name(module: nn.Module) -> str:
    return getattr(module, "activation_name", type(module).__name__.lower())
