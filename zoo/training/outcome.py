"""How a training ended. Imports no torch: `zoo.runs` reads outcomes back."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.evaluation import Figures


@dataclass(frozen=True)
class Best:
    """The epoch whose weights are the run's result."""

    epoch: int
    top1: float | None
    """On the validation split; None where there is none."""
    loss: float | None


@dataclass(frozen=True)
class Outcome:
    """How a training ended."""

    run: Path
    epochs: int
    best: Best
    test: "Figures | None"
    """Of the best weights; None where the recipe has no test split."""
    images_per_second: float
    seconds: float
    """Training alone."""
    device: str
    precision: str
    threads: int

    @property
    def only_guesses(self) -> bool:
        """Whether the test accuracy is within two standard errors of always guessing one class."""
        if self.test is None:
            return False
        naive, images = self.test.naive_top1, self.test.images
        return self.test.top1 <= naive + 2 * math.sqrt(naive * (1 - naive) / images)


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """An outcome under the keys that scripts rely on."""
    test = outcome.test
    return {
        "run": str(outcome.run),
        "epochs": outcome.epochs,
        "best": {
            "epoch": outcome.best.epoch,
            "top1": outcome.best.top1,
            "loss": outcome.best.loss,
        },
        "test": None
        if test is None
        else {
            "top1": test.top1,
            "top5": test.top5,
            "loss": test.loss,
            "images": test.images,
            "naive_top1": test.naive_top1,
            "naive_class": test.naive_class,
        },
        "images_per_second": outcome.images_per_second,
        "seconds": outcome.seconds,
        "device": outcome.device,
        "precision": outcome.precision,
        "threads": outcome.threads,
    }
