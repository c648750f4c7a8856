"""The training loop. It yields one result per epoch; the caller decides what to do with it."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.data.loader import Batch, TrainingBatches
from zoo.data.randomness import derived_seed, seed_global
from zoo.errors import DivergedError, OutOfMemoryError, UsageError, ZooError, is_out_of_memory
from zoo.evaluation import Figures
from zoo.heads import split_outputs
from zoo.training.dropout import cheap_masks
from zoo.training.learner import STEPS_BETWEEN_CHECKS, Learner
from zoo.training.schedules import learning_rate
from zoo.training.transfer import frozen_below, learning_layers

_PICTURES_NAMED = 3
_MANY_STEPS = 1 << 40


@dataclass(frozen=True)
class Epoch:
    """One line of `results.csv`."""

    epoch: int
    """Counted from 1."""
    seconds: float
    """Training alone, without validation."""
    images_per_second: float
    lr: float
    """Rate of the epoch's last step."""
    train_loss: float
    train_top1: float
    """Share of training pictures, as augmented, that the network got right while learning."""
    val_loss: float | None
    """None where the recipe has no validation split."""
    val_top1: float | None


def train(
    learner: Learner,
    batches: TrainingBatches,
    *,
    validate: Callable[[], Figures | None],
    max_steps: int | None = None,
    before_step: Callable[[int], object] = lambda _: None,
    checkpoint: Callable[[], object] = lambda: None,
) -> Iterator[Epoch]:
    """Trains a learner's network in place, yielding after each epoch.

    It starts where the learner stands. Whatever ends it, the learner then stands between two
    steps, and what it holds is enough to go on to the same bits.

    Args:
        learner: the network and everything that changes with it.
        batches: of the training split, on the learner's device.
        validate: figures of the validation split, or None where there is none.
        max_steps: stop after this many steps in all; the schedule ends there too.
        before_step: called with the step within the epoch; what it raises ends the training.
        checkpoint: called every `checkpoint_every` steps within an epoch.

    Raises:
        DivergedError: the loss or a gradient became NaN or infinite.
        OutOfMemoryError: a batch does not fit.
    """
    position = learner.position
    steps = total_steps(learner, batches, max_steps)
    while not is_over(learner, steps):
        started, before = time.perf_counter(), position.seconds
        left = batches.epoch(position.epoch, position.step) if position.done < steps else ()
        with _phase(learner):
            for batch in _within_memory(left, learner):
                if learner.is_between_steps:
                    before_step(position.step)
                    _set_rate(learner, steps, len(batches))
                    # Dropout draws from the global generator.
                    seed_global(_network_seed(learner), learner.device)
                _take(learner, batch)
                if not batch.ends_step:
                    continue
                position.seconds = before + time.perf_counter() - started
                if _costs_nothing(learner) or position.step % STEPS_BETWEEN_CHECKS == 0:
                    check_finite(learner, batches)
                if position.done == steps:
                    break
                every = learner.config.checkpoint_every
                if every and position.step % every == 0 and position.step < len(batches):
                    checkpoint()
        check_finite(learner, batches)
        position.seconds = before + time.perf_counter() - started
        epoch = _finished(learner, validate)
        learner.next_epoch(epoch.val_loss, epoch.val_top1)
        yield epoch


def total_steps(learner: Learner, batches: TrainingBatches, max_steps: int | None) -> int:
    """The steps of a whole training, unless it stops early."""
    steps = learner.config.epochs * len(batches)
    return min(steps, max_steps) if max_steps else steps


def is_over(learner: Learner, steps: int) -> bool:
    """Whether nothing is left to train; an epoch that was begun is ended, if by validation only."""
    position, config = learner.position, learner.config
    return not position.step and (
        position.epoch > config.epochs or position.done >= steps or learner.stopping.is_over(config)
    )


@contextmanager
def steps_at_will(learner: Learner, batches: TrainingBatches) -> Iterator[Callable[[float], float]]:
    """Yields a function that takes one step at a rate and returns its mean loss, epoch by epoch."""

    def forever() -> Iterator[Batch]:
        while True:
            yield from batches.epoch(learner.position.epoch)
            learner.next_epoch(None, None)

    def step(rate: float) -> float:
        learner.set_rate(rate)
        seed_global(_network_seed(learner), learner.device)
        total, ends = 0.0, False
        while not ends:
            batch = next(coming)
            total += float(_take(learner, batch)) / batch.step_images
            ends = batch.ends_step
        return total

    coming = forever()
    with _phase(learner):
        yield step


def check_finite(learner: Learner, batches: TrainingBatches) -> None:
    """Refuses to go on, or to be saved, where a step of this epoch was not finite.

    Raises:
        DivergedError: with the step, the rate and the step's pictures.
    """
    bad = int(learner.sums.bad_step)
    earliest = learner.world.largest(_MANY_STEPS - bad if bad >= 0 else -1)
    if earliest >= 0:
        bad = _MANY_STEPS - earliest
        learner.rate = learner.rates[bad - learner.position.step]
        names = batches.names(learner.position.epoch, bad)
        raise _diverged("the loss or a gradient", learner, bad + 1, names)


