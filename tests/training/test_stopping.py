"""Early stopping."""

import json
from typing import Any

import pytest

from zoo.schema import Train
from zoo.training.stopping import Stopping


def epochs_until_over(figures: list[float], **config: Any) -> int | None:
    """After how many epochs training stops; the other metric is always progress."""
    train = Train(**config)
    stopping = Stopping()
    for epoch, figure in enumerate(figures, start=1):
        if train.stop_metric == "val_loss":
            stopping.update(figure, epoch / 100, train)
        else:
            stopping.update(1 / epoch, figure, train)
        stopping = Stopping(**json.loads(json.dumps(vars(stopping))))
        if stopping.is_over(train):
            return epoch
    return None


def test_patience_counts_the_epochs_since_the_best() -> None:
    assert epochs_until_over([3, 2, 2, 2.5, 1, 1, 1, 1], patience=3) == 8
    assert epochs_until_over([3, 2, 2, 2.5, 1, 1, 1, 1], patience=2) == 4
    assert epochs_until_over([3, 2, 1], patience=1) is None


def test_patience_0_never_stops() -> None:
    assert epochs_until_over([1.0] * 100) is None


def test_the_accuracy_must_rise() -> None:
    config = {"patience": 2, "stop_metric": "val_top1"}
    assert epochs_until_over([0.1, 0.2, 0.3, 0.4], **config) is None
    assert epochs_until_over([0.4, 0.3, 0.2, 0.1], **config) == 3


@pytest.mark.parametrize(
    ("metric", "figures"),
    [("val_loss", [2.0, 1.75, 1.5, 1.25]), ("val_top1", [0.0, 0.25, 0.5, 0.75])],
)
def test_less_than_min_delta_is_no_progress(metric: str, figures: list[float]) -> None:
    config = {"patience": 1, "stop_metric": metric}
    assert epochs_until_over(figures, min_delta=0.25, **config) is None
    assert epochs_until_over(figures, min_delta=0.3, **config) == 2


def test_small_steps_add_up_to_progress() -> None:
    assert epochs_until_over([2.0, 1.8, 1.6, 1.4, 1.2], patience=2, min_delta=0.3) is None


def test_nan_is_no_progress() -> None:
    assert epochs_until_over([float("nan"), float("nan")], patience=2) == 2
    assert epochs_until_over([1.0, float("nan"), 0.5], patience=2) is None


def test_without_validation_nothing_is_counted() -> None:
    train = Train(patience=1)
    stopping = Stopping()
    stopping.update(None, None, train)
    assert stopping == Stopping()
    assert not stopping.is_over(train)
