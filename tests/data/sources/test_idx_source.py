"""The source `idx`: pictures of one's own in MNIST's format."""

import gzip
import struct
from pathlib import Path

import pytest
import torch

from zoo.data.pictures import ArrayPictures
from zoo.data.sources import idx
from zoo.errors import DataError
from zoo.schema import Dataset

IDX = Dataset(source="idx")


def write_idx(path: Path, values: torch.Tensor) -> None:
    content = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    content += values.byte().numpy().tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_set(root: Path, *, test: bool = True, suffix: str = "") -> Path:
    pixels = torch.arange(2 * 3).reshape(2, 3)
    for split, count in (("train", 6), ("t10k", 3)) if test else (("train", 6),):
        labels = torch.arange(count) % 3
        images = labels[:, None, None] * 50 + pixels
        write_idx(root / f"{split}-images-idx3-ubyte{suffix}", images)
        write_idx(root / f"{split}-labels-idx1-ubyte{suffix}", labels)
    return root


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_pictures_and_labels(suffix: str, tmp_path: Path) -> None:
    found = idx.read(IDX, write_set(tmp_path, suffix=suffix))
    assert found.test is not None
    assert (len(found.train), len(found.test)) == (6, 3)
    assert found.train.classes == ("0", "1", "2")
    assert found.train.picture(4).tolist() == [[[50, 51, 52], [53, 54, 55]]]
    assert found.train.targets.tolist() == [0, 1, 2, 0, 1, 2]


def test_the_test_pair_may_lack_and_classes_may_have_names(tmp_path: Path) -> None:
    named = Dataset(source="idx", classes=("a", "b", "c"))
    found = idx.read(named, write_set(tmp_path, test=False))
    assert found.test is None
    assert found.train.classes == ("a", "b", "c")


def test_rgb(tmp_path: Path) -> None:
    write_set(tmp_path, test=False)
    write_idx(tmp_path / "train-images-idx3-ubyte", torch.randint(0, 255, (6, 4, 5, 3)))
    train = idx.read(IDX, tmp_path).train
    assert isinstance(train, ArrayPictures)
    assert train.images.shape == (6, 3, 4, 5)


@pytest.mark.parametrize("shape", [(0,), (0, 28, 28), (6, 0, 28)])
def test_no_values(shape: tuple[int, ...], tmp_path: Path) -> None:
    write_set(tmp_path)
    write_idx(tmp_path / "train-images-idx3-ubyte", torch.zeros(shape))
    with pytest.raises(DataError, match="no values"):
        idx.read(IDX, tmp_path)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    head = struct.pack(">HBB1I", 0, 8, 1, 5)
    with pytest.raises(DataError, match="holds more"):
        idx.parse_idx(gzip.compress(head + bytes(50_000_000)))


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not hold train-images-idx3-ubyte"):
        idx.read(IDX, tmp_path)
    with pytest.raises(DataError, match="no directory"):
        idx.read(IDX, tmp_path / "nowhere")
    write_set(tmp_path)
    with pytest.raises(DataError, match="holds the label 2 of 2 classes"):
        idx.read(Dataset(source="idx", classes=("a", "b")), tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte", torch.zeros(5))
    with pytest.raises(DataError, match="no pictures with a label each"):
        idx.read(IDX, tmp_path)
