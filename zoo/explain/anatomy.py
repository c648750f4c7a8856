"""Each layer of a network: its formulas and what one of its values sees."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from zoo.errors import NotFoundError, StructureError, did_you_mean
from zoo.explain import formulas
from zoo.explain.field import Field
from zoo.explain.formulas import Formula
from zoo.explain.receptive import receptive_fields
from zoo.layers import Shape
from zoo.summary import LayerSummary, summarize


@dataclass(frozen=True)
class Explained:
    """One layer."""

    row: LayerSummary
    """As `zoo summary` has it."""
    output_size: tuple[Formula, ...]
    """One for all sides, or one for each; empty where the layer never runs."""
    params: Formula
    mult_adds: Formula
    field: Field | None
    """None where the layer never runs or has no place in the picture."""

    @property
    def receptive_field(self) -> Shape | None:
        """Height and width in pixels; None where it is the whole picture, or not known."""
        field = self.field
        if field is None or field.unknown or field.height.whole or field.width.whole:
            return None
        return field.height.size, field.width.size

    @property
    def jump(self) -> tuple[float, float] | None:
        """Pixels between neighbouring values; None where a value has no neighbours."""
        shape = self.row.output_shape
        is_map = shape is not None and len(shape) > 1 and max(shape[1:]) > 1
        if self.field is None or self.receptive_field is None or not is_map:
            return None
        return self.field.height.jump, self.field.width.jump


@dataclass(frozen=True)
class Anatomy:
    """A network, layer by layer."""

    layers: tuple[Explained, ...]
    problem: str
    """Why no receptive field is known, if none is."""


def explain(network: nn.Module, input_shape: Shape) -> Anatomy:
    """Explains every layer of a network for pictures of one shape.

    Args:
        network: on the meta device.
        input_shape: channels, height, width.

    Raises:
        StructureError: a picture of that shape can't pass.
    """
    rows = summarize(network, input_shape).layers
    modules = dict(network.named_modules())
    problem = ""
    fields: dict[str, Field] = {}
    try:
        fields = receptive_fields(network, input_shape)
    except StructureError as error:
        problem = error.message
    found = []
    for row in rows:
        module = None if row.type == "Parameter" else modules.get(row.name)
        found.append(
            Explained(
                row=row,
                output_size=formulas.output_size(row, module),
                params=formulas.parameters(row, network, module),
                mult_adds=formulas.mult_adds(row, module),
                field=fields.get(row.name) if module is not None else None,
            )
        )
    return Anatomy(tuple(found), problem)


def find(layers: Sequence[Explained], name: str) -> int:
    """The index of the layer of that name.

    Raises:
        NotFoundError: there is none.
    """
    names = [layer.row.name for layer in layers]
    if name not in names:
        suggestion = did_you_mean(name, names)
        raise NotFoundError(
            f"No layer is called {name!r}. {suggestion}".rstrip(),
            hint="Without --layer, every layer is shown with its name.",
        )
    return names.index(name)
