"""A network being trained, and everything that changes with it from step to step."""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from zoo import frozen
from zoo.layers import Shape
from zoo.precision import Precision
from zoo.schema import Train
from zoo.training.averaging import Average
from zoo.training.distributed import World
from zoo.training.losses import make_loss
from zoo.training.optimization import make_optimizer
from zoo.training.schedules import Plateau
from zoo.training.stopping import Stopping
from zoo.training.sums import Sums
from zoo.training.zeros import Zeros

# Reading a number back from a GPU stalls it, so a bad loss is noticed this many steps late there.
STEPS_BETWEEN_CHECKS = 50


def _is_worth_saying(record: logging.LogRecord) -> bool:
    """Not that CUDA's compiler is here without a GPU, which torch.compile says on any device."""
    return not str(record.msg).startswith("No CUDA runtime is found")


@dataclass
class Position:
    """How far a training is."""

    epoch: int = 1
    """The one being trained."""
    step: int = 0
    """Steps of the optimizer that were taken in it."""
    done: int = 0
    """Steps in all."""
    seconds: float = 0.0
    """Spent on the epoch so far."""


@dataclass
class Learner:
    """Holds all that a checkpoint must; `start` makes one."""

    network: nn.Module
    config: Train
    precision: Precision
    world: World
    optimizer: optim.Optimizer
    loss: Callable[[Any, Tensor], Tensor]
    sums: Sums
    input_shape: Shape
    frozen: list[str]
    """Parameters that are never trained; what is frozen for some epochs is not among them."""
    digests: dict[str, str] = field(default_factory=dict)
    """Of each frozen tensor as it was before the first step."""
    head: nn.Module | None = None
    """What is trained first and fastest; None where all is trained alike."""
    average: Average | None = None
    zeros: Zeros | None = None
    """Single weights that were pruned."""
    scaler: "torch.amp.GradScaler | None" = None
    plateau: Plateau = field(default_factory=Plateau)
    stopping: Stopping = field(default_factory=Stopping)
    position: Position = field(default_factory=Position)
    rate: float = 0.0
    """Of the latest step."""
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=2 * STEPS_BETWEEN_CHECKS))
    """Of the steps before it too, as far as one may turn out to have been bad."""
    is_between_steps: bool = True
    forward: Callable[[Tensor], Any] = field(init=False)
    _wrapped: tuple[list[str], nn.Module] | None = None

    @classmethod
    def start(
        cls,
        network: nn.Module,
        config: Train,
        *,
        precision: Precision,
        input_shape: Shape,
        head: nn.Module | None = None,
        class_weights: Tensor | None = None,
        sparse: Sequence[str] = (),
        world: World | None = None,
    ) -> "Learner":
        """A learner before its first step; the network is moved to where it is trained.

        Args:
            network: fresh or trained.
            config: the recipe's section.
            precision: of the passes, and the device.
            input_shape: channels, height, width.
            head: the part that is trained alone at first, and faster, if the recipe says so.
            class_weights: (num_classes,), what each picture's loss is multiplied by.
            sparse: names of parameters whose zeros stay zero.
            world: this process among others.
        """
        device = precision.device
        network = precision.place(network)
        weights = None if class_weights is None else class_weights.to(device)
        return cls(
            network=network,
            config=config,
            precision=precision,
            world=world or World(),
            optimizer=make_optimizer(network, config, head),
            loss=make_loss(config, weights),
            sums=Sums.start(device),
            input_shape=input_shape,
            frozen=[name for name, p in network.named_parameters() if not p.requires_grad],
            digests=frozen.digests(network),
            head=head,
            average=Average(network, config.ema_decay) if config.ema_decay else None,
            zeros=Zeros(network, sparse) if sparse else None,
            scaler=torch.amp.GradScaler(device.type) if precision.name == "fp16" else None,
        )

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.precision.device

    @property
    def result(self) -> nn.Module:
        """What is validated and kept: the average of the weights where there is one."""
        return self.network if self.average is None else self.average.network

    def set_rate(self, rate: float) -> None:
        """The learning rate of the next step."""
        self.rate = rate
        self.rates.append(rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]

    def wrap(self) -> None:
        """Makes `forward` of the network as it is: its trainable parameters may have changed."""
        trainable = [name for name, p in self.network.named_parameters() if p.requires_grad]
        if self._wrapped is None or self._wrapped[0] != trainable:
            self._wrapped = (trainable, self.world.wrap(self.network, self.device))
            self.forward = self._wrapped[1]
            if self.config.compile:
                logging.getLogger("torch.utils.cpp_extension").addFilter(_is_worth_saying)
                self.forward = torch.compile(self.forward)

    @contextmanager
    def synchronized(self, wanted: bool) -> Iterator[None]:
        """Whether the block's gradients are exchanged between processes: not before the last."""
        wrapped = self._wrapped[1] if self._wrapped else None
        if not wanted and isinstance(wrapped, DistributedDataParallel):
            with wrapped.no_sync():
                yield
        else:
            yield

    def step(self) -> None:
        """The optimizer's step on the gradients; the sums remember whether they were finite."""
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        parameters = [p for p in self.network.parameters() if p.grad is not None]
        norm = get_total_norm([p.grad for p in parameters if p.grad is not None])
        if self.config.clip_norm:
            clip_grads_with_norm_(parameters, self.config.clip_norm, norm)
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        self.drop_gradients()
        if self.zeros is not None:
            self.zeros.put_back()
        if self.average is not None:
            self.average.update(self.network, self.position.done)
        is_finite = self.sums.loss.isfinite()
        if self.scaler is None:  # fp16's gradients overflow now and then: such a step is left out
            is_finite = is_finite & norm.isfinite()
        self.sums.judge(is_finite, self.position.step)
        self.position.step += 1
        self.position.done += 1

    def drop_gradients(self) -> None:
        """Forgets the gradients of the step."""
        self.optimizer.zero_grad(set_to_none=True)

    def check_frozen(self) -> None:
        """Holds what is frozen against how it was before the first step.

        Raises:
            ZooError: it changed.
        """
        frozen.check_unchanged(self.network.state_dict(), self.digests)
        if self.average is not None:
            frozen.check_unchanged(self.average.network.state_dict(), self.digests)

    def share_buffers(self) -> None:
        """Gives every process the first one's batch-norm statistics."""
        self.world.share_buffers(self.network)
        if self.average is not None:
            self.world.share_buffers(self.average.network)

    def next_epoch(self, val_loss: float | None, val_top1: float | None) -> None:
        """Moves to the start of the next epoch."""
        if val_loss is not None:
            self.plateau.update(val_loss, self.config.plateau_patience)
        self.stopping.update(val_loss, val_top1, self.config)
        self.position.epoch += 1
        self.position.step, self.position.seconds = 0, 0.0
        self.sums = Sums.start(self.device)

    def restart_epoch(self, steps_per_epoch: int) -> None:
        """Moves back to the start of the epoch that was begun, with the weights as they are."""
        self.position.done = (self.position.epoch - 1) * steps_per_epoch
        self.position.step, self.position.seconds = 0, 0.0
        self.sums = Sums.start(self.device)
