"""Figures of a network."""

import math
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
import torch
from torch import nn

from zoo import description, modelfile
from zoo.catalog import find
from zoo.data.loader import Batch
from zoo.errors import DataError, UsageError
from zoo.evaluation import evaluate, evaluate_network
from zoo.precision import Precision

LOGITS = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 1.0], [2.0, 1.0, 0.0], [0.0, 1.0, 9.0]])
TARGETS = torch.tensor([0, 1, 1, 1])


CLASSES = ("a", "b", "c")


def test_top5_by_hand() -> None:
    logits = torch.tensor([[9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0]]).repeat(7, 1)
    found = evaluate_network(nn.Identity(), [Batch(logits, torch.arange(7))], tuple("abcdefg"))
    assert (found.top1, found.top5) == (1 / 7, 5 / 7)
    few = evaluate_network(nn.Identity(), [Batch(LOGITS, TARGETS)], CLASSES)
    assert few.top5 == 1.0  # of three classes


def test_figures_by_hand() -> None:
    batches = [Batch(LOGITS[:3], TARGETS[:3]), Batch(LOGITS[3:], TARGETS[3:])]
    found = evaluate_network(nn.Identity(), batches, ("a", "b", "c"))
    assert found.images == 4
    assert found.top1 == 0.5
    assert found.confusion == ((1, 0, 0), (1, 1, 1), (0, 0, 0))
    assert (found.naive_class, found.naive_top1) == ("b", 0.75)
    losses = [
        -torch.log_softmax(row, 0)[target] for row, target in zip(LOGITS, TARGETS, strict=True)
    ]
    assert found.loss == pytest.approx(float(sum(losses)) / 4)
    by_name = {figures.name: figures for figures in found.per_class}
    assert (by_name["a"].precision, by_name["a"].recall) == (0.5, 1.0)
    assert (by_name["b"].precision, by_name["b"].recall) == (1.0, 1 / 3)
    assert (by_name["c"].precision, by_name["c"].recall) == (0.0, None)


def test_f1_by_hand() -> None:
    found = evaluate_network(nn.Identity(), [Batch(LOGITS, TARGETS)], CLASSES)
    a, b, c = found.per_class
    assert (a.f1, b.f1, c.f1) == (pytest.approx(2 / 3), pytest.approx(1 / 2), 0.0)
    assert found.macro_f1 == pytest.approx((2 / 3 + 1 / 2) / 2)  # c has no picture
    wrong = evaluate_network(nn.Identity(), [Batch(LOGITS, torch.tensor([1, 2, 1, 1]))], CLASSES)
    by_name = {figures.name: figures for figures in wrong.per_class}
    assert by_name["b"].f1 == 0.0  # precision and recall are both 0
    never = evaluate_network(nn.Identity(), [Batch(LOGITS[:1], TARGETS[1:2])], CLASSES)
    assert never.per_class[1].precision is None  # it has a picture, which was taken for another
    assert never.per_class[1].f1 == 0.0
    assert [one.f1 for one in never.per_class if not one.images].count(None) == 1
    assert never.macro_f1 == 0.0


def test_calibration_error_by_hand() -> None:
    # Two pictures at 90 %, one of them right; two at 50 %, both right (bins of 1/15).
    sure, unsure = [0.9, 0.1], [0.501, 0.499]
    logits = torch.tensor([sure, sure, unsure, unsure]).log()
    batches = [Batch(logits[:3], torch.tensor([0, 1, 0])), Batch(logits[3:], torch.tensor([0]))]
    found = evaluate_network(nn.Identity(), batches, ("a", "b"))
    expected = 2 / 4 * abs(0.5 - 0.9) + 2 / 4 * abs(1.0 - 0.501)
    assert found.expected_calibration_error == pytest.approx(expected)
    # Half right at 50 % is calibrated, although neither picture is by itself.
    even = Batch(torch.tensor([unsure, unsure]).log(), torch.tensor([0, 1]))
    found = evaluate_network(nn.Identity(), [even], ("a", "b"))
    assert found.expected_calibration_error == pytest.approx(0.001, abs=1e-6)


def test_the_bins_add_up_to_the_calibration_error() -> None:
    sure, unsure = [0.9, 0.1], [0.501, 0.499]
    logits = torch.tensor([sure, sure, unsure, unsure]).log()
    found = evaluate_network(nn.Identity(), [Batch(logits, torch.tensor([0, 1, 0, 0]))], ("a", "b"))
    full = {index: one for index, one in enumerate(found.reliability) if one.images}
    assert (len(found.reliability), set(full)) == (15, {7, 13})  # of 50.1 and 90 %
    assert full[13].confidence == pytest.approx(0.9)
    assert (full[13].accuracy, full[7].accuracy) == (0.5, 1.0)
    gaps = [one.images * abs(one.accuracy - one.confidence) for one in full.values()]
    assert found.expected_calibration_error == pytest.approx(sum(gaps) / 4)
    assert found.reliability[0].confidence is None


def test_the_most_confused_pairs_come_first() -> None:
    found = evaluate_network(
        nn.Identity(),
        [Batch(torch.eye(3)[[1, 1, 0, 2, 2, 2, 0]], torch.tensor([0, 0, 0, 0, 1, 2, 2]))],
        CLASSES,
    )
    pairs = [(one.true, one.predicted, one.images, one.share) for one in found.confused]
    # Of pairs as frequent the one with the larger share of its class.
    assert pairs == [
        ("a", "b", 2, 0.5),
        ("b", "c", 1, 1.0),
        ("c", "a", 1, 0.5),
        ("a", "c", 1, 0.25),
    ]


