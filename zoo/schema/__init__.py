"""A recipe's schema: every key with its type, default, unit and meaning."""

import hashlib
import json
from typing import Any

from zoo.schema.augment import (
    Augment,
    ColorJitter,
    GaussianBlur,
    RandAugment,
    RandomErasing,
    RandomResizedCrop,
)
from zoo.schema.dataset import LOCAL, Dataset
from zoo.schema.preprocess import Preprocess, Preprocessing
from zoo.schema.section import Section
from zoo.schema.train import Train

__all__ = [
    "SECTIONS", "UNWEIGHTY", "Augment", "ColorJitter", "Dataset", "GaussianBlur", "Preprocess",
    "Preprocessing", "RandAugment", "RandomErasing", "RandomResizedCrop", "Recipe", "Section",
    "Train",
]  # fmt: skip


UNWEIGHTY = {"dataset": set(LOCAL), "train": {"checkpoint_every", "tensorboard"}}
"""Keys, by section, that change no weight."""


class Recipe(Section):
    """A whole recipe."""

    description: str = ""
    """One line for people."""
    dataset: Dataset = Dataset()
    preprocess: Preprocess = Preprocess()
    augment: Augment = Augment()
    train: Train = Train()

    def content(self) -> dict[str, Any]:
        """What a model file keeps: all but what changes no weight, such as paths."""
        return self.model_dump(mode="json", exclude=UNWEIGHTY)

    def digest(self) -> str:
        """SHA-256 over the content, the description left out."""
        document = {key: value for key, value in self.content().items() if key != "description"}
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


SECTIONS = ("dataset", "preprocess", "augment", "train")
