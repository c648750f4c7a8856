"""Any network as its ordered sequence of layers.

A layer is what a row of `zoo summary` shows: a module without children, one that owns parameters
while its children own none (timm's BatchNormAct2d), or a MultiheadAttention; rows stand in the
order they run. Tensors that a container owns itself (a class token, a layer scale) are a row
before its first layer. An activation without parameters, module or function, belongs to the row
whose output it is applied to; one applied to anything else, such as a sum, belongs to none. One
that is marked as a layer of its own, as those are that Keras stored so, is a row. What stands where
a layer was taken out is none.
"""

import math
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol, runtime_checkable

import torch
import torchinfo
from torch import Tensor, fx, nn
from torchinfo.layer_info import LayerInfo
from torchinfo.torchinfo import clear_cached_forward_pass

from zoo.activations import AppliedActivations, joins_a_row
from zoo.errors import StructureError, did_you_mean, is_out_of_memory, reason_of
from zoo.removed import Removed

Shape = tuple[int, ...]


@runtime_checkable
class CountsItsWork(Protocol):
    """A layer of ours whose multiply-adds torchinfo can't know."""

    def mult_adds(self, output_shape: Shape) -> int:
        """Multiply-adds for one picture whose output has that shape."""
        ...


@runtime_checkable
class Separable(Protocol):
    """A layer of ours that is a depthwise convolution and a 1×1 on what it gives."""

    in_channels: int
    out_channels: int
    multiplier: int
    """Maps that the first makes of each channel."""
    kernel_size: tuple[int, int]
    """Of the first."""

    def convolutions(self) -> nn.Sequential:
        """The same as its two convolutions, which share its weights."""
        ...


@dataclass
class Layer:
    """One row of a network's summary."""

    name: str
    """Dotted path of the module, or of the tensors a container owns."""
    type: str
    module: nn.Module | None
    """None where the row holds a container's own tensors."""
    path: str = ""
    """Dotted path of the module, or of the container."""
    tensors: list[Tensor] = field(default_factory=list)
    """Parameters and batch-norm statistics that no earlier row holds."""
    activation: str | None = None
    input_shape: Shape | None = None
    """Without the batch; None where the layer never runs."""
    output_shape: Shape | None = None
    mult_adds: int = 0
    """For one picture."""


@dataclass(frozen=True)
class Sequence:
    """A network's layers in the order they run."""

    layers: list[Layer]
    output_shapes: dict[str, Shape]
    """Of every module that ran, containers included, by its path."""


def ordered(network: nn.Module, input_shape: Shape) -> Sequence:
    """The layers of a network in the order they run.

    The pass uses a batch of two with only the top module's `training` set, so that auxiliary heads
    run and batch norms do not learn.

    Args:
        network: on any device; on meta nothing is allocated.
        input_shape: channels, height, width.

    Raises:
        StructureError: a picture of that shape can't pass.
    """
    applied = AppliedActivations()
    infos = _traverse(network, input_shape, applied)
    names = {id(module): name for name, module in network.named_modules()}
    rows: dict[int, Layer] = {}
    inside: set[int] = set()  # children of modules that are one row themselves
    for info in infos:
        key = id(info.module)
        if key in inside:
            continue
        if key in rows:
            if info.executed:
                rows[key].mult_adds += _mult_adds(info)
        elif joins_a_row(info.module) and rows:
            continue  # a network's very first layer is a row even so
        elif _is_row(info.module):
            inside.update(id(child) for child in info.module.modules() if child is not info.module)
            rows[key] = _layer(names[key], info)
            rows[key].activation = applied.names.get(info.module)
        elif owned := [name for name, _ in info.module.named_parameters(recurse=False)]:
            prefix = f"{names[key]}." if names[key] else ""
            name = ", ".join(prefix + tensor for tensor in owned)
            rows[key] = Layer(name, "Parameter", None, names[key])
    for name, module in network.named_modules():
        unseen = id(module) not in rows and id(module) not in inside
        if unseen and _is_row(module) and not joins_a_row(module):
            rows[id(module)] = Layer(name, type_name(module), module, name)  # it never runs
    _assign_tensors(network, rows)
    shapes = {names[id(i.module)]: tuple(i.output_size[1:]) for i in infos if i.executed}
    return Sequence(list(rows.values()), shapes)


class _LayerTracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        copies = isinstance(m, Removed) and m.copies  # one that does not leaves no trace
        return copies or _is_row(m) or super().is_leaf_module(m, module_qualified_name)


def trace(network: nn.Module) -> fx.Graph:
    """The network's graph, each layer one node. For analysis: the network keeps its own class.

    Raises:
        StructureError: torch.fx can't follow the network's forward; names the line.
    """
    try:
        return _LayerTracer().trace(network)
    except Exception as error:  # whatever a network's own code makes of a stand-in for a tensor
        raise StructureError(
            f"The layers of {type(network).__name__} can't be followed: "
            f"{reason_of(error)}{_line(error)}.",
            hint="Only --set LAYER.FIELD, --no-top and zoo prune need that; everything else works.",
        ) from error


