"""Writes zoo/tables/torchvision_weights.csv and imagenet_classes.csv: run by hand.

    python -m tests.make_weights_table

`tests/test_published.py` holds what lies there against the same rows.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torchvision.models
from torchvision.models import ResNet18_Weights, WeightsEnum, get_model_weights, list_models

from zoo.published import CLASSES_TABLE, WEIGHTS_TABLE

TRANSFORM_INPUT = ("googlenet", "inception_v3")
"""Networks in which torchvision itself turns its usual mean and std into 0.5 and 0.5."""


def weights_rows() -> list[dict[str, str]]:
    """All weights of all classification networks, each network's default first."""
    rows = []
    for model in list_models(module=torchvision.models):
        published = get_model_weights(model)
        default = published.DEFAULT
        rows += [_row(model, weights) for weights in (default, *published) if weights is not None]
    return [row for place, row in enumerate(rows) if row not in rows[:place]]


def _row(model: str, weights: WeightsEnum) -> dict[str, str]:
    meta, transforms = weights.meta, weights.transforms()
    accuracy = meta["_metrics"]["ImageNet-1K"]
    mean, std = transforms.mean, transforms.std
    if model in TRANSFORM_INPUT:
        mean = std = [0.5] * 3
    return {
        "model": model,
        "name": weights.name.lower().replace("_", "-"),
        "url": weights.url,
        "bytes": str(round(meta["_file_size"] * 2**20)),
        "top1": _share(accuracy["acc@1"]),
        "top5": _share(accuracy["acc@5"]),
        "mean": " ".join(map(str, mean)),
        "std": " ".join(map(str, std)),
        "interpolation": transforms.interpolation.value,
        "resize_px": str(transforms.resize_size[0]),
        "crop_px": str(transforms.crop_size[0]),
        # torchvision names a licence for the weights of SWAG alone, and that is this one.
        "licence": "CC-BY-NC-4.0" if "license" in meta else "BSD-3-Clause",
        "recipe": meta["recipe"],
    }


def _share(percent: float) -> str:
    return "" if math.isnan(percent) else f"{percent / 100:.5f}"


def classes_rows() -> list[dict[str, str]]:
    """ImageNet's classes: WordNet's number by timm, and torchvision's name."""
    from timm.data import ImageNetInfo

    wnids = ImageNetInfo("imagenet-1k").label_names()
    names = ResNet18_Weights.DEFAULT.meta["categories"]
    return [{"wnid": wnid, "name": name} for wnid, name in zip(wnids, names, strict=True)]


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    _write(WEIGHTS_TABLE, weights_rows())
    _write(CLASSES_TABLE, classes_rows())
