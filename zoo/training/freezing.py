"""`zoo train --freeze`, and what a training should know of layers that are frozen."""

from collections.abc import Collection, Mapping, Sequence

from torch import nn

from zoo import frozen, modelfile
from zoo.description import Description
from zoo.errors import RecipeError, StructureError, UsageError
from zoo.freezing import ALL_BUT_HEAD, Choice, plan
from zoo.heads import find_head
from zoo.layers import Shape
from zoo.modelfile import Source
from zoo.schema import Train
from zoo.training.transfer import unfrozen_layers
from zoo.weights import Donor


def choice_of(words: Sequence[str]) -> Choice | None:
    """What `--freeze` asks for; None where it is not given.

    Args:
        words: globs of layers, or `all-but-head`.

    Raises:
        UsageError: `all-but-head` stands beside globs.
    """
    if not words:
        return None
    all_but_head = ALL_BUT_HEAD in words
    if all_but_head and len(words) > 1:
        raise UsageError(f"--freeze {ALL_BUT_HEAD} says it all: no other --freeze can go with it.")
    return Choice(all_but_head=all_but_head, globs=() if all_but_head else tuple(words))


def check_worth_freezing(choice: Choice | None, source: Source, donor: Donor | None) -> None:
    """Refuses to freeze weights that are random.

    Args:
        choice: what is to be frozen, if anything is.
        source: MODEL.
        donor: the weights that it starts from, if it does.

    Raises:
        UsageError: nobody trained them.
    """
    made = source.description if donor is None else donor.description
    if choice is not None and made is not None and made.is_random:
        whose = source.name if donor is None else donor.name
        raise UsageError(
            f"--freeze would keep random weights: those of {whose} have learned nothing.",
            hint=f"Weights that have: zoo train {source.card.name} --weights NAME|FILE",
        )


def with_frozen(
    name: str,
    network: nn.Module,
    description: Description,
    choice: Choice | None,
    fresh: Collection[str],
) -> tuple[Description, list[str]]:
    """Freezes layers of a network that is about to be trained; its description, and notes.

    Args:
        name: what to call it.
        network: whose layers are frozen, in place.
        description: of the network as it is.
        choice: what is to be frozen, if anything is.
        fresh: layers that start fresh, which always learn.

    Raises:
        UsageError: no such layer.
    """
    if choice is None:
        return description, []
    planned = plan(name, description, choice, fresh)
    for edit in planned.edits:
        edit.apply(network, description.input_shape)
    notes = []
    if planned.fresh:
        names = " and ".join(row.name for row in planned.fresh)
        notes.append(f"{names} starts fresh, and so is not frozen")
    return modelfile.with_edits(description, planned.edits), notes


def what_is_frozen(network: nn.Module, train: Train, description: Description) -> list[str]:
    """Notes on what will not learn, and on what has no effect for that.

    Raises:
        RecipeError: train.unfreeze names what is not there or can't learn.
    """
    notes = _never_unfrozen(network, train, description)
    if not description.freezes:
        return notes
    still = [p for p in network.parameters() if not p.requires_grad]
    norms = sum(frozen.is_held(module) for module in network.modules())
    if still or norms:
        total = sum(p.numel() for p in network.parameters())
        of_norms = f", and the statistics of {norms} batch norm" if norms else ""
        of_norms += "s" if norms > 1 else ""
        notes.append(f"frozen: {sum(p.numel() for p in still):,} of {total:,} parameters{of_norms}")
    head = find_head(network, description.input_shape)
    of_head = {id(p) for p in head.parameters()}
    below_learns = any(p.requires_grad and id(p) not in of_head for p in network.parameters())
    unused = [key for key in ("head_epochs", "backbone_lr_scale") if key in _changed(train)]
    if unused and not below_learns:
        names = " and ".join(f"train.{key}" for key in unused)
        notes.append(f"no effect of {names}: all below the head is frozen")
    return notes


def check_can_learn(train: Train, network: nn.Module, input_shape: Shape) -> None:
    """Refuses to train where nothing would learn, in the first epochs or ever.

    Raises:
        UsageError: everything is frozen, or the head that learns alone at first is.
    """
    if not any(p.requires_grad for p in network.parameters()):
        raise UsageError(
            "Every layer of this network is frozen: nothing would learn.",
            hint="Freeze fewer, or let some learn again: zoo freeze FILE --unfreeze GLOB -o OTHER",
        )
    starts_late = isinstance(train.unfreeze, dict) and min(train.unfreeze) > 1
    if train.head_epochs or starts_late:
        head = find_head(network, input_shape)
        if not any(p.requires_grad for p in head.parameters()):
            key = "head_epochs" if train.head_epochs else "unfreeze"
            raise UsageError(
                f"train.{key} trains the head alone at first, but the head is frozen.",
                hint=f"--set train.{key}=0, or zoo freeze MODEL --unfreeze HEAD -o FILE",
            )


def _never_unfrozen(network: nn.Module, train: Train, description: Description) -> list[str]:
    """A note on what train.unfreeze leaves out, where it names layers."""
    if not isinstance(train.unfreeze, dict):
        return []
    for epoch, globs in train.unfreeze.items():
        for glob in globs:
            _check_learns(glob, _named({epoch: (glob,)}, network))
    named = [find_head(network, description.input_shape), *_named(train.unfreeze, network)]
    learning = {id(p) for module in named for p in module.parameters()}
    free = [p for p in network.parameters() if p.requires_grad]
    left = sum(p.numel() for p in free if id(p) not in learning)
    total = sum(p.numel() for p in free)
    return [f"train.unfreeze leaves {left:,} of {total:,} parameters as they are"] if left else []


def _named(by_epoch: Mapping[int, Sequence[str]], network: nn.Module) -> list[nn.Module]:
    try:
        return unfrozen_layers(by_epoch, max(by_epoch), network)
    except StructureError as error:
        raise RecipeError(f"train.unfreeze: {error.message}", hint=error.hint) from error


def _check_learns(glob: str, modules: Sequence[nn.Module]) -> None:
    parameters = [p for module in modules for p in module.parameters()]
    if not any(p.requires_grad for p in parameters):
        why = "is frozen in the model or by --freeze" if parameters else "has no parameters"
        raise RecipeError(
            f"train.unfreeze names {glob}, which {why}.",
            hint="train.unfreeze alone keeps all below the head frozen until its epoch.",
        )


def _changed(train: Train) -> set[str]:
    defaults = Train()
    return {key for key in train.model_fields_set if getattr(train, key) != getattr(defaults, key)}
