"""The learning rate of each step, held against torch's own schedulers."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn, optim
from torch.optim import lr_scheduler

from zoo.schema import Train
from zoo.training.schedules import Plateau, learning_rate

PER_EPOCH = 7
EPOCHS = 12
STEPS = EPOCHS * PER_EPOCH


def ours(steps: int = STEPS, **config: Any) -> list[float]:
    train = Train(epochs=EPOCHS, lr=0.2, **config)
    return [learning_rate(train, done, steps, PER_EPOCH) for done in range(steps)]


def theirs(
    make: Callable[[optim.Optimizer], lr_scheduler.LRScheduler], *, by_epoch: bool = False
) -> list[float]:
    optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.2)
    scheduler = make(optimizer)
    rates = []
    for done in range(1, STEPS + 1):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if done < STEPS and (not by_epoch or done % PER_EPOCH == 0):
            scheduler.step()
    return rates


def test_constant_never_changes() -> None:
    assert set(ours(schedule="constant")) == {0.2}


@pytest.mark.parametrize("min_lr", [0.0, 0.01])
def test_cosine_is_torchs(min_lr: float) -> None:
    expected = theirs(lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=min_lr))
    assert ours(schedule="cosine", min_lr=min_lr) == pytest.approx(expected, rel=1e-9)


def test_cosine_starts_after_the_warm_up() -> None:
    rates = ours(schedule="cosine", warmup_epochs=2, min_lr=0.01)
    rest = STEPS - 2 * PER_EPOCH
    expected = theirs(lambda o: lr_scheduler.CosineAnnealingLR(o, rest, eta_min=0.01))
    assert rates[2 * PER_EPOCH :] == pytest.approx(expected[:rest], rel=1e-9)


@pytest.mark.parametrize("warmup_epochs", [None, 0.1, 3, 5.5, 11])
def test_one_cycle_is_torchs(warmup_epochs: float | None) -> None:
    share = 0.3 if warmup_epochs is None else warmup_epochs / EPOCHS
    expected = theirs(
        lambda o: lr_scheduler.OneCycleLR(
            o, 0.2, total_steps=STEPS, pct_start=share, cycle_momentum=False
        )
    )
    found = ours(schedule="one-cycle", warmup_epochs=warmup_epochs)
    assert found == pytest.approx(expected, rel=1e-9)


def test_one_cycle_fits_in_however_few_steps() -> None:
    assert max(ours(10, schedule="one-cycle")) == 0.2
    for steps in range(1, 10):
        for warmup_epochs in (None, 0, 1 / PER_EPOCH, 1, EPOCHS):
            rates = ours(steps, schedule="one-cycle", warmup_epochs=warmup_epochs)
            assert all(0 < rate <= 0.2 for rate in rates)


def test_step_is_torchs() -> None:
    expected = theirs(lambda o: lr_scheduler.StepLR(o, 5, gamma=0.3), by_epoch=True)
    assert ours(schedule="step", step_epochs=5, gamma=0.3) == pytest.approx(expected, rel=1e-9)


def test_multi_step_is_torchs() -> None:
    expected = theirs(lambda o: lr_scheduler.MultiStepLR(o, [3, 4, 9], gamma=0.3), by_epoch=True)
    found = ours(schedule="multi-step", milestones=[3, 4, 9], gamma=0.3)
    assert found == pytest.approx(expected, rel=1e-9)
    assert found[3 * PER_EPOCH - 1] == 0.2  # three epochs at the first rate
    assert found[3 * PER_EPOCH] == pytest.approx(0.06)


@pytest.mark.parametrize(
    "config",
    [
        {"schedule": "constant"},
        {"schedule": "cosine"},
        {"schedule": "step", "step_epochs": 30},
        {"schedule": "multi-step", "milestones": [10]},
        {"schedule": "plateau"},
    ],
    ids=lambda config: config["schedule"],
)
def test_the_warm_up_rises_evenly_from_nearly_nothing(config: dict[str, Any]) -> None:
    rates = ours(warmup_epochs=1.5, **config)
    count = round(1.5 * PER_EPOCH)
    expected = [0.2 * step / (count + 1) for step in range(1, count + 2)]
    assert rates[: count + 1] == pytest.approx(expected)
    assert max(rates) == rates[count] == 0.2


def test_a_training_may_end_within_its_warm_up() -> None:
    rates = ours(3, schedule="cosine", warmup_epochs=1)
    assert rates == pytest.approx([0.2 / 8, 0.4 / 8, 0.6 / 8])


def test_plateau_is_torchs_epoch_by_epoch() -> None:
    draws = random.Random(0)
    losses = [2 * 0.9**epoch + draws.random() * 0.6 for epoch in range(100)]
    losses[50] = float("inf")
    optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.2)
    theirs = lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=3, min_lr=0.001, eps=0.0
    )
    train = Train(
        epochs=100, lr=0.2, schedule="plateau", gamma=0.5, plateau_patience=3, min_lr=0.001
    )
    plateau = Plateau()
    rates = []
    for epoch, loss in enumerate(losses):
        theirs.step(loss)
        plateau.update(loss, train.plateau_patience)
        plateau = Plateau(**json.loads(json.dumps(vars(plateau), allow_nan=False)))
        rates.append(learning_rate(train, epoch, 100, 1, plateau.drops))
        assert rates[-1] == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
    assert rates[-1] == 0.001
    assert len(set(rates)) > 5


def test_a_ten_thousandth_lower_is_still_the_plateau() -> None:
    plateau = Plateau()
    for loss in (1.0, 1 - 5e-5, 1 - 9e-5):
        plateau.update(loss, patience=5)
    assert vars(plateau) == {"best": 1.0, "waited": 2, "drops": 0}
    plateau.update(1 - 2e-4, patience=5)
    assert vars(plateau) == {"best": 1 - 2e-4, "waited": 0, "drops": 0}


def test_a_plateau_without_one_good_epoch_drops_too() -> None:
    plateau = Plateau()
    for _ in range(4):
        plateau.update(float("nan"), patience=1)
    assert vars(plateau) == {"best": None, "waited": 0, "drops": 2}


def test_no_schedule_ends_above_its_highest_rate() -> None:
    train = Train(lr=0.2, schedule="plateau", min_lr=0.5)
    assert learning_rate(train, 0, 10, 1, drops=3) == 0.2
