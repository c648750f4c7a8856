"""What goes to the device on the way goes there without making anything wait."""

from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.crossings import DEVICE, Crossings
from tests.data.augment.test_pipeline import OPTIONS
from zoo.data.fitted import Fitted, FittedOnTheWay, InMemory
from zoo.data.loader import TrainingBatches, evaluation_batches
from zoo.data.placement import all_to_device, constant, to_device
from zoo.schema import Augment, Preprocessing, RandAugment

CPU = torch.device("cpu")
PREPROCESSING = Preprocessing(
    channels=3, size=(12, 10), content=(12, 10), mean=(0.3, 0.2, 0.1), std=(0.7, 0.3, 0.5),
    interpolation="bilinear", fit="resize", samplewise_center=True,
    samplewise_std_normalization=True,
)  # fmt: skip
COUNT, BATCH_SIZE, CLASSES = 96, 24, ("a", "b", "c")
ALL: dict[str, Any] = {
    **OPTIONS,
    "color_jitter": {"brightness": 0.3, "contrast": 0.3, "saturation": 0.4, "hue": 0.1},
    "mixup": 0.4,
    "cutmix": 1.0,
}
# Where it is not one a batch: jitter has four factors, blur chooses pictures and draws widths, and
# of the policies' operations eleven take a level.
_A_POLICY = 1 + 11
COPIES = {
    "color_jitter": 4,
    "gaussian_blur": 2,
    "cutmix": 2,
    "trivial_augment": _A_POLICY,
    "rand_augment": RandAugment().num_ops * _A_POLICY,
}
POLICIES = ("trivial_augment", "rand_augment")


def all_with(policy: str) -> dict[str, Any]:
    """Every option; the policies exclude one another."""
    return {name: value for name, value in ALL.items() if name not in POLICIES or name == policy}


def images() -> Tensor:
    draws = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (COUNT, 3, 12, 10), dtype=torch.uint8, generator=draws)


def fitted(store: InMemory | FittedOnTheWay) -> Fitted:
    names = tuple(str(index) for index in range(COUNT))
    every = torch.arange(COUNT)
    return Fitted(store, every, every % len(CLASSES), CLASSES, names)


def batches(options: dict[str, Any], device: torch.device, **others: Any) -> TrainingBatches:
    return TrainingBatches(
        others.get("pictures") or fitted(InMemory(images())),
        PREPROCESSING,
        batch_size=BATCH_SIZE,
        seed=0,
        settings=Augment.model_validate(options),
        device=device,
    )


def crossings(options: dict[str, Any], **others: Any) -> Crossings:
    """Of one epoch; the one before has moved the pictures and the constants."""
    made = batches(options, DEVICE, **others)
    assert all(batch.images.device == DEVICE for batch in made.epoch(1))
    with Crossings() as found:
        assert len(list(made.epoch(2))) == COUNT // BATCH_SIZE
    return found


def test_pictures_in_memory_take_two_copies_an_epoch() -> None:
    found = crossings({})
    assert (found.waits, found.copies) == ([], 2)  # the order and the labels


@pytest.mark.parametrize("option", ALL)
def test_augmentation_waits_for_nothing_and_copies_little(option: str) -> None:
    found = crossings({option: ALL[option]})
    assert found.waits == []
    assert 0 < found.copies - 2 <= COPIES.get(option, 1) * COUNT // BATCH_SIZE


@pytest.mark.parametrize("fill_mode", ["nearest", "constant", "reflect", "wrap"])
@pytest.mark.parametrize("policy", POLICIES)
def test_all_of_it_together_waits_for_nothing(policy: str, fill_mode: str) -> None:
    assert crossings({**all_with(policy), "fill_mode": fill_mode}).waits == []


def test_pictures_fitted_on_the_way_take_a_copy_a_batch() -> None:
    found = crossings({}, pictures=fitted(FittedOnTheWay(images(), PREPROCESSING)))
    assert (found.waits, found.copies) == ([], 1 + COUNT // BATCH_SIZE)


def test_evaluation_takes_two_copies() -> None:
    pictures = fitted(InMemory(images().to(DEVICE)))
    list(evaluation_batches(pictures, PREPROCESSING, batch_size=10, device=DEVICE))
    with Crossings() as found:
        made = list(evaluation_batches(pictures, PREPROCESSING, batch_size=10, device=DEVICE))
    assert len(made) == 10
    assert (found.waits, found.copies) == ([], 2)


def test_what_would_wait_is_seen() -> None:
    there = torch.zeros(3, device=DEVICE)
    ways = (
        lambda: there.sum().item(),
        lambda: bool(there.any()),
        lambda: there[there > 0],
        lambda: there[torch.tensor([0, 2])],
        lambda: torch.where(there > 0, torch.tensor(1.0), there),
        lambda: torch.tensor((1.0, 2.0), device=DEVICE),
        lambda: torch.zeros(2).to(DEVICE),
        lambda: there.copy_(torch.zeros(3)),
    )
    for way in ways:
        # There are no values to give.
        with Crossings() as found, suppress(RuntimeError, NotImplementedError):
            way()
        assert len(found.waits) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("policy", POLICIES)
def test_a_gpu_waits_for_nothing_and_makes_the_same_pictures(policy: str) -> None:
    options = all_with(policy)
    on_gpu = batches(options, torch.device("cuda", 0))
    list(on_gpu.epoch(1))
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = list(on_gpu.epoch(2))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for here, there in zip(batches(options, CPU).epoch(2), found, strict=True):
        torch.testing.assert_close(there.targets.cpu(), here.targets)
        # A last bit may carry a value over a step of posterizing.
        close = (there.images.cpu() - here.images).abs() < 0.05
        assert close.double().mean() > 0.99


def test_what_is_there_already_is_not_copied() -> None:
    here = torch.arange(3)
    assert to_device(here, CPU) is here


def test_tensors_that_move_together_keep_their_places() -> None:
    parts = [torch.arange(3), torch.arange(0), torch.arange(7, 9)]
    moved = all_to_device(parts, CPU)
    assert [part.tolist() for part in moved] == [[0, 1, 2], [], [7, 8]]
    assert list(all_to_device([], CPU)) == []


def test_a_constant_is_made_once_and_can_be_trained_with() -> None:
    with torch.inference_mode():
        made = constant((0.125, 0.375), CPU, torch.float64)
    assert constant((0.125, 0.375), CPU, torch.float64) is made
    assert made.dtype == torch.float64
    weight = torch.ones(2, dtype=torch.float64, requires_grad=True)
    (weight * made).sum().backward()
    assert torch.equal(weight.grad, made)  # type: ignore[arg-type]
