"""The training loop. It yields one result per epoch; the caller decides what to do with it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor, nn

from zoo.data.loader import Batch, TrainingBatches
from zoo.data.randomness import derived_seed
from zoo.errors import DivergedError, OutOfMemoryError, is_out_of_memory
from zoo.evaluation import Figures
from zoo.schema import Train
from zoo.training.optimization import make_optimizer
from zoo.training.schedules import learning_rate
from zoo.training.transfer import frozen_below

# Reading a number back from a GPU stalls it, so a bad loss is noticed this many steps late.
_STEPS_BETWEEN_CHECKS = 50


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


@dataclass
class _Progress:
    """Sums over an epoch, kept on the device so that no step waits for it."""

    loss: Tensor
    correct: Tensor
    bad_step: Tensor
    """The first step whose loss was NaN or infinite; -1 for none."""
    images: int = 0

    @classmethod
    def start(cls, device: torch.device) -> "_Progress":
        return cls(
            torch.zeros(
                (), device=device, dtype=torch.float32 if device.type == "mps" else torch.float64
            ),
            torch.zeros((), device=device, dtype=torch.int64),
            torch.full((), -1, device=device, dtype=torch.int64),
        )

    def add(self, loss: Tensor, logits: Tensor, targets: Tensor, step: int) -> None:
        loss = loss.detach()
        self.loss += loss * len(targets)
        labels = targets.argmax(dim=1) if targets.ndim == 2 else targets  # mixed ones are shares
        self.correct += (logits.detach().argmax(dim=1) == labels).sum()
        is_first_bad = ~loss.isfinite() & (self.bad_step < 0)
        self.bad_step = torch.where(is_first_bad, step, self.bad_step)
        self.images += len(targets)


def train(
    network: nn.Module,
    batches: TrainingBatches,
    config: Train,
    *,
    validate: Callable[[], Figures | None],
    device: torch.device,
    head: nn.Module | None = None,
    max_steps: int | None = None,
    before_step: Callable[[int], object] = lambda _: None,
) -> Iterator[Epoch]:
    """Trains a network in place, yielding after each epoch.

    Args:
        network: on `device`.
        batches: of the training split, on `device`.
        config: epochs, rate, schedule, seed.
        validate: figures of the validation split, or None where there is none.
        device: where the network is.
        head: a part of the network that is trained alone at first, and faster, if the recipe
            says so; None trains all alike.
        max_steps: stop after this many steps in all; the schedule ends there too.
        before_step: called with the step within the epoch; what it raises ends the training.

    Raises:
        DivergedError: the loss became NaN or infinite.
        OutOfMemoryError: a batch does not fit.
    """
    optimizer = make_optimizer(network, config, head)
    steps = config.epochs * len(batches)
    steps = min(steps, max_steps) if max_steps else steps
    done = 0
    for epoch in range(1, config.epochs + 1):
        network.train()
        progress, started = _Progress.start(device), time.perf_counter()
        rate, step = config.lr, 0
        kept = [head] if head is not None and epoch <= config.head_epochs else None
        with frozen_below(network, kept):
            for step, batch in enumerate(batches.epoch(epoch)):
                before_step(step)
                rate = learning_rate(config, done, steps, len(batches))
                for group in optimizer.param_groups:
                    group["lr"] = rate * group["factor"]
                # Dropout draws from the global generator.
                torch.manual_seed(derived_seed(config.seed, epoch, step, "network"))
                _step(network, optimizer, batch, progress, step)
                done += 1
                if step % _STEPS_BETWEEN_CHECKS == 0:
                    _check(progress, epoch, rate)
                if done == steps:
                    break
        _check(progress, epoch, rate)
        seconds = time.perf_counter() - started
        figures = validate()
        if figures is not None and not _is_finite(figures.loss):
            raise _diverged("the validation loss", epoch, step + 1, rate)
        _check_weights(network, epoch, step + 1, rate)
        yield Epoch(
            epoch=epoch,
            seconds=seconds,
            images_per_second=progress.images / seconds,
            lr=rate,
            train_loss=float(progress.loss) / progress.images,
            train_top1=int(progress.correct) / progress.images,
            val_loss=None if figures is None else figures.loss,
            val_top1=None if figures is None else figures.top1,
        )
        if done == steps:
            return


def _step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    progress: _Progress,
    step: int,
) -> None:
    try:
        logits = network(batch.images)
        loss = F.cross_entropy(logits.float(), batch.targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        count = len(batch.targets)
        raise OutOfMemoryError(
            f"A batch of {count} pictures does not fit into memory.",
            hint=f"--batch-size {max(2, count // 2)}",
        ) from error
    progress.add(loss, logits, batch.targets, step)


def _check(progress: _Progress, epoch: int, rate: float) -> None:
    if (bad := int(progress.bad_step)) >= 0:
        raise _diverged("the loss", epoch, bad + 1, rate)


def _check_weights(network: nn.Module, epoch: int, step: int, rate: float) -> None:
    """The loss is taken before the step: after the last one only the weights can tell."""
    tensors = [t for t in network.state_dict().values() if t.is_floating_point()]
    if tensors and not bool(torch.stack([t.isfinite().all() for t in tensors]).all()):
        raise _diverged("a weight", epoch, step, rate)


def _diverged(what: str, epoch: int, step: int, rate: float) -> DivergedError:
    return DivergedError(
        f"Training diverged: {what} is NaN or infinite in epoch {epoch}, step {step}, "
        f"at a learning rate of {rate:g}.",
        hint=f"Try a smaller rate: --lr {rate / 10:g}",
    )


def _is_finite(value: float) -> bool:
    return value - value == 0
