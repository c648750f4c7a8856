"""What torchvision's datasets know of their pictures, whatever attribute they keep it in."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.data.sources.checks import distinct


def labels(dataset: Any) -> list[Any]:
    """The label of each picture, from whichever attribute has them."""
    if hasattr(dataset, "_flat_character_images"):  # Omniglot
        ranks = _ranks(dataset._characters)
        return [ranks[label] for _, label in dataset._flat_character_images]
    for attribute in ("targets", "_labels", "labels", "y"):
        values = getattr(dataset, attribute, None)
        if values is not None:
            # QMNIST's targets are rows whose first number is the digit.
            rows = values[:, 0] if getattr(values, "ndim", 1) == 2 else values
            return rows.tolist() if hasattr(rows, "tolist") else list(rows)
    for attribute in ("_samples", "samples"):
        pairs = getattr(dataset, attribute, None)
        if pairs is not None:
            return [label for _, label in pairs]
    return [int(dataset[index][1]) for index in range(len(dataset))]


def paths(dataset: Any) -> list[Path] | None:
    """The file of each picture, where it is known."""
    if hasattr(dataset, "_flat_character_images"):
        folder, characters = Path(dataset.target_folder), dataset._characters
        flat = dataset._flat_character_images
        return [folder / characters[label] / file for file, label in flat]
    for attribute in ("_samples", "samples", "imgs", "_image_files", "_images", "data"):
        entries = getattr(dataset, attribute, None)
        if not isinstance(entries, list | tuple) or not entries:
            continue
        files = [entry[0] if isinstance(entry, tuple) else entry for entry in entries]
        if all(isinstance(file, str | Path) for file in files):
            return [Path(file) for file in files]
    return None


def classes(dataset: Any) -> tuple[str, ...] | None:
    """The class names, where the dataset has any."""
    if hasattr(dataset, "_flat_character_images"):
        return tuple(sorted(name.replace(os.sep, "/") for name in dataset._characters))
    names = getattr(dataset, "classes", None) or getattr(dataset, "categories", None)
    indices = getattr(dataset, "class_to_idx", None)
    if names is None and indices:
        names = sorted(indices, key=indices.__getitem__)
    if not names:
        return None
    # Imagenette's are tuples of synonyms.
    first = [str(name[0]) if isinstance(name, tuple | list) else str(name) for name in names]
    return distinct(first, [str(index) for index in range(len(first))])


def _ranks(names: Sequence[str]) -> list[int]:
    """The place of each name in alphabetical order."""
    order = sorted(range(len(names)), key=lambda index: names[index].replace(os.sep, "/"))
    ranks = [0] * len(names)
    for rank, index in enumerate(order):
        ranks[index] = rank
    return ranks
