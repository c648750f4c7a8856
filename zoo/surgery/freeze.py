"""The edit `freeze`: layers that training leaves alone, or that learn again."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from zoo import frozen
from zoo.errors import StructureError, did_you_mean
from zoo.layers import Shape


class Freeze(BaseModel):
    """Keras's `trainable = False`, or `True`: for gradients and for batch-norm statistics."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    edit: Literal["freeze"] = "freeze"
    layers: Annotated[tuple[str, ...], Field(min_length=1)]
    """Dotted paths of layers, or of tensors that a container owns itself."""
    frozen: bool = True
    """False lets them learn."""

    def __str__(self) -> str:
        return f"{'freeze' if self.frozen else 'unfreeze'} {', '.join(self.layers)}"

    def apply(self, network: nn.Module, input_shape: Shape) -> nn.Module:  # noqa: ARG002 (edits share it)
        """The network with the layers frozen or free, in place.

        Raises:
            StructureError: there is no such layer.
        """
        modules = dict(network.named_modules())
        parameters = dict(network.named_parameters(remove_duplicate=False))
        for name in self.layers:
            if name in modules:
                self._set(modules[name])
            elif name in parameters:
                parameters[name].requires_grad_(not self.frozen)
            else:
                raise StructureError(
                    f"No layer is called {name!r}. {did_you_mean(name, modules)}".rstrip()
                )
        return network

    def _set(self, layer: nn.Module) -> None:
        layer.requires_grad_(not self.frozen)
        for module in layer.modules():
            if self.frozen:
                frozen.hold(module)
            else:
                frozen.release(module)
