"""The pretrained weights that torchvision publishes, as a table. Imports no torch.

`python -m tests.make_weights_table` writes it, and `tests/test_published.py` holds them
against the torchvision that is installed.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

WEIGHTS_TABLE = Path(__file__).parent / "tables" / "torchvision_weights.csv"
CLASSES_TABLE = Path(__file__).parent / "tables" / "imagenet_classes.csv"
TERMS = (
    "torchvision's code is BSD-3-Clause; pretrained weights may have terms of their own or of the "
    "data they learned from, and ImageNet's are for non-commercial research"
)
"""What torchvision's documentation says of its weights, and ImageNet of its pictures."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One file of weights that torchvision publishes."""

    model: str
    """torchvision's name of the network, such as `resnet50`."""
    name: str
    """torchvision's name of the weights, in small letters: `imagenet1k-v2`."""
    url: str
    bytes: int
    """To a thousand: torchvision states megabytes."""
    top1: float | None
    """Accuracy on ImageNet's validation pictures, in [0, 1]; None where there is no classifier."""
    top5: float | None
    mean: tuple[float, ...]
    """That the pictures need here; torchvision's GoogLeNet and Inception change them once more."""
    std: tuple[float, ...]
    interpolation: str
    resize_px: int
    """The shorter side becomes this long."""
    crop_px: int
    """Side of the square around the middle that the network then sees."""
    licence: str
    recipe: str
    """Where the training is described."""

    @property
    def sha256_prefix(self) -> str:
        """The first digits of the file's SHA-256, which its name ends in."""
        return self.url.rpartition("-")[2].removesuffix(".pth")


@cache
def _table() -> dict[str, list[Weights]]:
    table: dict[str, list[Weights]] = {}
    with WEIGHTS_TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            weights = Weights(
                model=row["model"],
                name=row["name"],
                url=row["url"],
                bytes=int(row["bytes"]),
                top1=float(row["top1"]) if row["top1"] else None,
                top5=float(row["top5"]) if row["top5"] else None,
                mean=tuple(float(value) for value in row["mean"].split()),
                std=tuple(float(value) for value in row["std"].split()),
                interpolation=row["interpolation"],
                resize_px=int(row["resize_px"]),
                crop_px=int(row["crop_px"]),
                licence=row["licence"],
                recipe=row["recipe"],
            )
            table.setdefault(weights.model, []).append(weights)
    return table


def of_torchvision(model: str) -> tuple[Weights, ...]:
    """What is published for a network of torchvision's, its default first."""
    return tuple(_table().get(model, ()))


def on_card(model: str) -> dict[str, Any]:
    """A card's `weights` and `top1`, the latter of torchvision's default."""
    weights = of_torchvision(model)
    return {
        "weights": tuple(each.name for each in weights),
        "top1": weights[0].top1 if weights else None,
    }


@cache
def imagenet_classes() -> dict[str, str]:
    """ImageNet's 1000 classes in order: torchvision's names by WordNet's numbers."""
    with CLASSES_TABLE.open(encoding="utf-8", newline="") as file:
        return {row["wnid"]: row["name"] for row in csv.DictReader(file)}