def _line(error: Exception) -> str:
    """Where in a network's own code tracing failed."""
    frames = [(frame.f_globals.get("__name__", ""), line)
              for frame, line in traceback.walk_tb(error.__traceback__)]  # fmt: skip
    own = [at for at in frames if at[0].split(".")[0] != "torch" and at[0] != __name__]
    return f" (line {own[-1][1]} of {own[-1][0]})" if own else ""


@contextmanager
def modes_kept(network: nn.Module) -> Iterator[None]:
    """Gives every module the mode back that it had, whatever happened inside."""
    modes = {module: module.training for module in network.modules()}
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def containers(path: str) -> tuple[str, ...]:
    """What a module or tensor lies in, from the inside: `a.b.conv1` in `a.b` and `a`."""
    names = path.split(".")
    return tuple(".".join(names[:count]) for count in range(len(names) - 1, 0, -1))


def paths_matching(network: nn.Module, glob: str) -> list[str]:
    """The dotted paths of modules that match a glob, in the network's order.

    Raises:
        StructureError: it matches nothing.
    """
    modules = network.named_modules()
    paths = [path for path, module in modules if path and not isinstance(module, Removed)]
    found = [path for path in paths if fnmatchcase(path, glob)]
    if not found:
        raise StructureError(
            f"No layer matches {glob!r}. {did_you_mean(glob.strip('*?[]'), paths)}".rstrip(),
            hint="zoo summary MODEL shows the layers; * stands for any characters.",
        )
    return found


def type_name(module: nn.Module) -> str:
    """The field's name for a module's type: the nearest class of torch.nn, or its own."""
    for kind in type(module).__mro__:
        if kind.__module__.startswith("torch.nn.") and kind is not nn.Module:
            return kind.__name__
    return type(module).__name__


def row_modules(network: nn.Module) -> Iterator[nn.Module]:
    """The modules that are rows, in the order they are registered."""
    inside: set[nn.Module] = set()
    for module in network.modules():
        if module not in inside and _is_row(module) and not joins_a_row(module):
            inside.update(module.modules())
            yield module


def own_tensors(module: nn.Module) -> Iterator[Tensor]:
    """Parameters and batch-norm running statistics that a module holds itself."""
    yield from module.parameters(recurse=False)
    for name, buffer in module.named_buffers(recurse=False):
        if name in ("running_mean", "running_var"):
            yield buffer


def _is_row(module: nn.Module) -> bool:
    if isinstance(module, Removed):
        return False
    children = list(module.children())
    if not children and isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict):
        return False  # an empty container, such as a ShuffleNet's missing branch
    if not children or isinstance(module, nn.MultiheadAttention):
        return True
    owns = any(True for _ in own_tensors(module))
    return owns and not any(True for child in children for _ in child.parameters())


def _layer(name: str, info: LayerInfo) -> Layer:
    return Layer(
        name=name,
        type=type_name(info.module),
        module=info.module,
        path=name,
        input_shape=tuple(info.input_size[1:]) if info.executed else None,
        output_shape=tuple(info.output_size[1:]) if info.executed else None,
        mult_adds=_mult_adds(info) if info.executed else 0,
    )


def _mult_adds(info: LayerInfo) -> int:
    """The count for one picture: torchinfo's, which for a Linear misses all tokens but one."""
    if isinstance(info.module, CountsItsWork):
        return info.module.mult_adds(tuple(info.output_size[1:]))
    if isinstance(info.module, nn.Linear):
        return info.num_params * math.prod(info.output_size[1:-1])
    return info.macs // info.output_size[0] if info.output_size else info.macs


@torch.inference_mode(False)  # whose tensors have no versions
def _traverse(
    network: nn.Module, input_shape: Shape, applied: AppliedActivations
) -> list[LayerInfo]:
    first = next(network.parameters(), torch.empty(0))
    pictures = torch.zeros(2, *input_shape, dtype=torch.float32, device=first.device)
    # torchinfo sets eval mode itself; auxiliary heads run only where the top module trains.
    hook = network.register_forward_pre_hook(_mark_training)
    try:
        with modes_kept(network), applied.hooks(network, row_modules(network)), applied:
            statistics = torchinfo.summary(
                network, input_data=[pictures], mode="eval", col_names=(), depth=100, verbose=0
            )
    except RuntimeError as error:
        if is_out_of_memory(error.__cause__ or error):
            raise
        cause = error.__cause__ or error
        reason = reason_of(cause)
        shape = "×".join(str(side) for side in input_shape)
        raise StructureError(f"A picture of {shape} can't pass this network: {reason}.") from error
    finally:
        hook.remove()
        clear_cached_forward_pass()  # it would keep the network alive
    layers: list[LayerInfo] = statistics.summary_list
    return layers


def _mark_training(module: nn.Module, _: object) -> None:
    module.training = True


def _assign_tensors(network: nn.Module, rows: dict[int, Layer]) -> None:
    """Gives each tensor to the first row that holds it, so that the rows add up to the totals."""
    seen: set[int] = set()
    modules = {id(module): module for module in network.modules()}
    for key, layer in rows.items():
        module = modules[key]
        holders = [module] if layer.module is None else module.modules()
        for tensor in (tensor for holder in holders for tensor in own_tensors(holder)):
            if id(tensor) not in seen:
                seen.add(id(tensor))
                layer.tensors.append(tensor)
