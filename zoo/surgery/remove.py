"""The edit `remove`: a layer or a block whose output has its input's shape is passed over."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from zoo.activations import AppliedActivations, joins_a_row
from zoo.errors import StructureError, did_you_mean
from zoo.layers import Shape, containers, paths_matching, row_modules
from zoo.removed import Removed
from zoo.surgery.shapes import outline_of, shape_text


class Remove(BaseModel):
    """Takes one module out, with its activations; what follows it reads what it has read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    edit: Literal["remove"] = "remove"
    layer: str
    """Dotted path of the module."""
    activations: tuple[str, ...] | None = None
    """Dotted paths of the activations that go with it.

    Files of older versions lack it: there an identity that counts as a layer takes the module's
    place, and its activation stays.
    """

    def __str__(self) -> str:
        return f"{self.edit} {self.layer}"

    def apply(self, network: nn.Module, input_shape: Shape) -> nn.Module:
        """The network without the modules, in place.

        Raises:
            StructureError: there is no such module, its output has another shape than its input,
                or nothing would be left that learns.
        """
        modules = dict(network.named_modules())
        gone = (self.layer, *(self.activations or ()))
        for path in gone:
            if not path or path not in modules:
                raise StructureError(
                    f"No layer is called {path!r}. {did_you_mean(path, modules)}".rstrip()
                )
        changed_later = _check_shapes(network, gone, input_shape)
        inside = {id(p) for path in gone for p in modules[path].parameters()}
        if all(id(p) in inside for p in network.parameters()):
            raise StructureError(f"Without {self.layer} nothing is left that learns.")
        for path in gone:
            place: nn.Module = nn.Identity()
            if self.activations is not None:
                # Whoever changes the output of a layer whose activation goes is that activation.
                is_last = path != self.layer or not self.activations
                place = Removed(copies=is_last and path in changed_later)
            network.set_submodule(path, place.train(modules[path].training))
        return network


@dataclass(frozen=True)
class Removals:
    """The edits that take layers out, and what they can't take."""

    edits: tuple[Remove, ...]
    stay: dict[str, str]
    """By layer, an activation that follows it and stays, with the reason."""


def removals(network: nn.Module, input_shape: Shape, globs: Iterable[str]) -> Removals:
    """What takes out the modules that globs mean.

    An activation goes with the module whose output it is applied to. One that is a function, or a
    module that works elsewhere too, can't.

    Args:
        network: on any device; nothing is computed.
        input_shape: channels, height, width.
        globs: of dotted paths of layers, blocks or single activations.

    Raises:
        StructureError: a glob matches nothing.
    """
    paths = matching(network, globs)
    going, stay = _activations_after(network, input_shape, paths)
    taken_along = {path for activations in going.values() for path in activations}
    edits = (
        Remove(layer=path, activations=tuple(going.get(path, ())))
        for path in paths
        if path not in taken_along
    )
    return Removals(tuple(edits), stay)


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


@torch.inference_mode(False)  # whose tensors have no versions
def _activations_after(
    network: nn.Module, input_shape: Shape, paths: Collection[str]
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """By path of what is taken out: the activations that go with it, and one that has to stay."""
    outline = outline_of(network).eval()
    names = {module: path for path, module in outline.named_modules()}
    rows = list(row_modules(outline))
    parts = {inner for row in rows for inner in row.modules() if inner is not row}
    chosen = [module for module, path in names.items() if path in paths]
    gone = [module for module in chosen if module not in parts and not joins_a_row(module)]
    inside = {inner for module in gone for inner in module.modules()}
    applied = AppliedActivations()
    outline.training = True  # so that auxiliary heads run, as in layers.ordered
    left = [row for row in rows if row not in inside]
    with applied.hooks(outline, [*gone, *left]), applied, torch.no_grad():
        outline(torch.empty(2, *input_shape, device="meta"))
    elsewhere = {each.module for each in applied.applications if each.layer not in gone}
    going: dict[str, list[str]] = {}
    stay: dict[str, str] = {}
    for each in applied.applications:
        if each.layer not in gone:
            continue
        layer = names[each.layer]
        if each.module is None:
            stay[layer] = f"{each.name}, which is no module of its own"
        elif each.module in elsewhere:
            stay[layer] = f"{names[each.module]}, which works elsewhere too"
        elif all(names[each.module] not in others for others in going.values()):
            going.setdefault(layer, []).append(names[each.module])
    return going, stay


@torch.inference_mode(False)
def _check_shapes(network: nn.Module, paths: Iterable[str], input_shape: Shape) -> set[str]:
    """Refuses modules that do not map one tensor to one of the same shape.

    Returns:
        Those whose output is changed in place by something after them.
    """
    outline = outline_of(network).eval()
    calls: dict[str, list[_Call]] = {path: [] for path in paths}
    for path, of_this in calls.items():
        outline.get_submodule(path).register_forward_hook(
            lambda _module, args, kwargs, output, of_this=of_this: of_this.append(
                _Call(args, kwargs, output, getattr(output, "_version", 0))
            ),
            with_kwargs=True,
        )
    with torch.no_grad():
        outline(torch.empty(2, *input_shape, device="meta"))
    for path, of_this in calls.items():
        if not of_this:
            raise StructureError(
                f"{path} can't be removed: it does not run by itself here.",
                hint="Blocks go before --pop or --no-top: those make a chain of single layers.",
            )
        for call in of_this:
            call.check(path)
    return {
        path
        for path, of_this in calls.items()
        if any(call.output._version > call.version for call in of_this)
    }


@dataclass(frozen=True)
class _Call:
    """A module at work."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any
    version: int
    """Of the output, when it was returned."""

    def check(self, path: str) -> None:
        if len(self.args) != 1 or self.kwargs or not isinstance(self.args[0], Tensor):
            raise StructureError(f"{path} can't be removed: it reads more than one tensor.")
        if not isinstance(self.output, Tensor):
            raise StructureError(f"{path} can't be removed: it gives more than one tensor.")
        given = self.args[0]
        if given.shape != self.output.shape:
            raise StructureError(
                f"{path} can't be removed: it makes {shape_text(self.output)} of "
                f"{shape_text(given)}.",
                hint="Only what gives the shape that it reads can go.",
            )
