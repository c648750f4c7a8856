"""Drawing splits."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from zoo.data.sources import digits as source
from zoo.data.split import Split, draw, read_csv, restrict
from zoo.errors import DataError


@dataclass(frozen=True)
class Hashed:
    """What a split is drawn from."""

    hashes: list[str]
    targets: list[int]

    def at(self, indices: Sequence[int]) -> "Hashed":
        return Hashed([self.hashes[i] for i in indices], [self.targets[i] for i in indices])

    def __len__(self) -> int:
        return len(self.hashes)


@pytest.fixture(scope="module")
def digits() -> Hashed:
    pictures = source.read().train
    hashes = [pictures.digest(index) for index in range(len(pictures))]
    return Hashed(hashes, pictures.targets.tolist())


def drawn(
    pictures: Hashed,
    *,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    recorded: dict[str, str] | None = None,
) -> Split:
    shares = {"validation": validation, "test": test}
    return draw(pictures.hashes, pictures.targets, seed=seed, recorded=recorded, **shares)


def shares(pictures: Hashed, split: Split, name: str) -> torch.Tensor:
    chosen = torch.tensor([pictures.targets[index] for index in split.indices(name)])
    return torch.bincount(chosen, minlength=10) / torch.bincount(torch.tensor(pictures.targets))


def test_every_class_gives_its_share(digits: Hashed) -> None:
    split = drawn(digits)
    assert (shares(digits, split, "test") - 0.2).abs().max() < 0.005
    assert (shares(digits, split, "validation") - 0.08).abs().max() < 0.005
    assert sum(len(split.indices(name)) for name in ("train", "validation", "test")) == 1797


def test_the_seed_draws_the_split(digits: Hashed) -> None:
    assert drawn(digits, seed=1) == drawn(digits, seed=1)
    assert drawn(digits, seed=1) != drawn(digits, seed=2)


def test_the_order_of_the_pictures_does_not_matter(digits: Hashed) -> None:
    backwards = digits.at(range(len(digits) - 1, -1, -1))
    assert drawn(backwards).assigned[::-1] == drawn(digits).assigned


def test_duplicates_share_a_split(digits: Hashed) -> None:
    twice = digits.at([*range(len(digits)), *range(len(digits))])
    split = drawn(twice)
    assert split.assigned[: len(digits)] == split.assigned[len(digits) :]
    assert (shares(twice, split, "test") - 0.2).abs().max() < 0.01
    assert (shares(twice, split, "validation") - 0.08).abs().max() < 0.01
    others = [(target + 1) % 10 for target in digits.targets]
    assigned = drawn(Hashed(twice.hashes, digits.targets + others)).assigned
    assert assigned[: len(digits)] == assigned[len(digits) :]


def test_copies_of_a_few_pictures_do_not_all_leave_train() -> None:
    hashes = [f"rare{index % 10}" for index in range(100)] + [f"many{i}" for i in range(100)]
    split = draw(hashes, [0] * 100 + [1] * 100, validation=0.1, test=0.1, seed=0)
    rare = split.assigned[:100]
    assert [rare.count(name) for name in ("train", "validation", "test")] == [80, 10, 10]


def test_a_small_class_gives_one_picture_and_keeps_one() -> None:
    for count, expected in ((4, (2, 1, 1)), (3, (1, 1, 1)), (2, (1, 0, 1)), (1, (1, 0, 0))):
        hashes = [f"{index}" for index in range(count)] + ["a", "b"]
        split = draw(hashes, [0] * count + [1, 1], validation=0.1, test=0.1, seed=0)
        small = split.assigned[:count]
        names = ("train", "validation", "test")
        assert tuple(small.count(name) for name in names) == expected


def test_pictures_added_later_move_no_old_one(digits: Hashed) -> None:
    old = digits.at(range(900))
    before = drawn(old)
    recorded = dict(zip(before.hashes, before.assigned, strict=True))
    after = drawn(digits, recorded=recorded)
    assert after.assigned[:900] == before.assigned
    assert (shares(digits, after, "test") - 0.2).abs().max() < 0.01
    # Without the record some would move: that is what it is kept for.
    assert drawn(digits).assigned[:900] != before.assigned


def test_no_share_is_an_empty_split(digits: Hashed) -> None:
    split = drawn(digits, validation=0, test=0)
    assert set(split.assigned) == {"train"}


def test_too_few_training_pictures_are_an_error(digits: Hashed) -> None:
    alike = next(i for i in range(1, 100) if digits.targets[i] == digits.targets[0])
    for few in (digits.at([0, alike]), digits.at([0])):
        with pytest.raises(DataError, match="Fewer than two training pictures"):
            drawn(few, test=0.9, validation=0)
    assert drawn(digits.at([0, 1]), test=0, validation=0).assigned == ("train", "train")


def test_the_csv_can_be_read_again(digits: Hashed, tmp_path: Path) -> None:
    split = drawn(digits.at(range(40)))
    text = split.to_csv(["a,b", *(str(index) for index in range(1, 40))])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[0] == {"path": "a,b", "hash": split.hashes[0], "split": split.assigned[0]}
    path = tmp_path / "split.csv"
    path.write_text(text)
    assert read_csv(path) == dict(zip(split.hashes, split.assigned, strict=True))
    assert restrict(read_csv(path), [split.hashes[3], "other"]) == {
        split.hashes[3]: split.assigned[3]
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", ":1: a split file has the columns path, hash, split"),
        ("path,split\n", ":1: a split file"),
        ("path,hash,split\na,1,train\nb,2,tset\n", ":3: expected a path"),
        ("path,hash,split\na,1\n", ":2: expected a path"),
        ("path,hash,split\na,1,train\nb,1,test\n", ":3: b is in test, its duplicate in train"),
        (b"\xff\xfe", "not UTF-8"),
        ('path,hash,split\n"a', "no split file"),
        ("path,hash,split\n" + "a" * 200_000 + ",1,train\n", "no split file"),
    ],
)
def test_split_files_that_are_none(text: str | bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=reason):
        read_csv(path)
    with pytest.raises(DataError, match="no split file"):
        read_csv(tmp_path / "missing.csv")
