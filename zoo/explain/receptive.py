"""Receptive fields: which part of the picture one output value of each layer sees.

The network's graph runs on the meta device, and each tensor carries which of its dimensions are
places in the picture and how far one place sees. Where branches meet, the widest counts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from zoo import layers
from zoo.errors import StructureError
from zoo.layers import Shape


@dataclass(frozen=True)
class Axis:
    """How far one value sees along the height or the width."""

    size: int = 1
    """Pixels of the picture; without meaning where it sees all of it."""
    jump: float = 1
    """Pixels from its first pixel to its neighbour's."""
    whole: bool = False
    """Whether it sees the whole picture by design, such as after attention."""


@dataclass(frozen=True)
class Link:
    """One layer's part in a receptive field."""

    layer: str
    text: str
    """Such as `1 + (5 − 1)·1 = 5`, or why it sees the whole picture."""
    before: "Link | None" = None


@dataclass(frozen=True)
class Field:
    """The receptive field of one output value."""

    height: Axis = Axis()
    width: Axis = Axis()
    link: Link | None = None
    """The last layer that changed it."""
    unknown: str = ""
    """Why it could not be followed, if it could not."""

    @property
    def whole(self) -> bool:
        """Whether it is the whole picture by design."""
        return self.height.whole and self.width.whole

    def chain(self) -> list[Link]:
        """The layers that made it, the first one first."""
        links, link = [], self.link
        while link is not None:
            links.append(link)
            link = link.before
        return links[::-1]


def receptive_fields(network: nn.Module, input_shape: Shape) -> dict[str, Field]:
    """The receptive field of each layer that runs, by its dotted path.

    Args:
        network: on the meta device.
        input_shape: channels, height, width.

    Raises:
        StructureError: the network's forward can't be followed.
    """
    modes = {module: module.training for module in network.modules()}
    network.eval()
    network.training = True  # so that auxiliary heads run, as in layers.ordered
    try:
        graph = layers.trace(network)
        follower = _Follower(fx.GraphModule(network, graph))
        with torch.no_grad():
            follower.run(torch.zeros(2, *input_shape, device="meta"))
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StructureError(f"The network's graph can't be run: {reason}.") from error
    finally:
        for module, mode in modes.items():
            module.training = mode
    return follower.fields


# Which part of the picture a dimension of a tensor tells apart: "", "h", "w" or "hw".
Dims = tuple[str, ...]


@dataclass(frozen=True)
class _View:
    """A tensor's dimensions and the receptive field of its values."""

    dims: Dims
    field: Field


