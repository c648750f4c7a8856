"""The edit `no-top`: what tells classes apart is taken off, as Keras's `include_top=False` does."""

import operator
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from pydantic import BaseModel, ConfigDict
from torch import fx, nn

from zoo.activations import is_activation
from zoo.errors import StructureError
from zoo.layers import Shape
from zoo.surgery.shapes import OnShapes

_TOP_MODULES = (
    nn.Linear, nn.Flatten, nn.Identity, nn.LayerNorm, nn.BatchNorm1d, nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d, nn.Dropout, nn.Dropout2d,
)  # fmt: skip
"""Layers that, with activations, lie between the last feature maps and the logits."""
_TOP_FUNCTIONS = (
    torch.flatten, torch.mean, torch.squeeze, torch.reshape, F.adaptive_avg_pool2d,
    F.adaptive_max_pool2d, F.dropout, F.avg_pool2d, operator.getitem,
)  # fmt: skip
_ACTIVATIONS = ("relu", "relu6", "hardswish", "silu", "gelu", "tanh", "sigmoid")
_TOP_METHODS = ("flatten", "mean", "squeeze", "reshape", "view", "permute", "contiguous", "size")


class NoTop(BaseModel):
    """Ends the network with its last feature maps.

    Those are what the last convolution, pooling of a fixed window, sum or concatenation before the
    head gives, with its batch norm and activation. Where they are no maps, as in a vision
    transformer, only the head goes. Auxiliary classifiers go too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    edit: Literal["no-top"] = "no-top"

    def __str__(self) -> str:
        return self.edit

    def apply(self, network: nn.Module, input_shape: Shape) -> nn.Module:
        """The network without its top; its layers keep their names and are shared.

        Raises:
            StructureError: torch.fx can't follow it, or nothing lies below its top.
        """
        was_training = network.training
        network.eval()  # auxiliary classifiers are not followed
        try:
            shapes = _Dimensions(network)
            shapes.run_on(input_shape)
        finally:
            network.train(was_training)
        return _ended(network, shapes.graph, _last_of_body(network, shapes.graph, shapes.found))


class _Dimensions(OnShapes):
    """Remembers how many dimensions each node's output has."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network)
        self.found: dict[fx.Node, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Runs the node."""
        output = super().run_node(n)
        self.found[n] = output.ndim if isinstance(output, torch.Tensor) else 0
        return output


def _last_of_body(network: nn.Module, graph: fx.Graph, dimensions: dict[fx.Node, int]) -> fx.Node:
    """The node whose output is the network's without its top."""
    node = _before(next(node for node in graph.nodes if node.op == "output"))
    while not _has_parameters(network, node):
        node = _before(node)
    above = head_input = _before(node)
    way = [above]
    while _is_of_top(network, above):
        above = _before(above)
        way.append(above)
    body = above
    if body.op == "placeholder":
        raise StructureError("Nothing lies below the top of this network.")
    if dimensions[body] != 4 or any(node.target == "permute" for node in way):
        return head_input  # tokens, or channels last: the features are what the head reads
    for node in reversed(way[:-1]):
        if not _is_activation(network, node):
            break
        body = node
    return body


def _before(node: fx.Node) -> fx.Node:
    return node.all_input_nodes[0]


def _has_parameters(network: nn.Module, node: fx.Node) -> bool:
    if node.op != "call_module":
        return False
    return any(True for _ in network.get_submodule(str(node.target)).parameters())


def _is_of_top(network: nn.Module, node: fx.Node) -> bool:
    if node.op == "call_module":
        module = network.get_submodule(str(node.target))
        return isinstance(module, _TOP_MODULES) or _is_activation(network, node)
    if node.op == "call_method":
        return node.target in _TOP_METHODS
    return node.target in _TOP_FUNCTIONS or _is_activation(network, node)


def _is_activation(network: nn.Module, node: fx.Node) -> bool:
    if node.op == "call_module":
        return is_activation(network.get_submodule(str(node.target)))
    return node.op == "call_function" and getattr(node.target, "__name__", "") in _ACTIVATIONS


def _ended(network: nn.Module, graph: fx.Graph, last: fx.Node) -> fx.GraphModule:
    """The network that returns what a node gives."""
    output = next(node for node in graph.nodes if node.op == "output")
    output.args = (last,)
    for node in reversed(list(graph.nodes)):
        if node.op != "output" and node.op != "placeholder" and not node.users:
            graph.erase_node(node)
    return fx.GraphModule(network, graph, class_name=type(network).__name__)
