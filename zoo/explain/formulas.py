"""A layer's formulas with its own numbers: output size, parameters, multiply-adds.

Every formula is checked against the figure that `zoo summary` has; where none gives it, the layer
says so plainly.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from zoo.layers import own_tensors
from zoo.summary import LayerSummary

_Adaptive = (
    nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool2d | nn.AdaptiveAvgPool3d
    | nn.AdaptiveMaxPool1d | nn.AdaptiveMaxPool2d | nn.AdaptiveMaxPool3d
)  # fmt: skip


@dataclass(frozen=True)
class Formula:
    """How one figure comes about."""

    text: str
    """With the layer's numbers, such as `(5·5·1 + 1)·40 = 1,040`."""
    reading: str = ""
    """The same in words, or why there is no formula."""


def output_size(row: LayerSummary, module: nn.Module | None) -> tuple[Formula, ...]:
    """How the output's size comes about: one formula for all sides, or one for each."""
    if row.input_shape is None or row.output_shape is None:
        return ()
    if module is not None and _window(row, module):
        return _window_sizes(row, module)
    if isinstance(module, _ConvTransposeNd):
        return _transposed_sizes(row, module)
    if isinstance(module, _Adaptive):
        return (_adaptive_size(row),)
    if isinstance(module, nn.Linear):
        return (_linear_size(row),)
    if row.input_shape == row.output_shape:
        return (Formula("as the input", f"{_sides(row.input_shape)} in, the same out"),)
    if math.prod(row.input_shape) == math.prod(row.output_shape):
        if len(row.output_shape) == 1:
            text = f"{_product(row.input_shape)} = {row.output_shape[0]:,}"
            return (Formula(text, "the same values, in one line"),)
        text = f"{_sides(row.input_shape)} as {_sides(row.output_shape)}"
        return (Formula(text, "the same values in another order"),)
    text = f"{_sides(row.input_shape)} to {_sides(row.output_shape)}"
    return (Formula(text, f"a {row.type} has no simple formula"),)


def parameters(row: LayerSummary, network: nn.Module, module: nn.Module | None) -> Formula:
    """How the number of parameters comes about, batch-norm statistics included."""
    if row.params == 0:
        return Formula("0", "nothing to learn")
    candidates = [] if module is None else list(_parameter_formulas(module))
    candidates.append(_tensors(row, network, module))
    for text, value, reading in candidates:
        if value == row.params:
            return Formula(_equal(text, value), reading)
    return Formula(f"{row.params:,}", "what no earlier layer holds: some tensors are shared")


def mult_adds(row: LayerSummary, module: nn.Module | None) -> Formula:
    """How the multiply-adds for one picture come about, a bias counting as one per output."""
    if row.mult_adds == 0:
        return Formula("0", "no weight is multiplied" if row.params == 0 else "only added")
    for text, value, reading in _work_formulas(row, module):
        runs, rest = divmod(row.mult_adds, value) if value else (0, 1)
        if rest == 0 and runs == 1:
            return Formula(_equal(text, value), reading)
        if rest == 0 and isinstance(module, _ConvNd | nn.Linear):
            return Formula(_equal(f"{text}·{runs}", row.mult_adds), f"{reading}; it runs {runs}×")
    return Formula(f"{row.mult_adds:,}", "counted, there is no simple formula")


def _window(row: LayerSummary, module: nn.Module) -> bool:
    """Whether a window of fixed size slides over its input."""
    return (
        row.kernel_size is not None
        and not isinstance(module, _ConvTransposeNd)
        and row.input_shape is not None
        and row.output_shape is not None
        and len(row.input_shape) == len(row.output_shape) >= 2
    )


def _window_sizes(row: LayerSummary, module: nn.Module) -> tuple[Formula, ...]:
    assert row.input_shape is not None
    assert row.output_shape is not None
    assert row.kernel_size is not None
    sides = len(row.input_shape) - 1
    kernels = _each(row.kernel_size, sides)
    strides = _each(getattr(module, "stride", 1) or row.kernel_size, sides)
    dilations = _each(getattr(module, "dilation", 1), sides)
    paddings = _paddings(row.padding, row.input_shape[1:], kernels, strides, dilations)
    ceil_mode = bool(getattr(module, "ceil_mode", False))
    found = [
        _window_size(*numbers, ceil_mode=ceil_mode)
        for numbers in zip(
            row.input_shape[1:], kernels, strides, paddings, dilations, strict=True
        )
    ]  # fmt: skip
    if [size for _, size in found] != list(row.output_shape[1:]):
        text = f"{_sides(row.input_shape)} to {_sides(row.output_shape)}"
        return (Formula(text, f"this {row.type} does not follow the usual formula"),)
    reading = _general(dilated=any(d > 1 for d in dilations), ceil_mode=ceil_mode)
    texts = dict.fromkeys(_equal(text, size) for text, size in found)
    return tuple(Formula(text, reading) for text in texts)


