"""Starting from weights that were trained on something else: a new head on an old backbone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from zoo import tensorfile
from zoo.description import Description, read_description
from zoo.errors import UsageError
from zoo.layers import Shape, ordered
from zoo.schema import Preprocess, Preprocessing
from zoo.weights import find_weights, load_weights


def find_head(network: nn.Module, input_shape: Shape) -> nn.Module:
    """The last layer that has something to train.

    Raises:
        UsageError: no layer has.
    """
    return _from_the_head_on(network, input_shape)[0]


def _from_the_head_on(network: nn.Module, input_shape: Shape) -> list[nn.Module]:
    """The modules of the head's layer and of those after it."""
    modules = [layer.module for layer in ordered(network, input_shape).layers]
    for place in reversed(range(len(modules))):
        module = modules[place]
        if module is not None and any(p.requires_grad for p in module.parameters()):
            return [module for module in modules[place:] if module is not None]
    raise UsageError("Nothing in this network can be trained.")


def load_donor(
    network: nn.Module,
    path: Path,
    donor: Description | None,
    input_shape: Shape,
    classes: tuple[str, ...],
) -> tuple[str, list[str]]:
    """Puts a file's weights into a network that is to tell other classes apart.

    The head, and what follows it, keep their fresh weights where the file's classes are others,
    or, where it names none, where its tensors have another shape.

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
    top = () if known == classes else {id(m) for m in _from_the_head_on(network, input_shape)}
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


@contextmanager
def frozen_but(network: nn.Module, head: nn.Module | None) -> Iterator[None]:
    """Inside, only the head learns: nothing else has gradients, and no batch norm drifts.

    Args:
        network: in training mode.
        head: a module of it; None freezes nothing.
    """
    if head is None:
        yield
        return
    kept = {id(parameter) for parameter in head.parameters()}
    frozen = [p for p in network.parameters() if p.requires_grad and id(p) not in kept]
    network.eval()
    head.train()
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)
