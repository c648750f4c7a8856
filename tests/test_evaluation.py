"""Figures of a network."""

from pathlib import Path

import pytest
import torch
from torch import nn

from zoo import description, modelfile
from zoo.catalog import find
from zoo.data.loader import Batch
from zoo.errors import DataError, UsageError
from zoo.evaluation import evaluate, evaluate_network, topk_accuracy

LOGITS = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 1.0], [2.0, 1.0, 0.0], [0.0, 1.0, 9.0]])
TARGETS = torch.tensor([0, 1, 1, 1])


def test_topk() -> None:
    assert topk_accuracy(LOGITS, TARGETS) == 0.5
    assert topk_accuracy(LOGITS, TARGETS, k=2) == 1.0
    assert topk_accuracy(LOGITS, TARGETS, k=99) == 1.0


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


def test_the_networks_mode_is_left_alone() -> None:
    network = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5)).train()
    network[1].eval()  # such as a frozen batch norm
    evaluate_network(network, [Batch(LOGITS, TARGETS)], ("a", "b", "c"))
    assert [network.training, network[0].training, network[1].training] == [True, True, False]


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
        evaluate(tmp_path / "three")
    other = description.describe(find("lenet5")).model_copy(update={"classes": tuple("abcdefghij")})
    modelfile.save(tmp_path / "letters", modelfile.build(other), other)
    with pytest.raises(DataError, match=r"it lacks a, b, c, .*; 0, 1, 2, .* are new"):
        evaluate(tmp_path / "letters")
    turned = other.model_copy(update={"classes": tuple("9876543210")})
    modelfile.save(tmp_path / "turned", modelfile.build(turned), turned)
    with pytest.raises(DataError, match="their order differs"):
        evaluate(tmp_path / "turned")
