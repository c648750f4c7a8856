"""A network's graph with what passes along it, and cutting it off."""

from typing import Any

import torch
from torch import fx, nn

from zoo.errors import StructureError
from zoo.layers import Shape, modes_kept
from zoo.surgery.shapes import OnShapes


class Followed(OnShapes):
    """A network's graph, and how many dimensions each node's output has.

    Raises:
        StructureError: torch.fx can't follow the network.
    """

    def __init__(self, network: nn.Module, input_shape: Shape) -> None:
        try:
            with modes_kept(network):
                network.eval()  # auxiliary classifiers are not followed
                super().__init__(network)
                self.dimensions: dict[fx.Node, int] = {}
                """0 where it is no tensor, -1 where it is several."""
                self.run_on(input_shape)
        except RuntimeError as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise StructureError(f"The layers can't be followed on shapes: {reason}.") from error

    def run_node(self, n: fx.Node) -> Any:
        """Runs the node."""
        output = super().run_node(n)
        self.dimensions[n] = _dimensions(output)
        return output

    def ended_with(self, last: fx.Node) -> fx.GraphModule:
        """The network that returns what a node gives; its layers keep their names and are shared.

        Only once: the graph is the new network's afterwards.
        """
        output = next(node for node in self.graph.nodes if node.op == "output")
        output.args = (last,)
        for node in reversed(list(self.graph.nodes)):
            if node.op != "output" and node.op != "placeholder" and not node.users:
                self.graph.erase_node(node)
        ended = fx.GraphModule(self.network, self.graph, class_name=type(self.network).__name__)
        ended.training = self.network.training
        return ended


def _dimensions(output: Any) -> int:
    if isinstance(output, torch.Tensor):
        return output.ndim
    is_several = isinstance(output, tuple | list) and any(map(_dimensions, output))
    return -1 if is_several else 0
