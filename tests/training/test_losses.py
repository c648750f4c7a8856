"""The loss, held against torch's own."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
import torchvision
from torch import Tensor

from zoo.errors import RecipeError
from zoo.heads import split_outputs
from zoo.schema import Train
from zoo.training.losses import class_weights, make_loss

CLASSES = ("cat", "dog", "eel", "fox")


def logits_and_targets(*, soft: bool) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(10, 4, generator=draws)).requires_grad_()
    if soft:
        return logits, torch.rand(10, 4, generator=draws).softmax(dim=1)
    return logits, torch.randint(4, (10,), generator=draws)


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, (0.5, 2.0, 0.0, 3.0)], ids=["alike", "weighted"])
def test_it_is_the_sum_of_the_pictures_cross_entropies(
    soft: bool, smoothing: float, weights: tuple[float, ...] | None
) -> None:
    logits, targets = logits_and_targets(soft=soft)
    config = Train(label_smoothing=smoothing, class_weights=weights)
    loss = make_loss(config, class_weights(config, CLASSES, torch.zeros(1, dtype=torch.int64)))
    found = loss(logits, targets)
    # By hand: shares of each class, smoothed, weighted, times their surprise.
    shares = targets if soft else F.one_hot(targets, 4).float()
    shares = (1 - smoothing) * shares + smoothing / 4
    by_hand = -(shares * torch.tensor(weights or (1.0,) * 4) * logits.log_softmax(dim=1)).sum()
    torchs = sum(
        F.cross_entropy(
            logits[[row]], targets[[row]], label_smoothing=smoothing, reduction="none",
            weight=None if weights is None else torch.tensor(weights),
        ).sum()
        for row in range(10)
    )  # fmt: skip
    assert isinstance(torchs, Tensor)
    torch.testing.assert_close(found, by_hand)
    torch.testing.assert_close(found, torchs)
    gradients = [torch.autograd.grad(value, logits)[0] for value in (found, by_hand, torchs)]
    torch.testing.assert_close(gradients[0], gradients[1])
    torch.testing.assert_close(gradients[0], gradients[2])


def test_a_pictures_loss_does_not_depend_on_the_others_in_its_batch() -> None:
    logits, targets = logits_and_targets(soft=False)
    loss = make_loss(Train(), torch.tensor([0.5, 2.0, 1.0, 3.0]))
    halves = loss(logits[:3], targets[:3]) + loss(logits[3:], targets[3:])
    torch.testing.assert_close(loss(logits, targets), halves)


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_logits_of_half_precision_are_taken_in_float32(soft: bool) -> None:
    logits, targets = logits_and_targets(soft=soft)
    half = logits.detach().bfloat16()
    found = make_loss(Train(), None)(half, targets)
    assert found.dtype == torch.float32
    assert found == F.cross_entropy(half.float(), targets, reduction="sum")


@pytest.mark.parametrize("weight", [0.3, 0.0])
def test_googlenets_auxiliary_classifiers_count_too(weight: float) -> None:
    torch.manual_seed(0)
    network = torchvision.models.googlenet(
        weights=None, aux_logits=True, init_weights=False, num_classes=10
    ).train()
    outputs = network(torch.randn(2, 3, 96, 96))
    targets = torch.tensor([3, 7])
    losses = [F.cross_entropy(logits, targets, reduction="sum") for logits in outputs]
    assert len(losses) == 3
    found = make_loss(Train(aux_weight=weight), None)(outputs, targets)
    torch.testing.assert_close(found, losses[0] + weight * (losses[1] + losses[2]))


MAIN, AUX = torch.zeros(2, 3), torch.ones(2, 3)


@pytest.mark.parametrize(
    ("outputs", "auxiliary"),
    [
        (MAIN, 0),
        ((MAIN, AUX), 1),
        ([MAIN, AUX, AUX], 2),
        (torchvision.models.GoogLeNetOutputs(MAIN, None, None), 0),
        (torchvision.models.InceptionOutputs(MAIN, AUX), 1),
        ({"aux": AUX, "out": MAIN}, 1),
        ({"out": AUX, "logits": MAIN, "loss": None}, 1),
    ],
)
def test_the_logits_are_found_in_what_networks_return(outputs: Any, auxiliary: int) -> None:
    logits, others = split_outputs(outputs)
    assert logits is MAIN
    assert len(others) == auxiliary
    assert all(other is AUX for other in others)


@pytest.mark.parametrize("outputs", [None, (), (None, AUX), {"features": AUX}])
def test_outputs_without_logits_are_refused(outputs: Any) -> None:
    with pytest.raises(TypeError, match="no logits"):
        split_outputs(outputs)


TARGETS = torch.tensor([0] * 6 + [1] * 3 + [3])


def weigh(weights: Any) -> Tensor | None:
    return class_weights(Train(class_weights=weights), CLASSES, TARGETS)


def test_without_weights_all_count_alike() -> None:
    assert weigh(None) is None


def test_balanced_weights_are_one_on_average_and_give_every_class_the_same_say() -> None:
    weights = weigh("balanced")
    assert weights is not None
    assert weights.dtype == torch.float32
    assert weights[TARGETS].mean() == pytest.approx(1)
    says = torch.zeros(4).index_add(0, TARGETS, weights[TARGETS])
    assert says.tolist() == pytest.approx([10 / 3, 10 / 3, 0, 10 / 3])
    assert weights[2] == 1  # no pictures


def test_weights_may_be_listed_or_named() -> None:
    listed, named = weigh([1, 2, 0, 3.5]), weigh({"fox": 3.5, "dog": 2})
    assert listed is not None
    assert named is not None
    assert listed.tolist() == [1, 2, 0, 3.5]
    assert named.tolist() == [1, 2, 1, 3.5]
    assert listed.dtype == named.dtype == torch.float32


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2, 3], "train.class_weights has 3 numbers, but there are 4 classes."),
        (
            {"cta": 2},
            "train.class_weights names 'cta', which is no class. Did you mean cat?",
        ),
        ({"zebra": 2}, "train.class_weights names 'zebra', which is no class."),
    ],
)
def test_weights_that_fit_no_classes_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        weigh(weights)
    assert caught.value.message == message
