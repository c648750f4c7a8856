"""Receptive fields: which part of the picture one output value of each layer sees.

The network's graph runs on the meta device, and each tensor carries which of its dimensions are
places in the picture and how far one place sees. Where branches meet, the widest counts.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from zoo import layers
from zoo.errors import StructureError
from zoo.explain.field import Field, View, widest
from zoo.explain.following import Call
from zoo.layers import Shape


def receptive_fields(network: nn.Module, input_shape: Shape) -> dict[str, Field]:
    """The receptive field of each layer that runs, by its dotted path.

    Args:
        network: on the meta device.
        input_shape: channels, height, width.

    Raises:
        StructureError: the network's forward can't be followed.
    """
    try:
        with layers.modes_kept(network), torch.no_grad():
            network.eval()
            network.training = True  # so that auxiliary heads run, as in layers.ordered
            follower = _Follower(fx.GraphModule(network, layers.trace(network)))
            follower.run(torch.zeros(2, *input_shape, device="meta"))
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StructureError(f"The network's graph can't be run: {reason}.") from error
    return follower.fields


class _Follower(fx.Interpreter):
    """Runs a graph and follows the receptive field of each node."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.views: dict[fx.Node, View] = {}
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
                self.fields[path] = widest([known, view.field]) if known else view.field
        return result

    def _view(self, node: fx.Node, result: Any) -> View | None:
        if node.op == "placeholder":
            return View(("", "", "h", "w"), Field())
        sources = [source for source in node.all_input_nodes if source in self.views]
        if not sources or node.op in ("get_attr", "output"):
            return None
        tensor = _first_tensor(result)
        if tensor is None:
            return None  # a size
        main = next((source for source in sources if any(self.views[source].dims)), sources[0])
        field = widest([self.views[source].field for source in sources])
        before = self.env[main]
        first = _first_tensor(before)
        assert first is not None
        call = Call(
            node=node,
            module=self.fetch_attr(str(node.target)) if node.op == "call_module" else None,
            takes_item=not isinstance(before, Tensor),
            shape_in=tuple(first.shape),
            shape=tuple(tensor.shape),
            view_in=replace(self.views[main], field=field),
        )
        return call.view()


def _first_tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, tuple | list):
        return next((item for item in value if isinstance(item, Tensor)), None)
    return None
