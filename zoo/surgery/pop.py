"""The edit `pop`: the last layers are taken off, as Keras's `pop()` does."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import fx, nn

from zoo import layers
from zoo.errors import StructureError
from zoo.layers import Layer, Shape
from zoo.surgery.graphs import Followed
from zoo.surgery.shapes import outline_of


class Pop(BaseModel):
    """Takes off the last so many rows of the summary; what the last row left gives is the output.

    Operations without a row, such as a sum, a flatten or an activation, stay with the row that
    they follow. Auxiliary classifiers go.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    edit: Literal["pop"] = "pop"
    layers: Annotated[int, Field(ge=1, le=100_000, strict=True)]
    """How many rows."""

    def __str__(self) -> str:
        return f"{self.edit} {self.layers}"

    def apply(self, network: nn.Module, input_shape: Shape) -> nn.Module:
        """The network without its last layers; the others keep their names and are shared.

        Raises:
            StructureError: torch.fx can't follow it, it has no more layers than that, or several
                tensors pass from what stays to what goes.
        """
        rows = rows_that_run(network, input_shape)
        if self.layers >= len(rows):
            raise StructureError(
                f"--pop {self.layers} would leave nothing: the network has {len(rows)} layers.",
                hint=f"--pop {len(rows) - 1} or less; zoo summary shows the layers.",
            )
        followed = Followed(network, input_shape)
        cuts = _Cuts(followed, rows)
        crossing = cuts.crossing(len(rows) - self.layers)
        if len(crossing) != 1 or followed.dimensions[crossing[0]] < 0:
            raise StructureError(
                f"--pop {self.layers} would cut where no single tensor passes: after "
                f"{rows[-self.layers - 1].name}.",
                hint=f"Nearest that work: {_either(cuts.nearest(self.layers))}.",
            )
        return followed.ended_with(crossing[0])


def rows_that_run(network: nn.Module, input_shape: Shape) -> list[Layer]:
    """The rows that can be counted from the end, auxiliary classifiers' among them.

    A container's own tensors are a row too. What never runs is gone from a popped network whatever
    the number.

    Raises:
        StructureError: a picture of that shape can't pass.
    """
    rows = layers.ordered(outline_of(network), input_shape).layers
    return [row for row in rows if row.module is None or row.output_shape is not None]


class _Cuts:
    """Where a network can end."""

    def __init__(self, followed: Followed, rows: list[Layer]) -> None:
        self._dimensions = followed.dimensions
        self._nodes: list[fx.Node] = list(followed.graph.nodes)
        places = {node: place for place, node in enumerate(self._nodes)}
        self._last_use = [
            max((places[user] for user in node.users), default=-1) for node in self._nodes
        ]
        self._is_computed: list[bool] = []  # from the picture, unlike a parameter
        for node in self._nodes:
            inputs = (self._is_computed[places[input_]] for input_ in node.all_input_nodes)
            self._is_computed.append(node.op == "placeholder" or any(inputs))
        uses = _first_uses(self._nodes)
        self._firsts = [_first_use(row, uses) for row in rows]
        """The place of each row's first node; None for one of an auxiliary classifier."""

    def crossing(self, kept: int) -> list[fx.Node]:
        """What passes from the first `kept` rows to the others; nothing where that is no cut."""
        stays = [first for first in self._firsts[:kept] if first is not None]
        goes = [first for first in self._firsts[kept:] if first is not None]
        if self._firsts[kept - 1] is None or not goes or max(stays) >= min(goes):
            return []
        cut = min(goes)
        return [
            node
            for place, node in enumerate(self._nodes[:cut])
            if self._last_use[place] >= cut
            and self._is_computed[place]
            and self._dimensions.get(node, 0) != 0
        ]

    def nearest(self, popped: int) -> list[int]:
        """The closest numbers of rows that can be popped, on either side."""
        count = len(self._firsts)
        either = (range(popped - 1, 0, -1), range(popped + 1, count))
        found = (next((n for n in side if self._is_legal(count - n)), None) for side in either)
        return [number for number in found if number is not None]

    def _is_legal(self, kept: int) -> bool:
        crossing = self.crossing(kept)
        return len(crossing) == 1 and self._dimensions[crossing[0]] > 0


def _first_uses(nodes: list[fx.Node]) -> dict[str, int]:
    """Where each layer is first called, and each container's own tensor first taken."""
    found: dict[str, int] = {}
    for place, node in enumerate(nodes):
        if node.op in ("call_module", "get_attr"):
            found.setdefault(str(node.target), place)
    return found


def _first_use(row: Layer, uses: dict[str, int]) -> int | None:
    names = [row.path] if row.module is not None else row.name.split(", ")
    return min((uses[name] for name in names if name in uses), default=None)


def _either(numbers: list[int]) -> str:
    return " and ".join(f"--pop {number}" for number in numbers) or "none"
