"""The loss that training lowers: cross-entropy, of auxiliary classifiers too."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor, nn

from zoo.errors import RecipeError, did_you_mean
from zoo.heads import split_outputs
from zoo.schema import Train


class Loss(nn.Module):
    """Cross-entropy in float32, summed over the pictures.

    A class's weight multiplies, as in F.cross_entropy, its pictures' losses, or, where targets are
    shares or smoothed, its share of them; the sum of the weights divides nothing.
    """

    class_weights: Tensor | None

    def __init__(
        self, class_weights: Tensor | None, label_smoothing: float, aux_weight: float
    ) -> None:
        super().__init__()
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.label_smoothing = label_smoothing
        self.aux_weight = aux_weight

    def forward(self, outputs: Any, targets: Tensor) -> Tensor:
        """The sum of the losses, ().

        Args:
            outputs: of the network, as `split_outputs` takes them.
            targets: (N,), int64; or (N, num_classes), float, shares of each class.
        """
        logits, auxiliary = split_outputs(outputs)
        loss = self._cross_entropy(logits, targets)
        for others in auxiliary:
            loss = loss + self.aux_weight * self._cross_entropy(others, targets)
        return loss

    def _cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        if self.class_weights is not None and self.class_weights.device != logits.device:
            self.class_weights = self.class_weights.to(logits.device)
        return F.cross_entropy(
            logits.float(),
            targets.float() if targets.is_floating_point() else targets,
            weight=self.class_weights,
            reduction="sum",
            label_smoothing=self.label_smoothing,
        )


def make_loss(train: Train, class_weights: Tensor | None) -> Loss:
    """The recipe's loss.

    Args:
        train: smoothing, and what auxiliary classifiers count.
        class_weights: (num_classes,), on any device; None weighs all alike.
    """
    return Loss(class_weights, train.label_smoothing, train.aux_weight)


def class_weights(train: Train, classes: Sequence[str], targets: Tensor) -> Tensor | None:
    """What each class's losses are multiplied by: (num_classes,), float32; None weighs all alike.

    Args:
        train: `class_weights`. `balanced` is 1 on average over the training pictures, and for
            classes that have none.
        classes: in the order of the logits.
        targets: (N,), int64, of the training split.

    Raises:
        RecipeError: there are more or fewer weights than classes, or one for no class.
    """
    weights = train.class_weights
    if weights is None:
        return None
    if weights == "balanced":
        return _balanced(torch.bincount(targets.cpu(), minlength=len(classes)))
    if isinstance(weights, Mapping):
        if strangers := [name for name in weights if name not in classes]:
            raise RecipeError(
                " ".join(
                    f"train.class_weights names {name!r}, which is no class."
                    f" {did_you_mean(name, classes)}".rstrip()
                    for name in strangers
                )
            )
        return torch.tensor([float(weights.get(name, 1)) for name in classes])
    if len(weights) != len(classes):
        raise RecipeError(
            f"train.class_weights has {len(weights)} numbers, but there are {len(classes)} classes."
        )
    return torch.tensor([float(weight) for weight in weights])


def _balanced(counts: Tensor) -> Tensor:
    present = counts > 0
    shares = counts.double() / counts.sum().clamp(min=1)
    weights = 1 / (present.sum() * shares)
    return torch.where(present, weights, 1.0).float()
