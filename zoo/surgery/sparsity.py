"""The edit `sparsity`: single weights that are zero and stay zero."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from zoo.errors import StructureError
from zoo.layers import Shape


class Sparsity(BaseModel):
    """Which tensors were pruned; which of their weights went is seen in them: those are zero.

    The structure stays. Training keeps the zeros.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    edit: Literal["sparsity"] = "sparsity"
    tensors: Annotated[tuple[str, ...], Field(min_length=1)]
    """Dotted paths of parameters."""
    ratio: float = Field(gt=0, lt=1)
    """Share of their weights that was asked to go."""
    share: float | None = Field(default=None, gt=0, lt=1)
    """Share of their weights, all together, that was zero then; with those of earlier edits."""

    def __str__(self) -> str:
        return f"sparsity {self.ratio:g} of {len(self.tensors)} tensors"

    def apply(self, network: nn.Module, input_shape: Shape) -> nn.Module:  # noqa: ARG002 (an edit's signature)
        """The network itself.

        Raises:
            StructureError: it has no such parameter.
        """
        parameters = {name for name, _ in network.named_parameters()}
        if unknown := [name for name in self.tensors if name not in parameters]:
            raise StructureError(f"The edit sparsity does not fit: no parameter is {unknown[0]}.")
        return network
