"""Early stopping: training ends when it no longer gets anywhere."""

from dataclasses import dataclass

from zoo.schema import Train


@dataclass
class Stopping:
    """How long the recipe's `stop_metric` has made no progress."""

    best: float | None = None
    """None before the first epoch."""
    waited: int = 0
    """Epochs without progress."""

    def update(self, val_loss: float | None, val_top1: float | None, train: Train) -> None:
        """Counts one epoch; one without validation does not count.

        Args:
            val_loss: mean over the validation pictures.
            val_top1: share of them that is told right.
            train: which of the two must progress, and by how much.
        """
        by_loss = train.stop_metric == "val_loss"
        figure = val_loss if by_loss else val_top1
        if figure is None:
            return
        if self._is_progress(figure, -1 if by_loss else 1, train.min_delta):
            self.best, self.waited = figure, 0
        else:
            self.waited += 1

    def _is_progress(self, figure: float, sign: int, min_delta: float) -> bool:
        if self.best is None:
            return figure == figure  # NaN is no start
        gain = sign * (figure - self.best)
        return gain > 0 and gain >= min_delta

    def is_over(self, train: Train) -> bool:
        """Whether patience is exhausted."""
        return 0 < train.patience <= self.waited
