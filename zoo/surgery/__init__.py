"""Edits: changes to a network's structure or trainability that a model file records and replays."""

from typing import Annotated

from pydantic import Field

from zoo.surgery.freeze import Freeze
from zoo.surgery.hyperparameter import SetHyperparameter
from zoo.surgery.no_top import NoTop

Edit = Annotated[SetHyperparameter | NoTop | Freeze, Field(discriminator="edit")]
"""Any edit, told apart by its field `edit`."""

__all__ = ["Edit", "Freeze", "NoTop", "SetHyperparameter"]
