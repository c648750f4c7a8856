"""MNIST's family: found wherever it lies, checked before it is used."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import Ended
from tests.data.sources.fakes import OFFLINE
from zoo.data.pictures import ArrayPictures
from zoo.data.sources import mnist
from zoo.errors import DataError
from zoo.places import SYSTEM_DATA, search_path

Zoo = Callable[..., Ended]


def write_idx(path: Path, values: torch.Tensor, *, zipped: bool = False) -> None:
    head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    content = head + values.numpy().tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    target = path.with_name(f"{path.name}.gz") if zipped else path
    target.write_bytes(gzip.compress(content) if zipped else content)


def write_set(directory: Path, *, zipped: bool = False, count: int = 60) -> None:
    """Stripes whose place tells the class: something to learn."""
    for split, number in (("train", count), ("t10k", count // 2)):
        labels = torch.arange(number, dtype=torch.uint8) % 10
        images = torch.zeros(number, 28, 28, dtype=torch.uint8)
        for index, label in enumerate(labels.tolist()):
            images[index, 2 * label : 2 * label + 3] = 200
            images[index, 27, 0] = index  # no two are equal, for duplicates share a split
        write_idx(directory / f"{split}-images-idx3-ubyte", images, zipped=zipped)
        write_idx(directory / f"{split}-labels-idx1-ubyte", labels, zipped=zipped)


@pytest.mark.parametrize("layout", [".", "FashionMNIST/raw", "raw"])
@pytest.mark.parametrize("zipped", [True, False], ids=["gz", "plain"])
def test_it_is_found_in_every_usual_layout(layout: str, zipped: bool, tmp_path: Path) -> None:
    write_set(tmp_path / layout, zipped=zipped)
    found = mnist.read("fashion-mnist", [tmp_path / "nowhere", tmp_path], OFFLINE)
    assert found.train.picture(0).shape == (1, 28, 28)
    assert len(found.train) == 60
    assert found.test is not None
    assert len(found.test) == 30
    assert found.train.classes[9] == "Ankle boot"
    assert found.train.names[59] == "fashion-mnist/train/00059"


def test_an_incomplete_place_is_passed_over(tmp_path: Path) -> None:
    write_set(tmp_path / "whole")
    write_set(tmp_path / "half")
    (tmp_path / "half" / "t10k-labels-idx1-ubyte").unlink()
    places = [tmp_path / "half", tmp_path / "whole"]
    assert len(mnist.read("mnist", places, OFFLINE).train) == 60


def test_an_absent_set_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        mnist.read("fashion-mnist", [tmp_path], OFFLINE)
    assert str(tmp_path) in caught.value.message
    assert "apt install dataset-fashion-mnist" in caught.value.hint
    assert "https://storage.googleapis.com" in caught.value.hint


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    write_set(tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte", torch.zeros(59, dtype=torch.uint8))
    with pytest.raises(DataError, match="a label each"):
        mnist.read("mnist", [tmp_path], OFFLINE)
    write_idx(tmp_path / "train-labels-idx1-ubyte", torch.full((60,), 10, dtype=torch.uint8))
    with pytest.raises(DataError, match="the label 10 of 10"):
        mnist.read("mnist", [tmp_path], OFFLINE)


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    write_set(tmp_path)
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=str(path)):
        mnist.read("mnist", [tmp_path], OFFLINE)


def test_training_on_it(zoo: Zoo, tmp_path: Path) -> None:
    write_set(tmp_path / "data" / "fashion-mnist")
    run = tmp_path / "run"
    flags = ("--recipe", "fashion-mnist", "--data", tmp_path / "data", "--epochs", 1)
    ended = zoo("train", "keras-mnist-cnn", *flags, "-o", run, "--json")
    assert ended.code == 0, ended.stdout
    assert ended.json["test"]["images"] == 30
    assert "50 training, 10 validation, 30 test pictures" in ended.stderr
    evaluated = zoo("evaluate", run, "--data", tmp_path / "data", "--json").json
    assert evaluated["top1"] == ended.json["test"]["top1"]
    assert evaluated["classes"][0] == "T-shirt/top"


def test_options_that_do_not_apply_are_errors(zoo: Zoo, tmp_path: Path) -> None:
    write_set(tmp_path)
    ended = zoo("train", "lenet5", "--recipe", "digits", "--data", tmp_path)
    assert (ended.code, "digits comes with zoo" in ended.stderr) == (2, True)
    flags = ("--recipe", "fashion-mnist", "--data", tmp_path, "--set", "dataset.test=0.1")
    ended = zoo("train", "lenet5", *flags)
    assert (ended.code, "a test split of its own" in ended.stderr) == (3, True)


@pytest.mark.skipif(
    not (SYSTEM_DATA / "fashion-mnist").is_dir(), reason="apt install dataset-fashion-mnist"
)
def test_debians_fashion_mnist_is_found_without_a_word() -> None:
    """The package `dataset-fashion-mnist`, which `.ci/run` installs."""
    found = mnist.read("fashion-mnist", search_path("fashion-mnist", None, None), OFFLINE)
    assert found.test is not None
    assert (len(found.train), len(found.test)) == (60_000, 10_000)
    assert torch.bincount(found.train.targets).tolist() == [6_000] * 10
    assert isinstance(found.train, ArrayPictures)
    share = found.train.images.float().mean() / 255
    assert abs(share - 0.286) < 0.001  # the mean that the recipe states
