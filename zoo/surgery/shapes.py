"""Running a network on shapes alone: on the meta device nothing is computed."""

import copy
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call

from zoo import layers
from zoo.layers import Shape


def outline_of(network: nn.Module) -> nn.Module:
    """A copy wholly on the meta device; no weight is copied."""
    memo: dict[int, Any] = {}
    for parameter in network.parameters():
        moved = nn.Parameter(parameter.detach().to("meta"), requires_grad=parameter.requires_grad)
        memo[id(parameter)] = moved
    for buffer in network.buffers():
        memo[id(buffer)] = buffer.to("meta")
    return copy.deepcopy(network, memo)


def shape_text(tensor: Tensor) -> str:
    """`64×7×7`, without the batch."""
    return "×".join(str(side) for side in tensor.shape[1:])


class OnShapes(fx.Interpreter):
    """Runs a network layer by layer, as it evaluates, on tensors without content."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(fx.GraphModule(network, layers.trace(network)))
        self.network = network
        self.node: fx.Node | None = None
        """The one that runs."""

    def run_on(self, input_shape: Shape) -> Any:
        """The output for two pictures, on meta."""
        with torch.no_grad():
            return self.run(torch.empty(2, *input_shape, device="meta"))

    def run_node(self, n: fx.Node) -> Any:
        """Remembers the node."""
        self.node = n
        return super().run_node(n)

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        """A parameter or buffer, on meta."""
        return super().get_attr(target, args, kwargs).to("meta")

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Runs a layer."""
        module = self.network.get_submodule(target)
        state = {
            name: tensor.to("meta")
            for name, tensor in (*module.named_parameters(), *module.named_buffers())
        }
        with layers.modes_kept(module):
            return functional_call(module.eval(), state, args, kwargs)
