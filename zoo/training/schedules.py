"""The learning rate of each step."""

import math
from bisect import bisect_right
from dataclasses import dataclass

from zoo.schema import Train

_ONE_CYCLE_PEAK = 0.3
_ONE_CYCLE_DIV = 25.0
_ONE_CYCLE_FINAL_DIV = 1e4
_PLATEAU_THRESHOLD = 1e-4


def learning_rate(
    train: Train, done: int, steps: int, steps_per_epoch: int, drops: int = 0
) -> float:
    """The rate of one step.

    Args:
        train: schedule and highest rate.
        done: steps before this one.
        steps: in the whole training.
        steps_per_epoch: without the limit of `steps`.
        drops: of a plateau so far.
    """
    warmup = (train.warmup_epochs or 0) * steps_per_epoch
    if train.schedule == "one-cycle":
        peak = _ONE_CYCLE_PEAK * steps if train.warmup_epochs is None else warmup
        return _one_cycle(train.lr, done, steps, peak)
    rising = round(warmup)
    factor = (done + 1) / (rising + 1) if done < rising else 1.0
    epoch = done // steps_per_epoch
    match train.schedule:
        case "cosine":
            share = min(1.0, max(0, done - rising) / max(1, steps - rising))
            rate = _cosine(train.lr, train.min_lr, share)
        case "step":
            rate = train.lr * train.gamma ** (epoch // train.step_epochs)
        case "multi-step":
            rate = train.lr * train.gamma ** bisect_right(train.milestones, epoch)
        case "plateau":
            rate = max(train.lr * train.gamma**drops, min(train.min_lr, train.lr))
        case "constant":
            rate = train.lr
    return rate * factor


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))


def _one_cycle(lr: float, done: int, steps: int, peak: float) -> float:
    """Two halves of a cosine, as torch's OneCycleLR has them. Momentum stays as it is.

    Args:
        lr: at the peak.
        done: steps before this one.
        steps: in the whole training.
        peak: steps up to the peak, that one included.
    """
    low, top, last = lr / _ONE_CYCLE_DIV, peak - 1, steps - 1
    if done < top:
        return _cosine(low, lr, done / top)
    share = (min(done, last) - top) / (last - top) if last > top else 0.0
    return _cosine(lr, low / _ONE_CYCLE_FINAL_DIV, share)


@dataclass
class Plateau:
    """How long the validation loss has not fallen; as torch's ReduceLROnPlateau counts."""

    best: float | None = None
    """None before the first epoch."""
    waited: int = 0
    """Epochs without a lower loss since the best one or the last drop."""
    drops: int = 0
    """How often the rate has dropped."""

    def update(self, val_loss: float, patience: int) -> None:
        """Counts one epoch; the rate drops in the epoch that patience no longer covers."""
        best = math.inf if self.best is None else self.best
        if val_loss < best * (1 - _PLATEAU_THRESHOLD):
            self.best, self.waited = val_loss, 0
            return
        self.waited += 1
        if self.waited > patience:
            self.drops, self.waited = self.drops + 1, 0
