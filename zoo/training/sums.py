"""What an epoch has added up so far, kept on the device so that no step waits for it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.training.distributed import World


@dataclass
class Sums:
    """Of one process's pictures, in one epoch."""

    loss: Tensor
    """Summed over the pictures; float64, which MPS lacks."""
    correct: Tensor
    images: Tensor
    bad_step: Tensor
    """The first step with a loss or a gradient that is NaN or infinite; -1 for none."""

    @classmethod
    def start(cls, device: torch.device) -> "Sums":
        """Nothing yet."""
        fine = torch.float32 if device.type == "mps" else torch.float64
        whole = torch.zeros((), device=device, dtype=torch.int64)
        loss = torch.zeros((), device=device, dtype=fine)
        return cls(loss, correct=whole.clone(), images=whole.clone(), bad_step=whole - 1)

    def add(self, loss: Tensor, logits: Tensor, targets: Tensor) -> None:
        """Counts a batch.

        Args:
            loss: summed over the pictures.
            logits: (N, num_classes).
            targets: (N,), or (N, num_classes) where labels are mixed: the larger share counts.
        """
        labels = targets.argmax(dim=1) if targets.ndim == 2 else targets
        self.loss += loss.detach()
        self.correct += (logits.detach().argmax(dim=1) == labels).sum()
        self.images += len(targets)

    def judge(self, is_finite: Tensor, step: int) -> None:
        """Remembers a step that was not finite, without waiting to know."""
        is_first = is_finite.logical_not() & (self.bad_step < 0)
        self.bad_step = self.bad_step.masked_fill(is_first, step)

    def over_all(self, world: World) -> "Sums":
        """The sums of all processes; these stay as they are."""
        loss, correct, images = self.loss.clone(), self.correct.clone(), self.images.clone()
        world.sum_in_place([loss, correct, images])
        return Sums(loss, correct, images, self.bad_step)

    def to_json(self) -> dict[str, float | int]:
        """Exact numbers for a checkpoint."""
        return {
            "loss": float(self.loss),
            "correct": int(self.correct),
            "images": int(self.images),
        }

    @classmethod
    def from_json(cls, document: dict[str, float | int], device: torch.device) -> "Sums":
        """What `to_json` wrote."""
        sums = cls.start(device)
        sums.loss += document["loss"]
        sums.correct += int(document["correct"])
        sums.images += int(document["images"])
        return sums
