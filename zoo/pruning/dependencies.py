"""Which channels of which layers can only go together.

torch-pruning's dependency graph (Fang et al. 2023, https://arxiv.org/abs/2301.12900) finds that;
what it would get wrong is left out here, so that those layers keep their channels.
"""

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn
from torch_pruning import ops
from torch_pruning.pruner import function

from zoo.errors import StructureError, is_out_of_memory
from zoo.heads import split_outputs
from zoo.layers import Separable, Shape, modes_kept, ordered

_CHANNELWISE = frozenset(
    f"{name}Backward"
    for name in (
        "Relu", "Hardtanh", "Silu", "Hardswish", "Hardsigmoid", "Sigmoid", "Gelu", "Tanh",
        "LeakyRelu", "Elu", "Softplus", "Mish", "Threshold", "Clamp",
        "Add", "Sub", "Rsub", "Mul", "Div", "Pow", "Mean",
        "ConstantPadNd", "MaxPool2DWithIndices", "AvgPool2D", "AdaptiveAvgPool2D",
        "AdaptiveMaxPool2D", "UpsampleNearest2D", "UpsampleBilinear2D", "NativeDropout", "Clone",
        "Alias", "Permute", "Squeeze", "AsStrided", "T", "Addmm", "Mm", "NativeBatchNorm",
        "CudnnBatchNorm", "NativeLayerNorm", "Convolution",
    )
)  # fmt: skip
"""Autograd's operations that leave each channel apart; Mean and ConstantPadNd are looked at."""
_KNOWN = (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm)
_OF_EACH = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
"""Tensors of those layers; one with others is a variant whose channels mean more."""


@dataclass(frozen=True)
class Member:
    """One dimension of one layer, as far as a group's channels are in it."""

    path: str
    """Of the layer, or of a tensor that a container owns."""
    side: str
    """`out`, `in`, or `both` where a layer has each channel once."""
    places: tuple[int, ...]
    """Indices in that dimension."""
    channels: tuple[int, ...]
    """The group's channel that each place belongs to."""


@dataclass(frozen=True)
class Group:
    """Channels of a layer with everything that has to lose what they lose."""

    root: str
    """The first layer that makes them."""
    size: int
    """How many they are."""
    grouped: int
    """The convolution's groups that must all lose the same places; 1 where none is grouped."""
    members: tuple[Member, ...]
    found: Any
    """torch-pruning's own group, for the importance of its channels."""

    @property
    def makers(self) -> tuple[str, ...]:
        """The layers whose output channels these are."""
        return tuple(m.path for m in self.members if m.side in ("out", "both"))


def find_groups(network: nn.Module, input_shape: Shape) -> list[Group]:
    """Every group whose channels can go; the channels of all other layers stay.

    Args:
        network: with weights; on any device.
        input_shape: channels, height, width.

    Raises:
        StructureError: no layer can lose channels, or torch-pruning can't follow the network.
    """
    _check_kinds(network, input_shape)
    separable = _separable(network)
    with _traceable(network), _unfolded(network, separable):
        graph = _graph(network, input_shape)
        names = {module: name for name, module in network.named_modules()}
        names.update({parameter: name for name, parameter in network.named_parameters()})
        groups = [
            folded
            for found in graph.get_all_groups(root_module_types=(nn.Conv2d, nn.Linear))
            if (group := _group(found, graph, names)) is not None
            and (folded := _folded(group, separable)) is not None
        ]
    if not groups:
        raise StructureError(
            f"No layer of {type(network).__name__} can lose channels: each is tied to the "
            "network's output or to an operation that mixes channels.",
            hint="--sparsity prunes single weights of any network.",
        )
    return groups


def _check_kinds(network: nn.Module, input_shape: Shape) -> None:
    for layer in ordered(network, input_shape).layers:
        if isinstance(layer.module, (*_KNOWN, nn.MultiheadAttention, Separable)):
            continue
        if layer.module is not None and layer.tensors:
            raise StructureError(
                f"Channels of {type(network).__name__} can't be pruned: {layer.name} is of type "
                f"{layer.type}, whose channels are not interchangeable.",
                hint="--sparsity prunes single weights of any network.",
            )


@contextmanager
def _traceable(network: nn.Module) -> Iterator[None]:
    """Inside, all has gradients and no normalization mixes channels; the modes come back."""
    frozen = [p for p in network.parameters() if not p.requires_grad]
    mixing: list[Any] = [m for m in network.modules() if isinstance(m, nn.LocalResponseNorm)]
    for parameter in frozen:
        parameter.requires_grad_(True)
    for norm in mixing:  # of neighbours, whichever they are
        norm.forward = torch.clone
    try:
        with modes_kept(network), torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for norm in mixing:
            del norm.forward
        for parameter in frozen:
            parameter.requires_grad_(False)


def _separable(network: nn.Module) -> dict[str, nn.Sequential]:
    """Both convolutions of each layer that is two, by its path."""
    return {
        path: module.convolutions()
        for path, module in network.named_modules()
        if isinstance(module, Separable)
    }


@contextmanager
def _unfolded(network: nn.Module, separable: Mapping[str, nn.Sequential]) -> Iterator[None]:
    """Inside, those layers are their convolutions, which torch-pruning can follow."""
    whole = {path: network.get_submodule(path) for path in separable}
    for path, convolutions in separable.items():
        network.set_submodule(path, convolutions.train(whole[path].training))
    try:
        yield
    finally:
        for path, module in whole.items():
            network.set_submodule(path, module)


