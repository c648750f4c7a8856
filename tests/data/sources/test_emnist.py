"""EMNIST: six splits, pictures upright, letters counted from 1."""

from pathlib import Path

import pytest
import torch

from tests.data.sources.fakes import OFFLINE, check
from tests.data.test_mnist import write_idx
from zoo.data.sources import emnist
from zoo.errors import DataError, UsageError


def write_set(directory: Path, split: str, labels: torch.Tensor, *, zipped: bool = True) -> None:
    """A bright first row, as the files have it: column by column, so a first column."""
    images = torch.zeros(len(labels), 28, 28, dtype=torch.uint8)
    images[:, :, 0] = 200
    for part in ("train", "test"):
        prefix = f"emnist-{split}-{part}"
        write_idx(directory / f"{prefix}-images-idx3-ubyte", images, zipped=zipped)
        write_idx(directory / f"{prefix}-labels-idx1-ubyte", labels, zipped=zipped)


@pytest.mark.parametrize("layout", [".", "gzip", "EMNIST/raw", "raw"])
@pytest.mark.parametrize("zipped", [True, False], ids=["gz", "plain"])
def test_it_is_found_in_every_usual_layout(layout: str, zipped: bool, tmp_path: Path) -> None:
    labels = torch.arange(47, dtype=torch.uint8)
    write_set(tmp_path / layout, "balanced", labels, zipped=zipped)
    found = emnist.read("emnist", [tmp_path / "nowhere", tmp_path], OFFLINE)
    check(found)
    assert found.train.names[0] == "emnist/balanced/train/00000"
    assert found.test is not None
    assert len(found.test) == 47


def test_letters_stand_upright(tmp_path: Path) -> None:
    write_set(tmp_path, "balanced", torch.arange(47, dtype=torch.uint8))
    picture = emnist.read("emnist", [tmp_path], OFFLINE).train.picture(0)
    assert picture[0, 0].tolist() == [200] * 28
    assert picture[0, 1:].sum() == 0


@pytest.mark.parametrize(
    ("split", "count", "first", "last"),
    [
        ("balanced", 47, "0", "t"),
        ("byclass", 62, "0", "z"),
        ("bymerge", 47, "0", "t"),
        ("digits", 10, "0", "9"),
        ("letters", 26, "a", "z"),
        ("mnist", 10, "0", "9"),
    ],
)
def test_every_split_has_its_classes(
    split: str, count: int, first: str, last: str, tmp_path: Path
) -> None:
    start = 1 if split == "letters" else 0
    write_set(tmp_path, split, torch.arange(start, start + count, dtype=torch.uint8))
    found = emnist.read("emnist", [tmp_path], OFFLINE, split)
    check(found)
    assert len(found.train.classes) == count
    assert (found.train.classes[0], found.train.classes[-1]) == (first, last)
    assert found.train.targets.tolist() == list(range(count))


def test_the_classes_are_torchvisions() -> None:
    from torchvision.datasets import EMNIST

    for split, classes in EMNIST.classes_split_dict.items():
        assert list(emnist.CLASSES[split]) == [name for name in classes if name != "N/A"]


def test_a_label_out_of_range(tmp_path: Path) -> None:
    write_set(tmp_path, "letters", torch.tensor([0], dtype=torch.uint8))
    with pytest.raises(DataError, match="the label 0 of 26"):
        emnist.read("emnist", [tmp_path], OFFLINE, "letters")
    write_set(tmp_path, "letters", torch.tensor([27], dtype=torch.uint8))
    with pytest.raises(DataError, match="the label 27 of 26"):
        emnist.read("emnist", [tmp_path], OFFLINE, "letters")


def test_an_unknown_split_and_an_absent_set(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean balanced"):
        emnist.read("emnist", [tmp_path], OFFLINE, "balance")
    with pytest.raises(DataError, match=str(tmp_path)) as caught:
        emnist.read("emnist", [tmp_path], OFFLINE)
    assert "EMNIST/gzip.zip" in caught.value.hint
