"""The edit `no-top`: what tells classes apart is taken off, as Keras's `include_top=False` does."""

import operator
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from pydantic import BaseModel, ConfigDict
from torch import fx, nn

from zoo.activations import is_activation
from zoo.errors import StructureError
from zoo.layers import Shape
from zoo.surgery.graphs import Followed

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
        followed = Followed(network, input_shape)
        return followed.ended_with(_last_of_body(network, followed.graph, followed.dimensions))


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
