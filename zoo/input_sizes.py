"""Which sizes of pictures a network takes, where its card does not say."""

from zoo import catalog, modelfile
from zoo.description import Description
from zoo.errors import StructureError
from zoo.layers import ordered

# What patches, windows and halvings ask for, in timm's networks.
_MULTIPLES = (8, 12, 14, 16, 32, 56, 224)


def check_takes(description: Description) -> None:
    """Refuses a size of which no picture can pass; the error names sizes of which one can.

    Asks the network itself, without a byte of weights, where its card names no smallest size.

    Raises:
        StructureError: no picture of that size can pass.
    """
    card = catalog.find(description.architecture)
    size, own = description.arguments.input_size, card.input_shape[1:]
    if card.smallest_px is not None or size == own:
        return
    problem = _problem(description)
    if problem is None or _problem(_sized(description, own)):
        return  # where not even its own size can be tried, all are left to the network
    longer = max(size)
    near = {max(1, (longer + up) // by) * by for by in _MULTIPLES for up in (0, by - 1)}
    sides = sorted(near - {longer}, key=lambda side: (abs(side - longer), side))
    fitting = next((s for s in sides if _problem(_sized(description, (s, s))) is None), own[0])
    takes = " and ".join(dict.fromkeys(f"{h}×{w}" for h, w in (own, (fitting, fitting))))
    raise StructureError(f"{problem} {card.name} takes {takes}.", hint=f"--input-size {fitting}")


def _problem(description: Description) -> str | None:
    """Why no picture can pass, or None."""
    try:
        ordered(modelfile.outline(description), description.input_shape)
    except StructureError as error:
        return error.message
    return None


def _sized(description: Description, size: tuple[int, int]) -> Description:
    arguments = description.arguments.model_copy(update={"input_size": size})
    return description.model_copy(update={"arguments": arguments})
