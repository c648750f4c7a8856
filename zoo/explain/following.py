"""How one operation of a network's graph changes what a value sees."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import fx, nn

from zoo import layers
from zoo.explain.field import Axis, Dims, Field, Link, View
from zoo.layers import Shape

_POOLS = ("max_pool2d", "boolean_dispatch", "avg_pool2d")
_RESHAPES = ("flatten", "view", "reshape", "unsqueeze", "squeeze", "unflatten", "expand")
_ELEMENTWISE = frozenset({
    "add", "iadd", "add_", "sub", "isub", "sub_", "mul", "imul", "mul_", "truediv", "div", "div_",
    "neg", "pow", "sqrt", "exp", "relu", "relu_", "relu6", "leaky_relu", "elu", "selu", "gelu",
    "silu", "mish", "hardswish", "hardsigmoid", "hardtanh", "sigmoid", "sigmoid_", "tanh", "tanh_",
    "clamp", "dropout", "dropout2d", "contiguous", "clone", "to", "float", "type_as", "detach",
    "pad", "stochastic_depth", "local_response_norm",
})  # fmt: skip


@dataclass(frozen=True)
class Call:
    """One node, about to be followed."""

    node: fx.Node
    module: nn.Module | None
    """None of a function."""
    takes_item: bool
    """Whether the main input is a tuple of tensors."""
    shape_in: Shape
    """Of the main input."""
    shape: Shape
    """Of the result."""
    view_in: View
    """The dimensions of the main input, the widest field of all inputs."""

    def view(self) -> View:
        """The result's dimensions and receptive field."""
        field = self.view_in.field
        if field.unknown or field.whole or not any(self.view_in.dims):
            return View(("",) * len(self.shape), field)  # nothing is left to widen
        if self.module is not None:
            return self._of_module(self.module)
        return self._of_function()

    def _of_module(self, module: nn.Module) -> View:
        if isinstance(module, nn.Linear):
            return self._mixing_last("every input at once")
        if isinstance(module, nn.MultiheadAttention):
            return self._attending(-2 if module.batch_first else 0)
        kind = type(module).__name__
        if isinstance(module, nn.LayerNorm) and not kind.endswith("2d"):
            return self._normed(len(module.normalized_shape))
        if isinstance(module, nn.GroupNorm):  # LayerNorm over channels and places alike
            return self._all("its mean is over every position")
        if isinstance(module, nn.ZeroPad2d):
            return self._same_dims()
        adaptive = (kind, layers.type_name(module))
        if any(name.startswith(("Adaptive", "FastAdaptiveAvgPool")) for name in adaptive):
            return self._adaptive()
        if _is_window(module):
            return self._windowed(module)
        if self.shape == self.shape_in:
            return self.view_in
        return self._moved(module) or self._lost(layers.type_name(module))

    def _of_function(self) -> View:
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
            return self._attending(-2)
        if name == "getitem":
            return self._indexed()
        if name in _ELEMENTWISE or name in ("cat", "concat", "chunk", "split", "tensor_split"):
            return self._same_dims()
        if name in ("permute", "transpose", "movedim", "swapaxes"):
            return self._permuted(name)
        if name in _RESHAPES:
            return self._reshaped()
        return self._lost(name)

    def _same_dims(self) -> View:
        if len(self.shape) == len(self.view_in.dims):
            return self.view_in
        if len(self.shape) > len(self.view_in.dims):  # broadcast against a larger one
            missing = len(self.shape) - len(self.view_in.dims)
            return replace(self.view_in, dims=("",) * missing + self.view_in.dims)
        return self._lost(str(self.node.target))

    def _windowed(self, module: Any) -> View:
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

    def _pool_settings(self) -> nn.Module:
        """A functional pooling's arguments as a module has them."""
        names = ("input", "kernel_size", "stride", "padding", "dilation")
        given: Any = {**dict(zip(names, self.node.args, strict=False)), **self.node.kwargs}
        return nn.MaxPool2d(given["kernel_size"], given.get("stride"))

    def _adaptive(self) -> View:
        shape = self.shape_in
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

    def _mixing_last(self, reason: str) -> View:
        *others, last = self.view_in.dims
        view = self._over(last, reason)
        return replace(view, dims=(*others, ""))

    def _attending(self, tokens: int) -> View:
        """Every token sees every other."""
        letters = self.view_in.dims[tokens]
        if "".join(self.view_in.dims) != letters:
            return self._lost("attention within windows")
        view = self._over(letters, "attention: every position sees every other")
        return replace(view, dims=("",) * len(self.shape))

    def _normed(self, count: int) -> View:
        letters = "".join(self.view_in.dims[-count:])
        return self._over(letters, "its mean is over every position")

    def _reduced(self) -> View:
        given: Any = self.node.kwargs.get(
            "dim", self.node.args[1] if len(self.node.args) > 1 else None
        )
        if given is None:
            return replace(self._all("it sees every position"), dims=("",) * len(self.shape))
        reduced = {int(dim) % len(self.view_in.dims) for dim in _sequence(given)}
        letters = "".join(self.view_in.dims[dim] for dim in reduced)
        view = self._over(letters, "it sees every position")
        keeps = len(self.shape) == len(self.view_in.dims)
        dims = tuple(
            "" if index in reduced else letter
            for index, letter in enumerate(self.view_in.dims)
            if keeps or index not in reduced
        )
        return replace(view, dims=dims)

    def _indexed(self) -> View:
        index: Any = self.node.args[1]
        if self.takes_item:
            return self._same_dims()
        indices = index if isinstance(index, tuple) else (index,)
        named = sum(each is not None and each is not Ellipsis for each in indices)
        dims, left = [], list(self.view_in.dims)
        for each in indices:
            if each is None:
                dims.append("")
            elif each is Ellipsis:
                count = len(self.view_in.dims) - named
                dims, left = [*dims, *left[:count]], left[count:]
            elif isinstance(each, slice):
                dims.append(left.pop(0))
            elif isinstance(each, int):
                left.pop(0)
            else:
                return self._lost("an index")
        return replace(self.view_in, dims=(*dims, *left))

    def _permuted(self, name: str) -> View:
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

    def _moved(self, module: nn.Module) -> View | None:
        """Modules that only put values elsewhere."""
        order: Any = getattr(module, "dims", None)
        if type(module).__name__ == "Permute" and order is not None:
            return replace(self.view_in, dims=tuple(self.view_in.dims[place] for place in order))
        return self._reshaped() if isinstance(module, nn.Flatten | nn.Unflatten) else None

    def _reshaped(self) -> View:
        dims = _regrouped(self.shape_in, self.view_in.dims, self.shape)
        return replace(self.view_in, dims=dims) if dims else self._lost("a reshaping")

    def _over(self, letters: str, reason: str) -> View:
        """Everything along the named sides is seen."""
        if "h" in letters and "w" in letters:
            return self._all(reason)
        axes = [
            replace(axis, whole=axis.whole or letter in letters)
            for axis, letter in zip(self._axes(), "hw", strict=True)
        ]
        return self._with(axes, reason) if letters else self.view_in

    def _all(self, reason: str) -> View:
        return self._with([replace(axis, whole=True) for axis in self._axes()], reason)

    def _axes(self) -> tuple[Axis, Axis]:
        return self.view_in.field.height, self.view_in.field.width

    def _with(self, axes: Sequence[Axis], text: str) -> View:
        height, width = axes
        name = str(self.node.target) if self.node.op == "call_module" else self.node.name
        link = Link(name, text, self.view_in.field.link)
        return replace(self.view_in, field=Field(height, width, link))

    def _lost(self, what: str) -> View:
        return View(("",) * len(self.shape), Field(unknown=f"{what} can't be followed"))


def _is_window(module: nn.Module) -> bool:
    known = nn.modules.conv._ConvNd | nn.modules.pooling._MaxPoolNd | nn.modules.pooling._AvgPoolNd
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        return False
    return isinstance(module, known) or hasattr(module, "kernel_size")


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
