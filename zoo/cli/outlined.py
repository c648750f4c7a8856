"""MODEL with the options that shape a network, for commands that only look at it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.cli.app import OUTPUT
from zoo.cli.layer_settings import parse_settings
from zoo.cli.options import parse_size
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.description import Description


def outlined(
    model: str,
    *,
    num_classes: int | None,
    in_channels: int | None,
    input_size: str | None,
    settings: Sequence[str] | None,
    no_top: bool,
) -> "tuple[str, Description]":
    """What to call the network, and its description; what people should know of it is noted.

    Raises:
        NotFoundError: MODEL is nothing.
        UsageError: an option does not apply.
        StructureError: no picture of that size can pass.
    """
    from zoo import modelfile
    from zoo.building import without_top
    from zoo.input_sizes import check_takes

    edits = parse_settings(settings)
    source = modelfile.resolve(
        model,
        num_classes=num_classes,
        in_channels=in_channels,
        input_size=parse_size(input_size),
        exported=True,
    )
    if source.exported is not None and (edits or no_top):
        option = "--set LAYER.FIELD" if edits else "--no-top"
        raise UsageError(
            f"{option} does not apply: the network of {source.name}, an exported file, is fixed.",
            hint="Give the model file or the run that it was exported from.",
        )
    if source.path is None:
        check_takes(source.description)
    description = modelfile.with_edits(source.description, edits)
    if no_top:
        description = without_top(description, num_classes)
    for note in description.notes:
        OUTPUT.note(note)
    return source.name, description