def check_weights(learner: Learner) -> None:
    """Refuses weights that are not finite: the loss is taken before the step.

    Raises:
        DivergedError: one is not.
    """
    tensors = [t for t in learner.network.state_dict().values() if t.is_floating_point()]
    if tensors and not bool(torch.stack([t.isfinite().all() for t in tensors]).all()):
        raise _diverged("a weight", learner, learner.position.step)


def _costs_nothing(learner: Learner) -> bool:
    """Whether looking at a sum makes nothing wait."""
    return learner.device.type == "cpu" and learner.world.size == 1


@contextmanager
def _phase(learner: Learner) -> Iterator[None]:
    """Training mode, with what this epoch leaves frozen."""
    learner.network.train()
    network, head = learner.network, learner.head
    kept: Sequence[nn.Module] | None = None
    if head is not None:
        kept = learning_layers(
            learner.config, learner.position.epoch, network, head, learner.input_shape
        )
    # A compiled network draws its own masks.
    cheap = (
        nullcontext() if learner.config.compile else cheap_masks(learner.network, learner.device)
    )
    with frozen_below(learner.network, kept), cheap:
        learner.wrap()
        yield


def _set_rate(learner: Learner, steps: int, steps_per_epoch: int) -> None:
    rate = learning_rate(
        learner.config, learner.position.done, steps, steps_per_epoch, learner.plateau.drops
    )
    learner.set_rate(rate)


def _network_seed(learner: Learner) -> int:
    position, rank = learner.position, learner.world.rank
    purpose = f"network {rank}" if rank else "network"  # each process drops other values
    return derived_seed(learner.config.seed, position.epoch, position.step, purpose)


def _take(learner: Learner, batch: Batch) -> Tensor:
    """One batch forward and backward, and the optimizer's step where it ends one; its loss."""
    try:
        loss, logits = _backward(learner, batch)
        learner.sums.add(loss, logits, batch.targets)
        if batch.ends_step:
            learner.step()
    except (MemoryError, RuntimeError) as error:
        known = _in_words(error, learner)
        if known is None:
            raise
        raise known from error
    learner.is_between_steps = batch.ends_step
    return loss.detach()


def _within_memory(batches: Iterable[Batch], learner: Learner) -> Iterator[Batch]:
    """The batches; one that can't be made for lack of memory is said in our words."""
    try:
        yield from batches
    except (MemoryError, RuntimeError) as error:
        known = _in_words(error, learner)
        if known is None:
            raise
        raise known from error


def _in_words(error: Exception, learner: Learner) -> ZooError | None:
    """What failed in a step, as an error of ours; None for a bug."""
    if "does not have a deterministic implementation" in str(error):
        operation = str(error).partition(" does not")[0]
        return UsageError(
            f"This network can't be trained with --deterministic: {operation} gives other bits "
            "each time."
        )
    if not is_out_of_memory(error):
        return None
    learner.drop_gradients()
    count, accumulate = learner.config.batch_size, learner.config.accumulate
    smaller = f"--batch-size {count // 2} --set train.accumulate={2 * accumulate}"
    return OutOfMemoryError(
        f"A batch of {count} pictures does not fit into memory.",
        hint=smaller if count >= 4 else "Try smaller pictures: --set preprocess.size=N",
    )


def _backward(learner: Learner, batch: Batch) -> tuple[Tensor, Tensor]:
    """The loss, summed over the batch's pictures, and the logits; gradients are added up."""
    images = batch.images.to(memory_format=learner.precision.memory_format)
    with learner.synchronized(batch.ends_step):
        with learner.precision.autocast():
            outputs = learner.forward(images)
        loss = learner.loss(outputs, batch.targets)
        # DistributedDataParallel takes the mean over processes, whose parts may differ in size.
        scaled = loss * (learner.world.size / batch.step_images)
        if learner.scaler is not None:
            scaled = learner.scaler.scale(scaled)
        scaled.backward()  # type: ignore[no-untyped-call]
    return loss, split_outputs(outputs)[0]


def _finished(learner: Learner, validate: Callable[[], Figures | None]) -> Epoch:
    """The epoch's line; the learner still stands at its end."""
    position = learner.position
    check_weights(learner)
    learner.share_buffers()
    figures = validate()
    if figures is not None and not math.isfinite(figures.loss):
        raise _diverged("the validation loss", learner, position.step)
    sums = learner.sums.over_all(learner.world)
    images = int(sums.images)
    return Epoch(
        epoch=position.epoch,
        seconds=position.seconds,
        images_per_second=images / position.seconds,
        lr=learner.rate,
        train_loss=float(sums.loss) / images,
        train_top1=int(sums.correct) / images,
        val_loss=None if figures is None else figures.loss,
        val_top1=None if figures is None else figures.top1,
    )


def _diverged(
    what: str, learner: Learner, step: int, pictures: Sequence[str] = ()
) -> DivergedError:
    some = ", ".join(pictures[:_PICTURES_NAMED]) + ", ..." * (len(pictures) > _PICTURES_NAMED)
    return DivergedError(
        f"Training diverged: {what} is NaN or infinite in epoch {learner.position.epoch}, "
        f"step {step}, at a learning rate of {learner.rate:g}"
        + (f", on the pictures {some}." if some else "."),
        hint=f"Try a smaller rate: --lr {learner.config.lr / 10:g}; --find-lr suggests one.",
        results={"pictures": list(pictures)} if pictures else {},
    )