class _Follower(fx.Interpreter):
    """Runs a graph and follows the receptive field of each node."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.views: dict[fx.Node, _View] = {}
        self.fields: dict[str, Field] = {}
        self.extra_traceback = False

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        view = self._view(n, result)
        if view is not None:
            self.views[n] = view
            if n.op == "call_module":
                path = str(n.target)
                known = self.fields.get(path)
                self.fields[path] = _widest([known, view.field]) if known else view.field
        return result

    def _view(self, node: fx.Node, result: Any) -> _View | None:
        if node.op == "placeholder":
            return _View(("", "", "h", "w"), Field())
        inputs = [self.views[source] for source in node.all_input_nodes if source in self.views]
        if not inputs or node.op in ("get_attr", "output"):
            return None
        tensor = _first_tensor(result)
        if tensor is None:
            return None  # a size
        field = _widest([view.field for view in inputs])
        main = next((view for view in inputs if any(view.dims)), inputs[0])
        call = _Call(self, node, tuple(tensor.shape), replace(main, field=field))
        return call.view()


@dataclass(frozen=True)
class _Call:
    """One node, about to be followed."""

    follower: _Follower
    node: fx.Node
    shape: Shape
    """Of the result."""
    view_in: _View
    """The dimensions of the main input, the widest field of all."""

    @property
    def _input_shape(self) -> Shape:
        """Of the input whose dimensions are followed."""
        environment = self.follower.env
        for source in self.node.all_input_nodes:
            view = self.follower.views.get(source)
            if view is not None and view.dims == self.view_in.dims:
                tensor = _first_tensor(environment.get(source))
                if tensor is not None:
                    return tuple(tensor.shape)
        return ()

    def view(self) -> _View:
        if self.view_in.field.unknown or self.view_in.field.whole or not self._has_places():
            return _View(("",) * len(self.shape), self.view_in.field)
        if self.node.op == "call_module":
            return self._of_module(self.follower.fetch_attr(str(self.node.target)))
        return self._of_function()

    def _has_places(self) -> bool:
        """Whether the input still tells places apart; one of 1×1 has neighbours through padding."""
        return any(self.view_in.dims)

    def _of_module(self, module: nn.Module) -> _View:
        if isinstance(module, nn.Linear):
            return self._mixing_last("every input at once")
        if isinstance(module, nn.MultiheadAttention):
            return self._attending()
        kind = type(module).__name__
        if isinstance(module, nn.LayerNorm) and not kind.endswith("2d"):
            return self._normed(len(module.normalized_shape))
        if isinstance(module, nn.GroupNorm):  # LayerNorm over channels and places alike
            return self._all("its mean is over every position")
        if kind.startswith("Adaptive") or kind == "FastAdaptiveAvgPool":
            return self._adaptive()
        if _is_window(module):
            return self._windowed(module)
        if self.shape == self._input_shape:
            return self.view_in
        return self._moved(module) or self._lost(layers.type_name(module))

    def _of_function(self) -> _View:
        name = getattr(self.node.target, "__name__", str(self.node.target))
        if name in _POOLS:
            return self._windowed(self._pool_settings())
        if name.startswith("adaptive"):
            return self._adaptive()
        if name in ("mean", "amax", "sum"):
            return self._reduced()
        if name == "linear":
            return self._mixing_last("every input at once")
        if name == "scaled_dot_product_attention":
            return self._attending()
        if name == "getitem":
            return self._indexed()
        if name in _SPLITS or name in _ELEMENTWISE:
            return self._same_dims()
        if name == "cat" or name == "concat":
            return self._same_dims()
        if name in ("permute", "transpose", "movedim", "swapaxes"):
            return self._permuted(name)
        if name in _RESHAPES:
            return self._reshaped()
        return self._lost(name)

    def _same_dims(self) -> _View:
        if len(self.shape) == len(self.view_in.dims):
            return self.view_in
        if len(self.shape) > len(self.view_in.dims):  # broadcast against a larger one
            missing = len(self.shape) - len(self.view_in.dims)
            return replace(self.view_in, dims=("",) * missing + self.view_in.dims)
        return self._lost(str(self.node.target))

    def _windowed(self, module: Any) -> _View:
        if len(self.view_in.dims) != 4 or self.view_in.dims[2:] != ("h", "w"):
            return self._lost(f"a window over {len(self.view_in.dims)} dimensions")
        kernel = _pair(module.kernel_size)
        stride = _pair(getattr(module, "stride", 1) or kernel)
        dilation = _pair(getattr(module, "dilation", 1))
        axes, texts = [], []
        for axis, size, step, spread in zip(
            self._axes(), kernel, stride, dilation, strict=True
        ):  # fmt: skip
            seen = axis.size + round(spread * (size - 1) * axis.jump)
            times = f"{spread}·" if spread > 1 else ""
            texts.append(f"{axis.size} + {times}({size} − 1)·{axis.jump:g} = {seen}")
            axes.append(Axis(seen, axis.jump * step, axis.whole))
        return self._with(axes, _either(texts))

    def _pool_settings(self) -> Any:
        """A functional pooling's arguments as a module has them."""
        names = ("input", "kernel_size", "stride", "padding", "dilation")
        given = {**dict(zip(names, self.node.args, strict=False)), **self.node.kwargs}
        kind = nn.MaxPool2d if "max" in str(self.node.target) else nn.AvgPool2d
        stride = given.get("stride") or None
        return kind(given["kernel_size"], stride)

    def _adaptive(self) -> _View:
        shape = self._input_shape
        if self.view_in.dims[-2:] != ("h", "w") or len(shape) < 2:
            return self._lost("a pooling")
        outside = self.shape[-2:] if len(self.shape) == len(shape) else (1, 1)
        if outside == (1, 1):
            dims = (*self.view_in.dims[:2], "", "")[: len(self.shape)]
            return replace(self._all("it sees every position"), dims=dims)
        axes, texts = [], []
        for axis, side, size in zip(self._axes(), shape[-2:], outside, strict=True):
            window = max(
                -(-(place + 1) * side // size) - place * side // size for place in range(size)
            )
            seen = axis.size + round((window - 1) * axis.jump)
            texts.append(f"{axis.size} + ({window} − 1)·{axis.jump:g} = {seen}")
            axes.append(Axis(seen, axis.jump * side / size, axis.whole))
        return self._with(axes, _either(texts))

    def _mixing_last(self, reason: str) -> _View:
        *others, last = self.view_in.dims
        view = self._over(last, reason)
        return replace(view, dims=(*others, ""))

    def _attending(self) -> _View:
        """Every token sees every token; queries come first, tokens before features."""
        shape = self._input_shape
        letters = "".join(self.view_in.dims)
        view = self._over(letters, "attention: every position sees every other")
        dims = self.view_in.dims if len(shape) == len(self.shape) else ("",) * len(self.shape)
        return replace(view, dims=dims)

    def _normed(self, count: int) -> _View:
        letters = "".join(self.view_in.dims[-count:])
        return self._over(letters, "its mean is over every position")

    def _reduced(self) -> _View:
        given = self.node.kwargs.get("dim", self.node.args[1] if len(self.node.args) > 1 else None)
        if given is None:
            return replace(self._all("it sees every position"), dims=("",) * len(self.shape))
        chosen = [given] if isinstance(given, int) else list(_sequence(given))
        reduced = {int(dim) % len(self.view_in.dims) for dim in chosen}
        letters = "".join(self.view_in.dims[dim] for dim in reduced)
        view = self._over(letters, "it sees every position")
        keeps = len(self.shape) == len(self.view_in.dims)
        dims = tuple(
            "" if index in reduced else letter
            for index, letter in enumerate(self.view_in.dims)
            if keeps or index not in reduced
        )
        return replace(view, dims=dims)

    def _indexed(self) -> _View:
        source, index = self.node.args
        if not isinstance(self.follower.env.get(source), Tensor):
            return self._same_dims()  # an item of a tuple
        indices = index if isinstance(index, tuple) else (index,)
        dims, left = [], list(self.view_in.dims)
        for each in indices:
            if each is None:
                dims.append("")
            elif isinstance(each, slice):
                dims.append(left.pop(0))
            elif each is Ellipsis:
                rest = sum(i is not None and i is not Ellipsis for i in indices)
                while len(left) > rest - len(dims):
                    dims.append(left.pop(0))
            elif isinstance(each, int):
                left.pop(0)
            else:
                return self._lost("an index")
        dims += left
        return replace(self.view_in, dims=tuple(dims))

    def _permuted(self, name: str) -> _View:
        dims = list(self.view_in.dims)
        given = [*self.node.args[1:], *self.node.kwargs.values()]
        order = [int(i) for i in _flat(given)]
        if name in ("transpose", "swapaxes"):
            first, second = order
            dims[first], dims[second] = dims[second], dims[first]
        elif name == "permute":
            dims = [dims[place] for place in order]
        else:
            dims.insert(order[1] % len(dims), dims.pop(order[0]))
        return replace(self.view_in, dims=tuple(dims))

    def _moved(self, module: nn.Module) -> _View | None:
        """Modules that only put values elsewhere."""
        if hasattr(module, "dims") and type(module).__name__ == "Permute":
            dims = tuple(self.view_in.dims[place] for place in module.dims)
            return replace(self.view_in, dims=dims)
        if isinstance(module, nn.Flatten | nn.Unflatten):
            return self._reshaped()
        return None

    def _reshaped(self) -> _View:
        dims = _regrouped(self._input_shape, self.view_in.dims, self.shape)
        return replace(self.view_in, dims=dims) if dims else self._lost("a reshaping")

    def _over(self, letters: str, reason: str) -> _View:
        """Everything along the named sides is seen."""
        if "h" in letters and "w" in letters:
            return self._all(reason)
        axes = [
            replace(axis, whole=axis.whole or letter in letters)
            for axis, letter in zip(self._axes(), "hw", strict=True)
        ]
        return self._with(axes, reason) if letters else self.view_in

    def _all(self, reason: str) -> _View:
        return self._with([replace(axis, whole=True) for axis in self._axes()], reason)

    def _axes(self) -> tuple[Axis, Axis]:
        return self.view_in.field.height, self.view_in.field.width

    def _with(self, axes: Sequence[Axis], text: str) -> _View:
        height, width = axes
        name = str(self.node.target) if self.node.op == "call_module" else self.node.name
        link = Link(name, text, self.view_in.field.link)
        return replace(self.view_in, field=Field(height, width, link))

    def _lost(self, what: str) -> _View:
        return _View(("",) * len(self.shape), Field(unknown=f"{what} can't be followed"))


_POOLS = ("max_pool2d", "boolean_dispatch", "avg_pool2d")
_SPLITS = ("chunk", "split", "tensor_split")
_RESHAPES = ("flatten", "view", "reshape", "unsqueeze", "squeeze", "unflatten", "expand")
_ELEMENTWISE = frozenset({
    "add", "iadd", "sub", "isub", "mul", "imul", "truediv", "neg", "pow", "sqrt", "exp", "add_", "mul_",
    "sub_", "div", "div_", "relu", "relu_", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu",
    "mish", "hardswish", "hardsigmoid", "hardtanh", "sigmoid", "sigmoid_", "tanh", "tanh_", "clamp",
    "dropout", "dropout2d", "contiguous", "clone", "to", "float", "type_as", "detach", "pad",
    "stochastic_depth", "local_response_norm",
})  # fmt: skip


def _is_window(module: nn.Module) -> bool:
    known = nn.modules.conv._ConvNd | nn.modules.pooling._MaxPoolNd | nn.modules.pooling._AvgPoolNd
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        return False
    return isinstance(module, known) or hasattr(module, "kernel_size")


def _widest(fields: Sequence[Field]) -> Field:
    """Where branches meet: the one that sees most, along each side."""
    if not any(field.whole for field in fields):
        for field in fields:
            if field.unknown:
                return field
    widest = max(fields, key=lambda field: (field.whole, field.height.size + field.width.size))
    return Field(
        height=_wider([field.height for field in fields]),
        width=_wider([field.width for field in fields]),
        link=widest.link,
    )


def _wider(axes: Sequence[Axis]) -> Axis:
    return Axis(
        max(axis.size for axis in axes),
        max(axis.jump for axis in axes),
        any(axis.whole for axis in axes),
    )


def _regrouped(before: Shape, dims: Dims, after: Shape) -> Dims | None:
    """The dimensions after a reshape: each is made of those of the same block of values."""
    if math.prod(before) != math.prod(after):
        return dims if len(before) == len(after) else None  # expand
    found: list[str] = []
    old, new = 0, 0
    while new < len(after):
        start_old, start_new = old, new
        inside, outside = 1, 1
        while True:
            if inside <= outside and old < len(before) and (inside < outside or old == start_old):
                inside, old = inside * before[old], old + 1
            elif outside < inside or new == start_new:
                if new == len(after):
                    break
                outside, new = outside * after[new], new + 1
            else:
                break
        letters = "".join(dict.fromkeys("".join(dims[start_old:old])))
        found += [letters if side > 1 else "" for side in after[start_new:new]]
    return tuple(found)


def _first_tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, tuple | list):
        return next((item for item in value if isinstance(item, Tensor)), None)
    return None


def _flat(values: Sequence[Any]) -> list[Any]:
    return [item for value in values for item in _sequence(value)]


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, tuple | list) else (value,)


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    return value[0], value[-1]


def _either(texts: Sequence[str]) -> str:
    """One text where height and width agree."""
    first, *others = dict.fromkeys(texts)
    return f"height {first}, width {others[0]}" if others else first

