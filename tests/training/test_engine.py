"""The loop."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.crossings import DEVICE, Crossings
from tests.data.test_loader import PREPROCESSING, pictures
from zoo.data.loader import TrainingBatches
from zoo.errors import DivergedError, OutOfMemoryError
from zoo.precision import Precision
from zoo.schema import Train
from zoo.training.engine import Epoch, train
from zoo.training.learner import Learner

FP32 = Precision("fp32", torch.device("cpu"))


def run(network: nn.Module, config: Train, count: int = 12, **options: Any) -> list[Epoch]:
    batches = TrainingBatches(
        pictures(count), PREPROCESSING, batch_size=4, seed=config.seed,
        accumulate=config.accumulate,
    )  # fmt: skip
    learner = Learner.start(network, config, precision=FP32, input_shape=(1, 2, 2))
    options = {"validate": lambda: None, **options}
    return list(train(learner, batches, **options))


def network(classes: int = 12) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(4, classes))


def test_it_learns() -> None:
    epochs = run(network(), Train(epochs=60, lr=0.5))
    assert [epoch.epoch for epoch in epochs] == list(range(1, 61))
    assert epochs[-1].train_loss < 0.8 * epochs[0].train_loss
    assert all(epoch.images_per_second > 0 and epoch.val_loss is None for epoch in epochs)


def test_the_same_seed_gives_the_same_weights_whatever_came_before() -> None:
    one, two, other = network(), network(), network()
    run(one, Train(epochs=2, seed=1))
    torch.rand(17)
    run(two, Train(epochs=2, seed=1))
    run(other, Train(epochs=2, seed=2))
    assert torch.equal(one[2].weight, two[2].weight)  # type: ignore[index]
    assert not torch.equal(one[2].weight, other[2].weight)  # type: ignore[index]


def test_the_epochs_figures_are_those_of_the_batches() -> None:
    class Recorder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network()
            self.seen: list[Tensor] = []

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.inner(x)
            self.seen.append(logits.detach())
            return logits

    recorder = Recorder()
    (epoch,) = run(recorder, Train(epochs=1), count=11)
    batches = TrainingBatches(pictures(11), PREPROCESSING, batch_size=4, seed=0)
    targets = torch.cat([batch.targets for batch in batches.epoch(1)])
    logits = torch.cat(recorder.seen)
    expected = float(nn.functional.cross_entropy(logits, targets))
    assert epoch.train_loss == pytest.approx(expected, rel=1e-5)
    assert epoch.train_top1 == int((logits.argmax(1) == targets).sum()) / 11


def test_max_steps_ends_the_schedule_too() -> None:
    steps: list[int] = []
    epochs = run(network(), Train(epochs=9), max_steps=4, before_step=steps.append)
    assert steps == [0, 1, 2, 0]
    assert len(epochs) == 2
    assert epochs[-1].lr == pytest.approx(1e-3 * 0.5 * (1 + math.cos(math.pi * 3 / 4)))


class TurnsBad(nn.Module):
    """NaN in the n-th step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.inner = network()
        self.left = step

    def forward(self, x: Tensor) -> Tensor:
        self.left -= 1
        logits: Tensor = self.inner(x)
        return logits * float("nan") if self.left == 0 else logits


def test_nan_in_the_loss_is_an_error_that_says_where() -> None:
    with pytest.raises(DivergedError, match="in epoch 2, step 2, at a learning rate of") as caught:
        run(TurnsBad(5), Train(epochs=3, schedule="constant", lr=0.25))
    assert caught.value.hint == "Try a smaller rate: --lr 0.025; --find-lr suggests one."


def test_a_bad_validation_loss_is_an_error() -> None:
    from zoo.evaluation import evaluate_network

    def validate() -> Any:
        bad = nn.Sequential(nn.Identity())
        from zoo.data.loader import Batch

        batch = Batch(torch.full((2, 3), float("nan")), torch.tensor([0, 1]))
        return evaluate_network(bad, [batch], ("a", "b", "c"))

    with pytest.raises(DivergedError, match="validation loss"):
        run(network(), Train(epochs=1), validate=validate)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_out_of_memory_names_a_batch_size(error: Exception) -> None:
    class Greedy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            raise error

    with pytest.raises(OutOfMemoryError, match="A batch of 4 pictures") as caught:
        run(Greedy(), Train(epochs=1, batch_size=4))
    assert caught.value.hint.startswith("--batch-size 2 --set train.accumulate=2")


def test_a_bug_is_not_called_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        run(nn.Sequential(nn.Flatten(), nn.Linear(5, 3)), Train(epochs=1))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "rmsprop"])
def test_on_a_device_an_epoch_waits_for_nothing_before_its_end(optimizer: str) -> None:
    config = Train.model_validate(
        {"epochs": 2, "optimizer": optimizer, "clip_norm": 1.0, "ema_decay": 0.9, "accumulate": 2}
    )
    batches = TrainingBatches(
        pictures(24), PREPROCESSING, batch_size=4, seed=0, accumulate=2, device=DEVICE
    )
    precision = Precision("fp32", DEVICE)
    learner = Learner.start(network(24), config, precision=precision, input_shape=(1, 2, 2))
    next(batches.epoch(1))  # moves the pictures, once
    # There is no value that could be read: reading the first one ends it.
    with Crossings() as found, pytest.raises(RuntimeError, match="meta tensors"):
        list(train(learner, batches, validate=lambda: None))
    assert learner.position.step == len(batches) == 3
    assert found.waits == ["_local_scalar_dense"]
