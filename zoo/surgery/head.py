"""The edit `head`: a new layer that tells classes apart, put on or in the old one's place."""

from collections import OrderedDict
from typing import Annotated, Literal, Protocol, runtime_checkable

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, fx, nn

from zoo import layers
from zoo.errors import StructureError
from zoo.heads import auxiliary_heads, split_outputs
from zoo.layers import Shape
from zoo.surgery.hyperparameter import rebuilt
from zoo.surgery.shapes import outline_of, shape_text

Form = Literal["pool", "flatten"]


@runtime_checkable
class OfOutputs(Protocol):
    """A layer after the head that suits a certain number of outputs."""

    training: bool

    def for_outputs(self, count: int) -> nn.Module:
        """What takes its place behind a head of so many outputs; itself where nothing has to."""
        ...


class Head(BaseModel):
    """A fresh head for so many classes.

    Where `layers` names the layers that make logits, the head and those of auxiliary classifiers,
    each is replaced by one of its kind. Where it names none, the network has no head: a linear
    layer is put on its vector of features. Maps become a vector by global average pooling, or by
    flattening.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    edit: Literal["head"] = "head"
    num_classes: Annotated[int, Field(ge=1, le=1_000_000, strict=True)]
    layers: tuple[str, ...] = ()
    """Dotted paths of the layers that are replaced."""
    form: Form = "pool"
    """How maps become a vector where the head is put on."""

    def __str__(self) -> str:
        return f"{self.edit} for {self.num_classes} classes"

    def apply(self, network: nn.Module, input_shape: Shape) -> nn.Module:
        """The network with its new head, in place.

        Raises:
            StructureError: no head of that kind fits it.
        """
        for path in self.layers:
            network.set_submodule(path, self._in_place_of(network, path))
        if self.layers:
            for path, module in list(network.named_modules()):
                if isinstance(module, OfOutputs):
                    fitting = module.for_outputs(self.num_classes).train(module.training)
                    network.set_submodule(path, fitting)
        else:
            network = self._put_on(network, input_shape)
        _check_output(network, input_shape, self.num_classes)
        return network

    def _in_place_of(self, network: nn.Module, path: str) -> nn.Module:
        """A layer of the old one's kind, for other classes."""
        modules = dict(network.named_modules())
        old = modules.get(path)
        if isinstance(old, nn.Conv2d):
            return rebuilt(old, out_channels=self.num_classes)
        if isinstance(old, nn.Linear):
            bias = old.bias is not None
            made = type(old)(old.in_features, self.num_classes, bias=bias)
            return made.train(old.training)
        kind = "no layer" if old is None else f"of type {type(old).__name__}"
        raise StructureError(
            f"The head {path} can't be replaced: it is {kind}, neither Linear nor Conv2d.",
            hint="zoo train ARCHITECTURE --weights FILE makes the network anew for other classes.",
        )

    def _put_on(self, network: nn.Module, input_shape: Shape) -> nn.Module:
        if not isinstance(network, fx.GraphModule):
            raise StructureError("This network has its own head: none can be put on.")
        features = features_of(network, input_shape)
        name = next(n for n in ("head", "new_head", "newer_head") if not hasattr(network, n))
        head = self._made_for(features, network).train(network.training)
        network.add_submodule(name, head)
        output = next(node for node in network.graph.nodes if node.op == "output")
        with network.graph.inserting_before(output):
            logits = network.graph.call_module(name, (output.args[0],))
        output.args = (logits,)
        network.recompile()
        return network

    def _made_for(self, features: Tensor, network: fx.GraphModule) -> nn.Module:
        if features.ndim == 2:
            return nn.Linear(features.shape[1], self.num_classes)
        steps: list[tuple[str, nn.Module]] = []
        length = features[0].numel()
        if self.form == "pool":
            if features.ndim != 4 or _is_channels_last(network):
                raise StructureError(
                    f"The features, {shape_text(features)}, are no maps with their channels first, "
                    "so they can't be averaged.",
                    hint="--head flatten takes them as they are.",
                )
            length = features.shape[1]
            steps.append(("pool", nn.AdaptiveAvgPool2d(1)))  # (N, C, 1, 1)
        steps += [("flatten", nn.Flatten()), ("fc", nn.Linear(length, self.num_classes))]
        return nn.Sequential(OrderedDict(steps))


def replacing(network: nn.Module, input_shape: Shape, num_classes: int) -> Head:
    """The edit that gives a whole network a head for other classes.

    Args:
        network: on any device; nothing is computed.
        input_shape: channels, height, width.
        num_classes: of the new head.

    Raises:
        StructureError: it has no head that can be replaced.
    """
    outline = outline_of(network)
    rows = layers.ordered(outline, input_shape).layers
    learning = [
        row.path
        for row in rows
        if row.module is not None
        and row.output_shape is not None
        and any(True for _ in row.module.parameters())
    ]
    if not learning:
        raise StructureError("This network has no head: nothing in it learns.")
    found = {id(module) for module in auxiliary_heads(outline, input_shape)}
    auxiliary = [name for name, module in outline.named_modules() if id(module) in found]
    head = next(path for path in reversed(learning) if path not in auxiliary)
    edit = Head(num_classes=num_classes, layers=(head, *auxiliary))
    edit.apply(outline, input_shape)  # whatever does not fit is said now
    return edit


def features_of(network: nn.Module, input_shape: Shape) -> Tensor:
    """What a network gives for two pictures, on meta: features, or logits."""
    with torch.no_grad():
        outputs = outline_of(network).eval()(torch.empty(2, *input_shape, device="meta"))
    return split_outputs(outputs)[0]


def _check_output(network: nn.Module, input_shape: Shape, num_classes: int) -> None:
    try:
        shape = tuple(features_of(network, input_shape).shape[1:])
    except (RuntimeError, TypeError) as error:
        raise StructureError(
            f"A head for {num_classes} classes does not fit: {str(error).splitlines()[0]}."
        ) from error
    if shape != (num_classes,):
        given = "×".join(str(side) for side in shape)
        raise StructureError(f"A head for {num_classes} classes does not fit: it gives {given}.")


def _is_channels_last(network: fx.GraphModule) -> bool:
    """Whether what gives the features works along their last dimension."""
    output = next(node for node in network.graph.nodes if node.op == "output")
    node = output.all_input_nodes[0]
    while node.all_input_nodes:
        if node.op == "call_module":
            module = network.get_submodule(str(node.target))
            if type(module).__name__ == "Permute":
                return False
            if any(True for _ in module.parameters()):
                # A LayerNorm2d, a subclass, has channels first.
                return isinstance(module, nn.Linear) or type(module) is nn.LayerNorm
        elif node.target == "permute" or node.target is torch.permute:
            return False
        node = node.all_input_nodes[0]
    return False