def test_a_certain_picture_falls_into_the_last_bin() -> None:
    certain = Batch(torch.tensor([[1e4, 0.0]]), torch.tensor([0]))
    found = evaluate_network(nn.Identity(), [certain], ("a", "b"))
    assert found.expected_calibration_error == 0.0


def test_a_diverged_network_has_figures_too() -> None:
    found = evaluate_network(nn.Identity(), [Batch(LOGITS * float("nan"), TARGETS)], CLASSES)
    assert (found.images, math.isnan(found.loss)) == (4, True)
    assert math.isnan(found.expected_calibration_error)


def test_parts_of_several_processes_make_the_figures_of_the_whole() -> None:
    whole = evaluate_network(nn.Identity(), [Batch(LOGITS, TARGETS)], CLASSES)
    parts = [[Batch(LOGITS[:3], TARGETS[:3])], [], [Batch(LOGITS[3:], TARGETS[3:])]]
    sums: list[list[torch.Tensor]] = []
    for part in parts:
        with suppress(DataError):  # the part alone may hold no picture
            evaluate_network(nn.Identity(), part, CLASSES, reduce=sums.append)
    assert len(sums) == 3  # also the process that has no picture took part

    def add_up(mine: list[torch.Tensor]) -> None:
        for position, tensor in enumerate(mine):
            tensor += sum(theirs[position] for theirs in (sums[0], sums[2]))

    assert evaluate_network(nn.Identity(), [], CLASSES, reduce=add_up) == whole


class _Breaking(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise ValueError("broken")


@pytest.mark.parametrize("fails", [False, True])
def test_the_networks_mode_is_left_alone(fails: bool) -> None:
    network = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5)).train()
    network[1].eval()  # such as a frozen batch norm
    if fails:
        network.append(_Breaking())
    with pytest.raises(ValueError, match="broken") if fails else nullcontext():
        evaluate_network(network, [Batch(LOGITS, TARGETS)], CLASSES)
    assert [network.training, network[0].training, network[1].training] == [True, True, False]


class _Recording(nn.Module):
    """Remembers how it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.layout = images.is_contiguous(memory_format=torch.channels_last)
        self.autocast = torch.is_autocast_enabled("cpu")
        self.inference = torch.is_inference_mode_enabled()
        logits: torch.Tensor = self.out(images.mean(dim=(2, 3)))
        self.dtype = logits.dtype
        return logits


def test_a_precision_decides_arithmetic_and_layout() -> None:
    network = _Recording()
    batch = Batch(torch.rand(5, 4, 6, 6), torch.tensor([0, 1, 2, 0, 1]))
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        precision = Precision(name, torch.device("cpu"))
        found = evaluate_network(network, [batch], CLASSES, precision=precision)
        assert (network.layout, network.inference, network.dtype) == (True, True, dtype)
        assert network.autocast == (name == "bf16")
        assert found.images == 5
    evaluate_network(network, [batch], CLASSES)
    assert not network.layout  # as it came
    assert not torch.is_autocast_enabled("cpu")


def test_the_precision_of_an_evaluation(trained: Path) -> None:
    exact, short = evaluate(trained), evaluate(trained, precision="bf16")
    assert (exact.precision, short.precision) == ("fp32", "bf16")
    assert exact.figures.loss != short.figures.loss
    assert exact.figures.loss == pytest.approx(short.figures.loss, abs=0.05)


def test_no_picture_is_an_error() -> None:
    with pytest.raises(DataError, match="no picture"):
        evaluate_network(nn.Identity(), [], ("a",))


def test_a_run_is_evaluated_on_the_recipe_it_holds(trained: Path) -> None:
    found = evaluate(trained)
    assert (found.recipe, found.split, found.figures.images) == ("digits", "test", 359)
    assert found.figures.top1 > 0.9
    assert evaluate(trained, split="validation").figures.images == 143


def test_what_can_not_be_evaluated(tmp_path: Path, trained: Path) -> None:
    with pytest.raises(UsageError, match="nothing trained"):
        evaluate("lenet5")
    with pytest.raises(UsageError, match="no test pictures"):
        evaluate(trained, overrides=("dataset.test=0",), split="test")
    described = description.describe(find("lenet5"), num_classes=3)
    modelfile.save(tmp_path / "three", modelfile.build(described), described)
    with pytest.raises(DataError, match="3 classes apart, digits has 10"):
        evaluate(tmp_path / "three", recipe_name="digits")
    other = description.describe(find("lenet5")).model_copy(update={"classes": tuple("abcdefghij")})
    modelfile.save(tmp_path / "letters", modelfile.build(other), other)
    with pytest.raises(DataError, match=r"it lacks a, b, c, .*; 0, 1, 2, .* are new"):
        evaluate(tmp_path / "letters", recipe_name="digits")
    turned = other.model_copy(update={"classes": tuple("9876543210")})
    modelfile.save(tmp_path / "turned", modelfile.build(turned), turned)
    assert any(
        "mapped by name" in note
        for note in evaluate(tmp_path / "turned", recipe_name="digits").notes
    )
