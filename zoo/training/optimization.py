"""Optimizer and learning-rate schedule of a recipe's `train`."""

import math

from torch import nn, optim

from zoo.schema import Train


def make_optimizer(
    network: nn.Module, train: Train, head: nn.Module | None = None
) -> optim.Optimizer:
    """The recipe's optimizer over the trainable parameters.

    Weight decay spares norms and biases: they are the parameters of fewer than two dimensions.
    What lies below the head, if one is named, has a group of its own; each group's `factor` is
    what its learning rate is multiplied by.
    """
    of_head = {id(p) for p in (head or network).parameters()}
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": chosen, "weight_decay": decay, "factor": factor}
        for is_head, factor in ((True, 1.0), (False, train.backbone_lr))
        for is_matrix, decay in ((True, train.weight_decay), (False, 0.0))
        if (
            chosen := [
                p
                for p in parameters
                if (id(p) in of_head) == is_head and (p.ndim >= 2) == is_matrix
            ]
        )
    ]
    if train.optimizer == "sgd":
        return optim.SGD(groups, lr=train.lr, momentum=0.9, nesterov=True)
    return optim.AdamW(groups, lr=train.lr)


def learning_rate(train: Train, step: int, steps: int) -> float:
    """The rate of one step.

    Args:
        train: schedule and highest rate.
        step: counted from 0 over the whole training.
        steps: in the whole training.
    """
    if train.schedule == "constant":
        return train.lr
    return train.lr * 0.5 * (1 + math.cos(math.pi * step / steps))
