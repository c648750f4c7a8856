"""Edits: changes to a network's structure that a model file records and replays on load."""

from zoo.surgery.hyperparameter import SetHyperparameter

Edit = SetHyperparameter
"""Any edit, told apart by its field `edit`."""

__all__ = ["Edit", "SetHyperparameter"]
