"""Drawing splits."""

import csv
import io
from dataclasses import replace

import pytest
import torch

from zoo.data import naive_top1, sources
from zoo.data.sources import Pictures
from zoo.data.split import Split, draw
from zoo.errors import DataError
from zoo.schema import Dataset


@pytest.fixture(scope="module")
def digits() -> Pictures:
    return sources.read(Dataset()).train


def drawn(
    pictures: Pictures, *, validation: float = 0.1, test: float = 0.2, seed: int = 0
) -> Split:
    return draw(pictures, validation=validation, test=test, seed=seed)


def shares(pictures: Pictures, name: str) -> torch.Tensor:
    chosen = pictures.at(drawn(pictures).indices(name)).targets
    return torch.bincount(chosen, minlength=10) / torch.bincount(pictures.targets)


def test_every_class_gives_its_share(digits: Pictures) -> None:
    assert (shares(digits, "test") - 0.2).abs().max() < 0.005
    assert (shares(digits, "validation") - 0.08).abs().max() < 0.005
    split = drawn(digits)
    assert sum(len(split.indices(name)) for name in ("train", "validation", "test")) == 1797


def test_the_seed_draws_the_split(digits: Pictures) -> None:
    assert drawn(digits, seed=1) == drawn(digits, seed=1)
    assert drawn(digits, seed=1) != drawn(digits, seed=2)


def test_the_order_of_the_pictures_does_not_matter(digits: Pictures) -> None:
    backwards = digits.at(range(len(digits) - 1, -1, -1))
    assert drawn(backwards).assigned[::-1] == drawn(digits).assigned


def test_duplicates_share_a_split(digits: Pictures) -> None:
    twice = digits.at([*range(len(digits)), *range(len(digits))])
    assigned = drawn(twice).assigned
    assert assigned[: len(digits)] == assigned[len(digits) :]
    mislabelled = replace(twice, targets=torch.cat([digits.targets, (digits.targets + 1) % 10]))
    assigned = drawn(mislabelled).assigned
    assert assigned[: len(digits)] == assigned[len(digits) :]


def test_no_share_is_an_empty_split(digits: Pictures) -> None:
    split = drawn(digits, validation=0, test=0)
    assert set(split.assigned) == {"train"}


def test_too_few_training_pictures_are_an_error(digits: Pictures) -> None:
    for few in (digits.at([0, 1]), digits.at([0])):
        with pytest.raises(DataError, match="Fewer than two training pictures"):
            drawn(few, test=0.9, validation=0)
    assert drawn(digits.at([0, 1]), test=0, validation=0).assigned == ("train", "train")


def test_the_csv(digits: Pictures) -> None:
    few = replace(digits.at([0, 1]), names=("a,b", "c"))
    split = drawn(few, test=0, validation=0)
    rows = list(csv.DictReader(io.StringIO(split.to_csv(few.names))))
    assert [row["path"] for row in rows] == ["a,b", "c"]
    assert rows[0]["hash"] == split.hashes[0]
    assert rows[0]["split"] == "train"


def test_the_commonest_class() -> None:
    assert naive_top1(torch.tensor([2, 1, 2, 0]), 3) == (2, 0.5)
