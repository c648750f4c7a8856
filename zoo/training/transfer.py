"""Starting from weights that were trained on something else: a new head on an old backbone."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from zoo import frozen
from zoo.description import Description
from zoo.heads import in_order
from zoo.layers import Shape, modes_kept
from zoo.schema import Preprocess, Preprocessing, Train


def with_donors_preprocessing(
    preprocessing: Preprocessing, wishes: Preprocess, donor: Description | None
) -> tuple[Preprocessing, list[str]]:
    """How the weights are used to see pictures, as far as the recipe is silent; and notes.

    Args:
        preprocessing: as the recipe and the card have it.
        wishes: the recipe's.
        donor: of the weights; None where they say nothing of themselves.
    """
    if donor is None or not donor.knows_scale:
        return preprocessing, []
    before = donor.preprocessing
    silent = wishes.is_silent_on_scale and before.channels == preprocessing.channels
    if not silent:
        same = (before.mean, before.std) == (preprocessing.mean, preprocessing.std)
        note = (
            "the recipe's mean and std replace those of the weights, "
            f"{values_text(before.mean)} and {values_text(before.std)}"
        )
        return preprocessing, [] if same else [note]
    kept = before.model_dump(
        include={
            "mean", "std", "rescale", "samplewise_center", "samplewise_std_normalization",
        }
    )  # fmt: skip
    return preprocessing.model_copy(update=kept), []


def values_text(values: Sequence[float]) -> str:
    """One for each channel, as people write them."""
    return " ".join(f"{value:g}" for value in values)


def trainable_share(train: Train, epoch: int) -> float:
    """How much of what lies below the head learns in an epoch, counted from 1.

    Nothing during head_epochs; then evenly more over unfreeze_epochs, all of it in their last.
    """
    later = epoch - train.head_epochs
    if later <= 0:
        return 0.0
    return min(1.0, later / train.unfreeze_epochs) if train.unfreeze_epochs else 1.0


def top_layers(
    network: nn.Module, head: nn.Module, input_shape: Shape, share: float
) -> list[nn.Module] | None:
    """The layers from a share of those below the head upwards, in the order they run.

    Only layers that learn are counted: by gradients, or, as batch norms do, by statistics. One
    that does not, such as a dropout, goes with the next one that does: it shapes what that one
    sees.

    Args:
        network: nothing in it frozen by `frozen_below`.
        head: one of its layers.
        input_shape: of the network.
        share: of the layers below the head, in [0, 1], rounded up.

    Returns:
        What `frozen_below` keeps; None, for all, where the share is 1.
    """
    if share >= 1:
        return None
    modules = in_order(network, input_shape)
    of_head = next(place for place, module in enumerate(modules) if module is head)
    below = [place for place in range(of_head) if _learns(modules[place])]
    count = math.ceil(share * len(below) - 1e-9)  # 7 / 25 * 25 is above 7
    left = below[: len(below) - count]
    return modules[left[-1] + 1 if left else 0 :]


def _learns(module: nn.Module) -> bool:
    has_gradients = any(p.requires_grad for p in module.parameters())
    return has_gradients or (frozen.has_statistics(module) and not frozen.is_held(module))


@contextmanager
def frozen_below(network: nn.Module, kept: Sequence[nn.Module] | None) -> Iterator[None]:
    """Inside, only some modules learn: the others have no gradients, and no batch norm drifts.

    A container whose layers are all kept is kept too, with what tensors it owns itself. The
    network's own `training` stays, for auxiliary classifiers run only where it is set.

    Args:
        network: in training mode.
        kept: modules of it; None freezes nothing.
    """
    if kept is None:
        yield
        return
    learning = _with_containers(network, kept)
    parameters = {id(p) for module in learning for p in module.parameters(recurse=False)}
    others = [p for p in network.parameters() if p.requires_grad and id(p) not in parameters]
    with modes_kept(network):
        for module in network.modules():
            module.training &= module in learning or module is network
        for parameter in others:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in others:
                parameter.requires_grad_(True)


def _with_containers(network: nn.Module, kept: Sequence[nn.Module]) -> set[nn.Module]:
    """All that lies in the kept modules, and the containers in which nothing else learns."""
    learning = {inner for module in kept for inner in module.modules()}
    for module in reversed(list(network.modules())):  # what lies inside comes first
        children = [child for child in module.children() if any(map(_learns, child.modules()))]
        if children and all(child in learning for child in children):
            learning.add(module)
    return learning
