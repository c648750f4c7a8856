"""Starting from weights that were trained on something else: a new head on an old backbone."""

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from zoo import tensorfile
from zoo.description import Description, read_description
from zoo.errors import UsageError
from zoo.layers import Shape, ordered, own_tensors
from zoo.schema import Preprocess, Preprocessing, Train
from zoo.training.losses import split_outputs
from zoo.weights import find_weights, load_weights


def find_head(network: nn.Module, input_shape: Shape) -> nn.Module:
    """The last layer that has something to train.

    Raises:
        UsageError: no layer has.
    """
    return _from_the_head_on(network, input_shape)[0]


def _from_the_head_on(network: nn.Module, input_shape: Shape) -> list[nn.Module]:
    """The modules of the head's layer and of those after it."""
    modules = _in_order(network, input_shape)
    for place in reversed(range(len(modules))):
        if any(p.requires_grad for p in modules[place].parameters()):
            return modules[place:]
    raise UsageError("Nothing in this network can be trained.")


def auxiliary_heads(network: nn.Module, input_shape: Shape) -> list[nn.Module]:
    """The layers that make the logits of auxiliary classifiers; nothing is computed."""
    outline = copy.deepcopy(network).to("meta").train()
    made: list[tuple[object, str]] = []  # what is inside comes first
    for name, module in outline.named_modules():
        module.register_forward_hook(
            lambda _module, _inputs, output, name=name: made.append((output, name))
        )
    _, auxiliary = split_outputs(outline(torch.zeros(2, *input_shape, device="meta")))
    names = [[name for output, name in made if output is logits][:1] for logits in auxiliary]
    return [network.get_submodule(name) for found in names for name in found]


def _in_order(network: nn.Module, input_shape: Shape) -> list[nn.Module]:
    """The modules of the layers in the order they run; those that never do come first."""
    layers = ordered(network, input_shape).layers
    layers.sort(key=lambda layer: layer.output_shape is not None)
    return [layer.module for layer in layers if layer.module is not None]


def load_donor(
    network: nn.Module,
    path: Path,
    donor: Description | None,
    input_shape: Shape,
    classes: tuple[str, ...],
) -> tuple[str, list[str]]:
    """Puts a file's weights into a network that is to tell other classes apart.

    The head, what follows it, and the heads of auxiliary classifiers keep their fresh weights where
    the file's classes are others, or, where it names none, where its tensors have another shape.

    Args:
        network: fresh.
        path: `--weights`.
        donor: what the file says of itself.
        input_shape: of the network.
        classes: that it will tell apart.

    Returns:
        Where the weights came from, and notes.

    Raises:
        UsageError: there is no such file.
        ModelFileError: the file is refused, or a tensor below the head does not fit.
    """
    known = () if donor is None else donor.classes
    new: list[nn.Module] = []
    if known != classes:
        new = _from_the_head_on(network, input_shape) + auxiliary_heads(network, input_shape)
    top = {id(module) for module in new}
    fresh = [
        f"{path_in_network}.{name}"
        for path_in_network, module in network.named_modules()
        if id(module) in top
        for name in module.state_dict()
    ]
    loaded = load_weights(network, path, fresh=fresh, fresh_anyway=bool(known))
    notes = []
    if loaded.left_out:
        layers = dict.fromkeys(name.rpartition(".")[0] for name in loaded.left_out)
        notes.append(f"{' and '.join(layers)} starts fresh: the weights tell other classes apart")
    return loaded.origin, notes


def with_donors_preprocessing(
    preprocessing: Preprocessing, wishes: Preprocess, donor: Description | None
) -> tuple[Preprocessing, list[str]]:
    """How the weights are used to see pictures, as far as the recipe is silent; and notes.

    Args:
        preprocessing: as the recipe and the card have it.
        wishes: the recipe's.
        donor: of the weights; None where they say nothing of themselves.
    """
    if donor is None or donor.training is None:
        return preprocessing, []
    before = donor.preprocessing
    silent = wishes.is_silent_on_scale and before.channels == preprocessing.channels
    if not silent:
        same = (before.mean, before.std) == (preprocessing.mean, preprocessing.std)
        note = (
            f"the recipe's mean and std replace those of the weights, {before.mean}, {before.std}"
        )
        return preprocessing, [] if same else [note]
    kept = before.model_dump(
        include={
            "mean", "std", "rescale", "samplewise_center", "samplewise_std_normalization",
        }
    )  # fmt: skip
    return preprocessing.model_copy(update=kept), []


def donor_of(path: Path) -> Description | None:
    """What a weights file says of itself; None where it is no model file.

    Raises:
        UsageError: there is no such file.
        ModelFileError: the file is refused or corrupt.
    """
    path, is_pickle = find_weights(path)
    if is_pickle or tensorfile.read_header(path).document is None:
        return None
    return read_description(path)


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
    modules = _in_order(network, input_shape)
    of_head = next(place for place, module in enumerate(modules) if module is head)
    below = [place for place in range(of_head) if _learns(modules[place])]
    count = math.ceil(share * len(below) - 1e-9)  # 7 / 25 * 25 is above 7
    frozen = below[: len(below) - count]
    return modules[frozen[-1] + 1 if frozen else 0 :]


def _learns(module: nn.Module) -> bool:
    has_gradients = any(p.requires_grad for p in module.parameters())
    return has_gradients or any(True for _ in own_tensors(module))


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
    modes = {module: module.training for module in network.modules()}
    for module in modes:
        module.training = module in learning or module is network
    parameters = {id(p) for module in learning for p in module.parameters(recurse=False)}
    frozen = [p for p in network.parameters() if p.requires_grad and id(p) not in parameters]
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for parameter in frozen:
            parameter.requires_grad_(True)


def _with_containers(network: nn.Module, kept: Sequence[nn.Module]) -> set[nn.Module]:
    """All that lies in the kept modules, and the containers in which nothing else learns."""
    learning = {inner for module in kept for inner in module.modules()}
    for module in reversed(list(network.modules())):  # what lies inside comes first
        children = [child for child in module.children() if any(map(_learns, child.modules()))]
        if children and all(child in learning for child in children):
            learning.add(module)
    return learning
