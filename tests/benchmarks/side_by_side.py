"""What several benchmarks share: taking turns, running `zoo train`, a table with ratios."""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

THREADS = 2


def medians_of_turns(ways: Mapping[str, Callable[[], float]], turns: int) -> dict[str, float]:
    """The median figure of each way; they take turns, so that noise meets them alike."""
    figures: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, way in ways.items():
            figures[name].append(way())
    return {name: statistics.median(taken) for name, taken in figures.items()}


def print_rates(title: str, medians: Mapping[str, float], unit: str = "images/s") -> None:
    """A line each, with its ratio to the first."""
    print(title)
    first = next(iter(medians.values()))
    for name, median in medians.items():
        print(f"  {name:<34} {median:>10,.1f} {unit}  {median / first:6.2f} x", flush=True)


def lectures_generator() -> Any:
    """Keras's ImageDataGenerator as the lecture sets it; Keras is no dependency of zoo."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    return ImageDataGenerator(
        rotation_range=40,
        width_shift_range=0.2,
        height_shift_range=0.2,
        shear_range=0.2,
        zoom_range=0.2,
        fill_mode="nearest",
        data_format="channels_last",
    )


def train_document(model: str, recipe: str, batch: int, *more: object) -> dict[str, Any]:
    """The JSON of one epoch of `zoo train` in a process of its own."""
    with tempfile.TemporaryDirectory() as directory:
        words = ["train", model, "--recipe", recipe, "--epochs", 1, "--batch-size", batch]
        words += ["--threads", THREADS, "--json", "-o", Path(directory) / "run", *more]
        return document(words)


def document(words: Sequence[object]) -> dict[str, Any]:
    """The one JSON document that a command prints."""
    line = [sys.executable, "-m", "zoo", *map(str, words)]
    ended = subprocess.run(line, capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(f"{' '.join(line)}\n{ended.stderr}")
    found: dict[str, Any] = json.loads(ended.stdout)
    return found
