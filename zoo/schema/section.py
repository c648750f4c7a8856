"""What every section of a recipe has in common."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping of the YAML: unknown keys are errors, values are never converted silently."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        defer_build=True,  # `zoo recipes list` validates nothing and has 0.3 s
    )

    moved: ClassVar[Mapping[str, str]] = {}
    """Keys that belong elsewhere, and where."""
