"""Starting from weights that were trained on something else: a new head on an old backbone."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import nn

from zoo import frozen
from zoo.description import Description
from zoo.heads import in_order
from zoo.layers import Shape, modes_kept, paths_matching
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


def learning_layers(
    train: Train, epoch: int, network: nn.Module, head: nn.Module, input_shape: Shape
) -> list[nn.Module] | None:
    """What learns in an epoch: the head, and what a recipe has unfrozen by then.

    Args:
        train: the recipe's section.
        epoch: counted from 1.
        network: nothing in it frozen by `frozen_below`.
        head: one of its layers.
        input_shape: of the network.

    Returns:
        What `frozen_below` keeps; None for all.
    """
    if isinstance(train.unfreeze, dict):
        return [head, *unfrozen_layers(train.unfreeze, epoch, network)]
    return top_layers(network, head, input_shape, trainable_share(train, epoch))


def unfrozen_layers(
    by_epoch: Mapping[int, Sequence[str]], epoch: int, network: nn.Module
) -> list[nn.Module]:
    """The layers and blocks that globs have named up to an epoch.

    Raises:
        StructureError: a glob matches nothing.
    """
    reached = [glob for start, globs in by_epoch.items() if start <= epoch for glob in globs]
    paths = [path for glob in reached for path in paths_matching(network, glob)]
    return [network.get_submodule(path) for path in paths]


def trainable_share(train: Train, epoch: int) -> float:
    """How much of what lies below the head learns in an epoch, counted from 1.

    Nothing during head_epochs; then evenly more over the epochs of unfreeze, all of it in their
    last.
    """
    assert isinstance(train.unfreeze, int)
    later = epoch - train.head_epochs
    if later <= 0:
        return 0.0
    return min(1.0, later / train.unfreeze) if train.unfreeze else 1.0


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
