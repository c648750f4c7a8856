"""What one value of a tensor sees of the picture, and which dimensions tell places apart."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """How far one value sees along the height or the width."""

    size: int = 1
    """Pixels of the picture; without meaning where it sees all of it."""
    jump: float = 1
    """Pixels from its first pixel to its neighbour's."""
    whole: bool = False
    """Whether it sees the whole picture by design, such as after attention."""


@dataclass(frozen=True)
class Link:
    """One layer's part in a receptive field."""

    layer: str
    text: str
    """Such as `1 + (5 − 1)·1 = 5`, or why it sees the whole picture."""
    before: "Link | None" = None


@dataclass(frozen=True)
class Field:
    """The receptive field of one output value."""

    height: Axis = Axis()
    width: Axis = Axis()
    link: Link | None = None
    """The last layer that changed it."""
    unknown: str = ""
    """Why it could not be followed, if it could not."""

    @property
    def whole(self) -> bool:
        """Whether it is the whole picture by design."""
        return self.height.whole and self.width.whole

    def chain(self) -> list[Link]:
        """The layers that made it, the first one first."""
        links, link = [], self.link
        while link is not None:
            links.append(link)
            link = link.before
        return links[::-1]


# Which part of the picture a dimension of a tensor tells apart: "", "h", "w" or "hw".
Dims = tuple[str, ...]


@dataclass(frozen=True)
class View:
    """A tensor's dimensions and the receptive field of its values."""

    dims: Dims
    field: Field


def widest(fields: Sequence[Field]) -> Field:
    """Where branches meet: the one that sees most, along each side."""
    if not any(field.whole for field in fields):
        for field in fields:
            if field.unknown:
                return field
    most = max(fields, key=lambda field: (field.whole, field.height.size + field.width.size))
    return Field(
        height=_wider([field.height for field in fields]),
        width=_wider([field.width for field in fields]),
        link=most.link,
    )


def _wider(axes: Sequence[Axis]) -> Axis:
    return Axis(
        max(axis.size for axis in axes),
        max(axis.jump for axis in axes),
        any(axis.whole for axis in axes),
    )
