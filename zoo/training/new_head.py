"""Whether a model needs a new head for a recipe's classes, and which."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo import modelfile
from zoo.errors import UsageError
from zoo.modelfile import Source
from zoo.provenance import class_difference

if TYPE_CHECKING:
    from zoo.surgery import Head
    from zoo.surgery.head import Form


@dataclass(frozen=True)
class HeadWishes:
    """What the user asked for."""

    form: "Form | None" = None
    """`--head`: how maps become a vector; None where it was left out."""
    keep: bool = False
    """`--keep-head`: a head that had to be replaced is an error."""


def check_applies(wishes: HeadWishes, source: Source) -> None:
    """Refuses wishes that mean nothing for MODEL, before any picture is read.

    Raises:
        UsageError: names the flag.
    """
    if source.path is None and wishes.keep:
        raise UsageError(
            f"--keep-head does not apply: {source.name} is an architecture, whose head starts "
            "fresh or with its --weights.",
        )
    is_headless = source.description.is_headless
    if wishes.form is not None and not is_headless:
        raise UsageError(
            f"--head does not apply: {source.name} has a head of its own.",
            hint="It goes with a network whose top was taken off: zoo prune, or zoo build "
            "--no-top.",
        )
    if wishes.keep and is_headless:
        raise UsageError(f"--keep-head does not apply: the top of {source.name} was taken off.")


def new_head(
    source: Source, classes: tuple[str, ...], recipe_name: str, wishes: HeadWishes
) -> "tuple[Head | None, list[str]]":
    """The edit that a model file needs to tell these classes apart, and a note of it.

    Args:
        source: a model file, with what edits it gets before.
        classes: of the pictures.
        recipe_name: what to call them.
        wishes: of the user.

    Raises:
        UsageError: the head had to be replaced, but was to be kept; or there are no maps whose
            head could be of the form asked for.
        StructureError: no new head fits the network.
    """
    from zoo.surgery import Head
    from zoo.surgery.head import features_of, replacing

    description, count = source.description, len(classes)
    if description.is_headless:
        body, shape = modelfile.outline(description), description.input_shape
        if wishes.form is not None and features_of(body, shape).ndim == 2:
            raise UsageError(
                f"--head does not apply: what {source.name} gives is one vector already."
            )
        put_on = Head(num_classes=count, form=wishes.form or "pool")
        put_on.apply(body, shape)
        return put_on, [f"a new head for the {count} classes of {recipe_name} starts fresh"]
    difference = class_difference(source, classes, recipe_name)
    if difference is None:
        return None, []
    if wishes.keep:
        raise UsageError(
            f"{difference} The head can't be kept.",
            hint="Without --keep-head it is replaced by a fresh one.",
        )
    replaced = replacing(modelfile.outline(description), description.input_shape, count)
    start = "starts" if len(replaced.layers) == 1 else "start"
    note = f"{' and '.join(replaced.layers)} {start} fresh: the {count} classes of {recipe_name}"
    return replaced, [f"{note} are not those of {source.name}"]