def _paddings(
    padding: Sequence[int] | str | None,
    sides: Sequence[int],
    kernels: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> list[tuple[int, int]]:
    """Zeros before and after each side."""
    if padding == "same":  # as many as make ⌈side / stride⌉ outputs
        totals = [
            max((-(-side // step) - 1) * step + d * (k - 1) + 1 - side, 0)
            for side, k, step, d in zip(sides, kernels, strides, dilations, strict=True)
        ]
        return [(total // 2, total - total // 2) for total in totals]
    if padding is None or isinstance(padding, str):
        return [(0, 0)] * len(kernels)
    return [(side, side) for side in _each(padding, len(kernels))]


def _window_size(
    side: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int, *, ceil_mode: bool
) -> tuple[str, int]:
    """The formula's text and what it gives."""
    before, after = padding
    added = f"2·{before}" if before == after else f"{before} + {after}"
    reach = f"{kernel}" if dilation == 1 else f"{dilation}·({kernel} − 1) − 1"
    span = side + before + after - dilation * (kernel - 1) - 1
    division, size = f"({side} + {added} − {reach})/{stride}", span // stride + 1
    if span % stride == 0:
        return f"{division} + 1", size
    if not ceil_mode:
        return f"⌊{division}⌋ + 1", size
    if size * stride >= side + before:
        return f"⌈{division}⌉ + 1 − 1", size
    return f"⌈{division}⌉ + 1", size + 1


def _general(*, dilated: bool, ceil_mode: bool) -> str:
    reach = "dilation·(kernel − 1) − 1" if dilated else "kernel"
    division = f"(side + 2·padding − {reach})/stride"
    if ceil_mode:
        return f"⌈{division}⌉ + 1, less a window that would start in the padding"
    return f"{division} + 1, rounded down"


def _transposed_sizes(row: LayerSummary, module: _ConvTransposeNd) -> tuple[Formula, ...]:
    assert row.input_shape is not None
    assert row.output_shape is not None
    texts = []
    for index, (side, size) in enumerate(
        zip(row.input_shape[1:], row.output_shape[1:], strict=True)
    ):
        padding = module.padding[index]
        assert isinstance(padding, int)
        texts.append(
            f"({side} − 1)·{module.stride[index]} − 2·{padding} + "
            f"{module.dilation[index]}·({module.kernel_size[index]} − 1) + "
            f"{module.output_padding[index]} + 1 = {size}"
        )
    reading = "(side − 1)·stride − 2·padding + dilation·(kernel − 1) + output padding + 1"
    return tuple(Formula(text, reading) for text in dict.fromkeys(texts))


def _adaptive_size(row: LayerSummary) -> Formula:
    assert row.input_shape is not None
    assert row.output_shape is not None
    inside, outside = row.input_shape[1:], row.output_shape[1:]
    if math.prod(outside) == 1:
        text = f"{_sides(inside)} to {_sides(outside)}"
        return Formula(text, f"one window over all {_product(inside)} = {math.prod(inside)} values")
    text = f"{_sides(outside)}, whatever comes in"
    if all(side % size == 0 for side, size in zip(inside, outside, strict=True)):
        windows = [side // size for side, size in zip(inside, outside, strict=True)]
        return Formula(text, f"windows of {_sides(windows)}")
    return Formula(text, "windows whose sides differ by a pixel")


def _linear_size(row: LayerSummary) -> Formula:
    assert row.output_shape is not None
    positions = row.output_shape[:-1]
    if math.prod(positions) == 1:
        return Formula(f"{row.output_shape[-1]:,} outputs", "one for each row of the weights")
    text = f"{row.output_shape[-1]:,} outputs at each of {_sides(positions)}"
    return Formula(text, "the same weights at every position")


_Candidate = tuple[str, int, str]


def _parameter_formulas(module: nn.Module) -> Iterator[_Candidate]:
    """Text, value and reading."""
    if isinstance(module, _ConvNd):
        yield _convolution(module)
    elif isinstance(module, nn.Linear):
        yield _linear(module.in_features, module.out_features, has_bias=module.bias is not None)
    elif isinstance(module, _NormBase):
        yield _norm(module)
    elif (
        isinstance(module, nn.MultiheadAttention)
        and getattr(module, "in_proj_weight", None) is not None
    ):
        yield _attention(module)


def _convolution(module: _ConvNd) -> _Candidate:
    kernel, bias = _product(module.kernel_size), module.bias is not None
    inside, filters = f"{module.in_channels:,}", f"{module.out_channels:,}"
    if module.groups > 1:
        inside = f"({inside}/{module.groups:,})"
    weights = math.prod(module.kernel_size) * module.in_channels // module.groups
    if module.transposed:  # its weights lie the other way round; there are as many
        text, value = f"{kernel}·{inside}·{filters}", weights * module.out_channels
        if not bias:
            return text, value, "kernel·inputs·outputs, no bias"
        reading = "kernel·inputs·outputs + a bias for each output"
        return f"{text} + {filters}", value + module.out_channels, reading
    reading = "kernel·inputs" if module.groups == 1 else "kernel·inputs of a group"
    if bias:
        text = f"({kernel}·{inside} + 1)·{filters}"
        return text, (weights + 1) * module.out_channels, f"({reading} + a bias)·filters"
    text = f"{kernel}·{inside}·{filters}"
    return text, weights * module.out_channels, f"{reading}·filters, no bias"


def _linear(inputs: int, outputs: int, *, has_bias: bool) -> _Candidate:
    if has_bias:
        return f"({inputs:,} + 1)·{outputs:,}", (inputs + 1) * outputs, "(inputs + a bias)·outputs"
    return f"{inputs:,}·{outputs:,}", inputs * outputs, "inputs·outputs, no bias"


def _norm(module: _NormBase) -> _Candidate:
    parts = ["γ", "β"] if module.affine else []
    if module.track_running_stats:
        parts += ["running mean", "running variance"]
    reading = f"{', '.join(parts)} of each channel"
    return f"{len(parts)}·{module.num_features:,}", len(parts) * module.num_features, reading


def _attention(module: nn.MultiheadAttention) -> _Candidate:
    size = module.embed_dim
    if getattr(module, "in_proj_bias", None) is None:
        return f"{size}·{size}·4", 4 * size**2, "queries, keys, values and the output, no bias"
    text = f"({size} + 1)·{size}·4"
    return text, 4 * (size + 1) * size, "(inputs + a bias) for queries, keys, values and the output"


def _tensors(row: LayerSummary, network: nn.Module, module: nn.Module | None) -> _Candidate:
    """Each tensor's sides; what fits any layer."""
    if module is None:
        shapes = [network.get_parameter(name).shape for name in row.name.split(", ")]
        names = [name.rpartition(".")[2] for name in row.name.split(", ")]
    else:
        tensors = [tensor for each in module.modules() for tensor in own_tensors(each)]
        shapes = [tensor.shape for tensor in tensors]
        known = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        called = {id(tensor): name for name, tensor in known.items()}
        names = [called.get(id(tensor), "shared") for tensor in tensors]
    value = sum(math.prod(shape) for shape in shapes)
    return " + ".join(_product(shape) for shape in shapes), value, " and ".join(names)


def _work_formulas(row: LayerSummary, module: nn.Module | None) -> Iterator[_Candidate]:
    if row.output_shape is None or row.input_shape is None:
        return
    positions = row.output_shape[1:]
    reading = "every weight and bias at each position of the output"
    if isinstance(module, nn.Linear | nn.MultiheadAttention):
        positions = row.output_shape[:-1]
    if isinstance(module, nn.MultiheadAttention):
        reading += "; products of queries, keys and values are not counted"
    if math.prod(positions) > 1:
        value = row.torch_params * math.prod(positions)
        text = f"{row.torch_params:,}·{_product(positions)}"
        yield text, value, reading
    yield f"{row.torch_params:,}", row.torch_params, "every weight and bias once"
    sides = row.output_shape
    yield _product(sides), math.prod(sides), "one for each output"
    both = (*sides, *row.input_shape)
    yield _product(both), math.prod(both), "every output with every input"


def _each(value: int | Sequence[int] | str | None, sides: int) -> list[int]:
    """A number for each side."""
    assert value is not None
    assert not isinstance(value, str)
    if isinstance(value, int):
        return [value] * sides
    return list(value)[:sides] if len(value) >= sides else [value[0]] * sides


def _equal(text: str, value: int) -> str:
    return text if text.replace(",", "") == str(value) else f"{text} = {value:,}"


def _product(factors: Sequence[int]) -> str:
    return "·".join(f"{factor:,}" for factor in factors) or "1"


def _sides(sides: Sequence[int]) -> str:
    return "×".join(str(side) for side in sides) or "1"
