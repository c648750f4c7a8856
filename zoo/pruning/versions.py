"""Pruning of a model as the command line asks for it: copies, descriptions, pictures, steps."""

import copy
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor, nn

from zoo import modelfile
from zoo.data.loader import TrainingBatches
from zoo.description import read_description
from zoo.errors import InterruptionError, StructureError
from zoo.evaluation import Shown
from zoo.heads import split_outputs
from zoo.precision import Precision
from zoo.pruning.channels import Gradients, NothingToPruneError, Original, prune_channels
from zoo.pruning.choosing import Policy
from zoo.pruning.sparse import prune_weights
from zoo.shrinking import Version, described
from zoo.surgery import Channels
from zoo.training.engine import Epoch
from zoo.training.preparation import Request, prepare

_TAYLOR_BATCHES, _TAYLOR_BATCH_SIZE = 8, 64
"""Pictures that the importance taylor sees: 512, drawn from the training split."""


@dataclass(frozen=True)
class Wish:
    """What is to go; one of the shares is given."""

    ratio: float | None = None
    """Of each layer's channels."""
    target_mult_adds: float | None = None
    """Of the multiply-adds, which is to be left."""
    policy: Policy = field(default_factory=Policy)
    keep: tuple[str, ...] = ()
    steps: int = 1
    """Rounds of pruning, with training between them."""

    def up_to(self, step: int) -> "Wish":
        """The part of it that is to have gone after a step, counted from 1."""
        part = step / self.steps
        if self.ratio is not None:
            return replace(self, ratio=self.ratio * part)
        assert self.target_mult_adds is not None
        return replace(self, target_mult_adds=self.target_mult_adds**part)


def without_channels(
    before: Version,
    wish: Wish,
    *,
    gradients: Gradients | None = None,
    train: Callable[[Version], Version] | None = None,
    on_step: Callable[[int, Version], object] = lambda _step, _version: None,
) -> Version:
    """A version with fewer channels.

    Every step aims at its part of the whole wish, so that what is left in the end is what one step
    would have left, but for the choice of channels. A step in which there is nothing to do, for
    its part of a layer is less than a channel, is neither pruned nor trained.

    Args:
        before: with weights; it stays as it is.
        wish: what is to go.
        gradients: for the importance taylor.
        train: what makes up for a step before the next one.
        on_step: called with each step's number, from 1, and what it left, before that is trained.

    Raises:
        UsageError, StructureError: see `prune_channels`.
    """
    original = None
    if wish.steps > 1:
        original = Original.of(before.network, before.description.input_shape)

    def pruned(version: Version, part: Wish) -> Version:
        network = copy.deepcopy(version.network)
        edit = prune_channels(
            network,
            version.description.input_shape,
            ratio=part.ratio,
            target_mult_adds=part.target_mult_adds,
            policy=part.policy,
            keep=part.keep,
            gradients=gradients,
            original=original,
        )
        return _with_channels(version, network, edit)

    if original is None:
        version = pruned(before, wish)
        on_step(1, version)
        return version
    pruned(before, wish)  # what can't be is refused before anything is trained
    version = before
    for step in range(1, wish.steps + 1):
        part, is_last = wish.up_to(step), step == wish.steps
        target = part.target_mult_adds
        if target is not None and version.summary.mult_adds <= target * original.mult_adds:
            continue
        try:
            version = pruned(version, part)
        except StructureError as error:
            is_done = isinstance(error, NothingToPruneError) and version is not before
            if is_last and not is_done:
                raise
            continue
        on_step(step, version)
        if not is_last:
            assert train is not None
            version = train(version)
    return version


def without_weights(
    before: Version, *, ratio: float, is_global: bool = False, keep: Sequence[str] = ()
) -> Version:
    """A version with zeros among its weights; arguments and errors are those of `prune_weights`."""
    network = copy.deepcopy(before.network)
    edit = prune_weights(network, ratio=ratio, is_global=is_global, keep=keep)
    return Version(network.eval(), described(before.description, [edit]))


def trained(
    request: Request, on_epoch: Callable[[Epoch, int], object] = lambda _epoch, _epochs: None
) -> Callable[[Version], Version]:
    """What trains a version on, as `zoo train` would, and gives the best epoch's weights.

    Args:
        request: with recipe, data and so on; model and output are set here.
        on_epoch: called with each epoch that ends, and how many there will be.
    """

    def train(version: Version) -> Version:
        with tempfile.TemporaryDirectory(prefix="zoo-prune-") as directory:
            path, run = Path(directory, "pruned.safetensors"), Path(directory, "run")
            modelfile.save(path, version.network, version.description)
            session = prepare(replace(request, model=str(path), output=run))
            try:
                for epoch in session.epochs():
                    on_epoch(epoch, session.learner.config.epochs)
            except InterruptionError as error:  # the run goes, so it can't be resumed
                raise type(error)(
                    "Pruning was stopped while it trained between two steps.",
                    hint="Nothing was written.",
                ) from error
            session.outcome()
            best = run / "best.safetensors"
            return Version(modelfile.load(best), read_description(best))

    return train


def gradients_on(shown: Shown, arithmetic: Precision, seed: int) -> Gradients:
    """What computes the gradients of the mean loss on some of the pictures.

    Args:
        shown: the training split.
        arithmetic: the device; always in fp32.
        seed: draws the pictures.
    """
    batches = TrainingBatches(
        shown.pictures,
        shown.preprocessing,
        batch_size=_TAYLOR_BATCH_SIZE,
        seed=seed,
        device=arithmetic.device,
    )

    def gradients(network: nn.Module) -> dict[str, Tensor]:
        place = next(network.parameters()).device
        network = arithmetic.place(copy.deepcopy(network).eval()).requires_grad_(True)
        with torch.enable_grad():
            for batch in islice(batches.epoch(1), _TAYLOR_BATCHES):
                logits, _ = split_outputs(network(batch.images))
                F.cross_entropy(logits, batch.targets).backward()  # type: ignore[no-untyped-call]
        return {
            name: parameter.grad.to(place)
            for name, parameter in network.named_parameters()
            if parameter.grad is not None
        }

    return gradients


def _with_channels(before: Version, network: nn.Module, edit: Channels) -> Version:
    """The version after the edit; an edit just before it of the same kind becomes one with it."""
    *earlier, last = before.description.edits or (None,)
    description = before.description
    if last is not None and last["edit"] == "channels":
        merged = {**Channels.model_validate(last).layers, **edit.layers}
        description = description.model_copy(update={"edits": tuple(earlier)})
        edit = Channels(layers=merged)
    return Version(network.eval(), described(description, [edit]))
