"""`--set` where it speaks of layers: `c1.out_channels=12`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from zoo.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from zoo.surgery import SetHyperparameter


def parse_settings(assignments: Sequence[str] | None) -> "list[SetHyperparameter]":
    """Each `LAYER.FIELD=VALUE` as an edit.

    Raises:
        UsageError: one speaks of the recipe, or of no such field, or has no such value.
    """
    from pydantic import ValidationError

    from zoo import yaml_nodes
    from zoo.recipe import is_override
    from zoo.surgery import SetHyperparameter

    fields = get_args(SetHyperparameter.model_fields["field"].annotation)
    edits = []
    for assignment in assignments or ():
        if is_override(assignment):
            raise UsageError(f"--set {assignment}: this command takes no recipe.")
        path, value = yaml_nodes.parse_assignment(assignment)
        layer, field = ".".join(path[:-1]), path[-1]
        if not layer or field not in fields:
            raise UsageError(
                f"--set {assignment}: expected LAYER.FIELD=VALUE with FIELD one of "
                f"{', '.join(fields)}. {did_you_mean(field, fields)}".rstrip()
            )
        try:
            edits.append(
                SetHyperparameter.model_validate({"layer": layer, "field": field, "value": value})
            )
        except ValidationError as error:
            raise UsageError(
                f"--set {assignment}: {value!r} is no value for {field}; expected a whole "
                "number up to 65,536, a pair such as [3, 3], or for padding also same or valid."
            ) from error
    return edits


def dataset_settings(assignments: Sequence[str] | None, command: str) -> list[str]:
    """Those of a command that takes pictures as they are.

    Raises:
        UsageError: one speaks of anything but `dataset`.
    """
    for assignment in assignments or ():
        if not assignment.startswith("dataset."):
            raise UsageError(
                f"--set {assignment} does not apply: {command} takes only dataset.KEY."
            )
    return list(assignments or ())


def split_settings(assignments: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Those that speak of the recipe, and those that speak of layers."""
    from zoo.recipe import is_override

    given = list(assignments or ())
    return [a for a in given if is_override(a)], [a for a in given if not is_override(a)]
