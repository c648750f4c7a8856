"""What is said of single pictures."""

import csv
import math
from pathlib import Path

import pytest
import torch

from zoo.judging import Judgements, write_csv

# Probabilities of three classes for five pictures, in two batches.
SHARES = torch.tensor(
    [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1], [0.05, 0.05, 0.9], [0.2, 0.5, 0.3]]
)
TARGETS = torch.tensor([1, 1, 0, 0, 1])
NAMES, CLASSES = ("v", "w", "x", "y", "z"), ("a", "b", "c")


def judged() -> Judgements:
    found = Judgements()
    for part in (slice(0, 2), slice(2, 5)):
        found.add(SHARES[part].log(), TARGETS[part])
    return found


def test_mistakes_come_worst_first_and_right_answers_surest_first() -> None:
    ranking = judged().ranking()
    assert ranking.mistakes.tolist() == [3, 0]  # 5 % and 20 % for what they are
    assert ranking.right.tolist() == [1, 2, 4]  # 80, 60 and 50 %
    worst, _ = judged().of(ranking.mistakes, NAMES, CLASSES)
    assert (worst.path, worst.label, worst.predicted) == ("y", "a", "c")
    assert worst.probability == pytest.approx(0.9)
    assert worst.loss == pytest.approx(-math.log(0.05))


def test_of_equals_the_earlier_comes_first() -> None:
    found = Judgements()
    found.add(torch.tensor([[1.0, 0.0]]).repeat(4, 1), torch.tensor([1, 0, 1, 0]))
    ranking = found.ranking()
    assert (ranking.mistakes.tolist(), ranking.right.tolist()) == ([0, 2], [1, 3])


def test_the_csv_holds_whatever_names_hold(tmp_path: Path) -> None:
    names = ('a,"b".png', "<script>", "x\ny", "-", "é")
    write_csv(judged().of(torch.arange(5), names, CLASSES), tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == list(names)
    assert list(rows[0]) == ["path", "label", "predicted", "probability", "loss"]
    assert float(rows[0]["probability"]) == pytest.approx(0.7)
