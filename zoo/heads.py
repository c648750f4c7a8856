"""A network's head: its last layer that learns, with what follows it."""

from torch import nn

from zoo.errors import UsageError
from zoo.layers import Shape, ordered


def find_head(network: nn.Module, input_shape: Shape) -> nn.Module:
    """The last layer that has something to train.

    Raises:
        UsageError: no layer has.
    """
    return from_the_head_on(network, input_shape)[0]


def from_the_head_on(network: nn.Module, input_shape: Shape) -> list[nn.Module]:
    """The modules of the head's layer and of those after it.

    Raises:
        UsageError: no layer has something to train.
    """
    modules = in_order(network, input_shape)
    for place in reversed(range(len(modules))):
        if any(p.requires_grad for p in modules[place].parameters()):
            return modules[place:]
    raise UsageError("Nothing in this network can be trained.")


def in_order(network: nn.Module, input_shape: Shape) -> list[nn.Module]:
    """The modules of the layers in the order they run; those that never do come first."""
    layers = ordered(network, input_shape).layers
    layers.sort(key=lambda layer: layer.output_shape is not None)
    return [layer.module for layer in layers if layer.module is not None]
