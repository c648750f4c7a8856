"""Batches."""

import pytest
import torch

from zoo.data.fitted import Fitted, InMemory
from zoo.data.loader import TrainingBatches, batch_sizes, evaluation_batches
from zoo.data.randomness import derived_seed
from zoo.schema import Augment, Preprocessing

PREPROCESSING = Preprocessing(
    channels=1, size=(2, 2), content=(2, 2), mean=(0.0,), std=(1.0,),
    interpolation="bilinear", fit="resize",
)  # fmt: skip


def pictures(count: int) -> Fitted:
    values = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)
    names = tuple(str(index) for index in range(count))
    every = torch.arange(count)
    return Fitted(InMemory(values.contiguous()), every, every, names, names)


@pytest.mark.parametrize(
    ("count", "size", "sizes"),
    [
        (10, 4, [4, 4, 2]),
        (8, 4, [4, 4]),
        (9, 4, [4, 5]),  # batch norm can't train on one picture
        (3, 4, [3]),
        (1, 4, [1]),
        (5, 2, [2, 3]),
    ],
)
def test_a_last_batch_of_one_joins_the_one_before(count: int, size: int, sizes: list[int]) -> None:
    assert batch_sizes(count, size) == sizes
    assert sum(sizes) == count


def test_an_epoch_shows_each_picture_once() -> None:
    batches = TrainingBatches(pictures(11), PREPROCESSING, batch_size=4, seed=0)
    seen = torch.cat([batch.targets for batch in batches.epoch(1)])
    assert sorted(seen.tolist()) == list(range(11))
    assert len(batches) == 3


def test_order_is_a_function_of_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        batches = TrainingBatches(pictures(50), PREPROCESSING, batch_size=8, seed=seed)
        return torch.cat([batch.targets for batch in batches.epoch(epoch)]).tolist()

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)


def test_images_belong_to_their_targets_and_are_scaled() -> None:
    batches = TrainingBatches(pictures(20), PREPROCESSING, batch_size=6, seed=5)
    for batch in batches.epoch(3):
        torch.testing.assert_close(batch.images[:, 0, 0, 0] * 255, batch.targets.float())


def test_augmentation_is_a_function_of_the_step() -> None:
    settings = Augment(rotation_range=90, horizontal_flip=True)
    varied = pictures(16)
    assert isinstance(varied.store, InMemory)
    varied.store.images[:, 0, 0, 0] = 200

    def epoch(number: int) -> torch.Tensor:
        batches = TrainingBatches(varied, PREPROCESSING, batch_size=16, seed=0, settings=settings)
        return next(iter(batches.epoch(number))).images

    assert torch.equal(epoch(1), epoch(1))
    assert not torch.equal(epoch(1).sort(0).values, epoch(2).sort(0).values)


@pytest.mark.parametrize("option", ["mixup", "cutmix"])
def test_mixed_targets_are_shares(option: str) -> None:
    settings = Augment.model_validate({option: 1.0})
    batches = TrainingBatches(pictures(8), PREPROCESSING, batch_size=8, seed=0, settings=settings)
    batch = next(iter(batches.epoch(1)))
    assert batch.targets.shape == (8, 8)
    torch.testing.assert_close(batch.targets.sum(dim=1), torch.ones(8))
    # Each constant picture is its index: what is mixed of pictures is mixed of labels.
    mixed = (batch.targets * torch.arange(8)).sum(dim=1)
    torch.testing.assert_close(batch.images.mean(dim=(1, 2, 3)) * 255, mixed)


def test_evaluation_keeps_the_order() -> None:
    found = list(evaluation_batches(pictures(10), PREPROCESSING, batch_size=4))
    assert [len(batch.targets) for batch in found] == [4, 4, 2]
    assert torch.cat([batch.targets for batch in found]).tolist() == list(range(10))


def test_seeds_of_distinct_purposes_differ() -> None:
    seeds = {
        derived_seed(seed, epoch, step, purpose)
        for seed in range(3)
        for epoch in range(3)
        for step in range(3)
        for purpose in ("order", "augment", "network")
    }
    assert len(seeds) == 81
    assert all(0 <= seed < 2**63 for seed in seeds)
