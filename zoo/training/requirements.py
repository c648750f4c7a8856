"""Whether the recipe's `train` suits network, pictures and device; and the learner it makes."""

import copy
from dataclasses import replace

import torch
from torch import nn

from zoo import data, devices, precision
from zoo.description import Description
from zoo.errors import RecipeError, UsageError
from zoo.heads import find_head, split_outputs
from zoo.layers import Shape
from zoo.precision import Precision
from zoo.schema import Recipe, Train
from zoo.training.distributed import World
from zoo.training.freezing import check_can_learn
from zoo.training.learner import Learner
from zoo.training.losses import class_weights
from zoo.training.tensorboard import check_installed


def make_learner(
    network: nn.Module,
    recipe: Recipe,
    description: Description,
    opened: data.Data,
    precision: Precision,
    world: World,
) -> Learner:
    """A learner before its first step.

    Raises:
        RecipeError: an option of `train` can't apply to this network or these classes.
        UsageError: everything is frozen.
    """
    train, input_shape = recipe.train, description.input_shape
    check_network(train, network, input_shape)
    check_can_learn(train, network, input_shape)
    return Learner.start(
        network,
        train,
        precision=precision,
        input_shape=input_shape,
        head=find_head(network, input_shape) if needs_head(train) else None,
        class_weights=class_weights(train, opened.classes, opened.parts["train"].targets),
        sparse=description.sparse_tensors,
        world=world,
    )


def choose_precision(train: Train, device: str, world: World) -> Precision:
    """The precision and the device to train in.

    Raises:
        UsageError: the device is not there, lacks the precision, the batch is too small for so
            many processes, or tensorboard is missing.
    """
    if train.tensorboard:
        check_installed()
    if train.batch_size < 2 * world.size:
        raise UsageError(
            f"A batch of {train.batch_size} pictures is too small for {world.size} processes.",
            hint=f"--batch-size {2 * world.size} or more: it is shared among them.",
        )
    chosen = precision.choose(
        train.precision, devices.choose(device), deterministic=train.deterministic
    )
    return replace(chosen, name=world.of_first(chosen.name))


def check_pictures(train: Train, opened: data.Data) -> None:
    """Refuses options that need validation pictures where there are none.

    Raises:
        RecipeError: names them.
    """
    if len(opened.parts["validation"]):
        return
    if train.schedule == "plateau":
        raise RecipeError(
            "train.schedule plateau follows the validation loss, and there are no validation "
            "pictures.",
            hint="--set dataset.validation=0.1",
        )
    if train.patience:
        raise RecipeError(
            "train.patience watches the validation pictures, and there are none.",
            hint="--set dataset.validation=0.1",
        )


def check_network(train: Train, network: nn.Module, input_shape: Shape) -> None:
    """Refuses options that a network can't use.

    Raises:
        RecipeError: aux_weight is set and there are no auxiliary classifiers.
    """
    if train.aux_weight != Train().aux_weight and not has_auxiliary_outputs(network, input_shape):
        raise RecipeError(
            "train.aux_weight does not apply: this network has no auxiliary classifiers."
        )


def needs_head(train: Train) -> bool:
    """Whether the head is treated other than the layers below it."""
    return bool(train.head_epochs or train.unfreeze) or train.backbone_lr_scale != 1


def has_auxiliary_outputs(network: nn.Module, input_shape: Shape) -> bool:
    """Whether a network in training returns more than its logits; nothing is computed."""
    outline = copy.deepcopy(network).to("meta").train()
    return bool(split_outputs(outline(torch.zeros(2, *input_shape, device="meta")))[1])
