"""Edits: changes to a network's structure or trainability that a model file records and replays."""

from typing import Annotated

from pydantic import Field

from zoo.surgery.channels import Channels
from zoo.surgery.freeze import Freeze
from zoo.surgery.head import Head
from zoo.surgery.hyperparameter import SetHyperparameter
from zoo.surgery.no_top import NoTop
from zoo.surgery.pop import Pop
from zoo.surgery.remove import Remove
from zoo.surgery.sparsity import Sparsity

Edit = Annotated[
    SetHyperparameter | NoTop | Pop | Remove | Head | Channels | Sparsity | Freeze,
    Field(discriminator="edit"),
]
"""Any edit, told apart by its field `edit`."""

__all__ = [
    "Channels", "Edit", "Freeze", "Head", "NoTop", "Pop", "Remove", "SetHyperparameter", "Sparsity",
]  # fmt: skip