def _folded(group: Group, separable: Mapping[str, nn.Sequential]) -> Group | None:
    """The same group, where the convolutions of such a layer are that layer again.

    What it reads are the depthwise convolution's channels, and the 1×1 reads the same. None where
    only such a layer itself has those channels: its input's, or several maps of each.
    """
    members: list[Member] = []
    for member in group.members:
        path, _, part = member.path.rpartition(".")
        if path not in separable:
            members.append(member)
        elif part == "0":
            members.append(replace(member, path=path, side="in"))
        elif member.side == "out":
            members.append(replace(member, path=path))
    makers = [member.path for member in members if member.side == "out"]
    if members[0].side != "in":
        makers.insert(0, members[0].path)
    return replace(group, root=makers[0], members=tuple(members)) if makers else None


def _graph(network: nn.Module, input_shape: Shape) -> torch_pruning.DependencyGraph:
    device = next(network.parameters()).device

    def forward(module: nn.Module, pictures: Tensor) -> Any:
        module.training = True  # nothing inside: auxiliary heads run, and no batch norm learns
        outputs = module(pictures)
        _check_not_shuffled(module, outputs)
        return outputs

    try:
        return torch_pruning.DependencyGraph().build_dependency(
            network, torch.zeros(1, *input_shape, device=device), forward_fn=forward, verbose=False
        )
    except (RuntimeError, ValueError, TypeError, AttributeError, ZeroDivisionError) as error:
        if is_out_of_memory(error):
            raise
        raise StructureError(
            f"torch-pruning can't follow {type(network).__name__}: {error}.",
            hint="--sparsity prunes single weights of any network.",
        ) from error


def _check_not_shuffled(network: nn.Module, outputs: Any) -> None:
    """Refuses what torch-pruning would follow wrongly: channels that change places."""
    logits, auxiliary = split_outputs(outputs)
    seen: set[Any] = set()
    waiting = [output.grad_fn for output in (logits, *auxiliary)]
    while waiting:
        step = waiting.pop()
        if step is None or step in seen:
            continue
        seen.add(step)
        before = [inner for inner, _ in step.next_functions]
        sizes = getattr(step, "_saved_self_sym_sizes", ())
        is_view = "View" in step.name() and len(sizes) == 5
        while is_view and before and before[0] is not None and "Clone" in before[0].name():
            before = [inner for inner, _ in before[0].next_functions]
        if is_view and before and before[0] is not None and "Transpose" in before[0].name():
            raise StructureError(
                f"Channels of {type(network).__name__} can't be pruned: it shuffles them between "
                "its branches, so that each one's place counts.",
                hint="--sparsity prunes single weights of any network.",
            )
        waiting.extend(before)


def _group(found: Any, graph: Any, names: dict[Any, str]) -> Group | None:
    """The group in our words; None where its channels have to stay."""
    members, grouped = [], 1
    for item in found:
        node, handler = item.dep.target, item.dep.handler
        if not _is_apart(node):
            return None
        module = node.module
        if module not in names:
            continue
        is_out = graph.is_out_channel_pruning_fn(handler)
        is_in = graph.is_in_channel_pruning_fn(handler)
        if is_out and not node.outputs:
            return None  # the network's output
        if is_in and not node.inputs:
            return None  # a depthwise convolution of the picture itself
        places = len(item.idxs)
        width = graph.get_out_channels(node) if is_out else graph.get_in_channels(node)
        if width is None or len(item.root_idxs) != places or max(item.idxs) >= width:
            return None
        if isinstance(module, nn.Conv2d) and handler != _DEPTHWISE and module.groups > 1:
            if places != width:
                return None
            grouped = math.lcm(grouped, module.groups)
        side = "both" if is_out and is_in else "out" if is_out else "in"
        members.append(Member(names[module], side, tuple(item.idxs), tuple(item.root_idxs)))
    size = len(found[0].idxs)
    if size % grouped or size == grouped > 1 or any(None in member.channels for member in members):
        return None
    return Group(members[0].path, size, grouped, tuple(members), found)


_DEPTHWISE = function.prune_depthwise_conv_out_channels


def _is_apart(node: Any) -> bool:
    """Whether channels pass a node without touching one another."""
    module = node.module
    if isinstance(module, nn.Parameter):
        return sum(side > 1 for side in module.shape) == 1
    if isinstance(module, _KNOWN):
        own = {name for name, _ in module.named_parameters(recurse=False)}
        own |= {name for name, _ in module.named_buffers(recurse=False)}
        is_transposed = getattr(module, "transposed", False)
        uneven = isinstance(module, nn.Conv2d) and (
            module.groups == module.out_channels > 1 and module.in_channels != module.groups
        )
        return own <= _OF_EACH and not is_transposed and not uneven
    sizes = tuple(getattr(node.grad_fn, "_saved_self_sym_sizes", ()))
    if node.type == ops.OPTYPE.CONCAT:
        return bool(node.enable_index_mapping)
    if node.type == ops.OPTYPE.RESHAPE:
        return len(sizes) <= 4
    if node.type == ops.OPTYPE.SLICE:
        return len(sizes) == 4 and node.grad_fn._saved_dim != 1
    if node.type != ops.OPTYPE.ELEMENTWISE:
        return False
    name = node.grad_fn.name().rstrip("0123456789")
    if name not in _CHANNELWISE:
        return False
    if name == "MeanBackward":
        count = len(sizes)
        dims = node.grad_fn._saved_dim or ()
        means = {dim - (1 << 64) if dim >= 1 << 63 else dim for dim in dims}
        channels = {1, 1 - count} if count == 4 else {-1, count - 1}
        return bool(means) and not means & channels
    if name == "ConstantPadNdBackward":
        return not any(node.grad_fn._saved_pad[4:])
    return True
