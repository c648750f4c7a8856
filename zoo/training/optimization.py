"""Optimizer and learning-rate schedule of a recipe's `train`."""

import math

from torch import nn, optim

from zoo.schema import Train


def make_optimizer(network: nn.Module, train: Train) -> optim.Optimizer:
    """The recipe's optimizer over the trainable parameters.

    Weight decay spares norms and biases: they are the parameters of fewer than two dimensions.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {
            "params": [p for p in parameters if p.ndim >= 2],
            "weight_decay": train.weight_decay,
        },
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
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
