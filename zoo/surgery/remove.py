"""The edit `remove`: a layer or a block whose output has its input's shape is passed over."""

from collections.abc import Iterable
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from zoo.errors import StructureError, did_you_mean
from zoo.layers import Shape, containers, paths_matching
from zoo.surgery.shapes import outline_of, shape_text


class Remove(BaseModel):
    """Puts an identity in the place of one module; what follows it reads what it has read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    edit: Literal["remove"] = "remove"
    layer: str
    """Dotted path of the module."""

    def __str__(self) -> str:
        return f"{self.edit} {self.layer}"

    def apply(self, network: nn.Module, input_shape: Shape) -> nn.Module:
        """The network without the module, in place.

        Raises:
            StructureError: there is no such module, its output has another shape than its input,
                or nothing would be left that learns.
        """
        modules = dict(network.named_modules())
        if not self.layer or self.layer not in modules:
            raise StructureError(
                f"No layer is called {self.layer!r}. {did_you_mean(self.layer, modules)}".rstrip()
            )
        _check_shapes(network, self.layer, input_shape)
        inside = {id(p) for p in modules[self.layer].parameters()}
        if all(id(p) in inside for p in network.parameters()):
            raise StructureError(f"Without {self.layer} nothing is left that learns.")
        identity = nn.Identity().train(modules[self.layer].training)
        network.set_submodule(self.layer, identity)
        return network


def matching(network: nn.Module, globs: Iterable[str]) -> list[str]:
    """The outermost modules whose dotted paths match a glob, in the network's order.

    Raises:
        StructureError: a glob matches nothing.
    """
    found = {path for glob in globs for path in paths_matching(network, glob)}
    return [
        path
        for path, _ in network.named_modules()
        if path in found and found.isdisjoint(containers(path))
    ]


def _check_shapes(network: nn.Module, path: str, input_shape: Shape) -> None:
    """Refuses a module that does not map one tensor to one of the same shape."""
    outline = outline_of(network).eval()
    calls: list[tuple[tuple[Any, ...], dict[str, Any], Any]] = []
    outline.get_submodule(path).register_forward_hook(
        lambda _module, args, kwargs, output: calls.append((args, kwargs, output)),
        with_kwargs=True,
    )
    with torch.no_grad():
        outline(torch.empty(2, *input_shape, device="meta"))
    if not calls:
        raise StructureError(
            f"{path} can't be removed: it does not run by itself here.",
            hint="Blocks go before --pop or --no-top: those make a chain of single layers.",
        )
    for args, kwargs, output in calls:
        if len(args) != 1 or kwargs or not isinstance(args[0], Tensor):
            raise StructureError(f"{path} can't be removed: it reads more than one tensor.")
        if not isinstance(output, Tensor):
            raise StructureError(f"{path} can't be removed: it gives more than one tensor.")
        if args[0].shape != output.shape:
            raise StructureError(
                f"{path} can't be removed: it makes {shape_text(output)} of {shape_text(args[0])}.",
                hint="Only what gives the shape that it reads can go.",
            )
