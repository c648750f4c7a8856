"""SVHN: MATLAB files, checked by torchvision."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from torchvision.datasets import SVHN

from tests.data.sources.fakes import OFFLINE, check
from zoo.data.sources import svhn
from zoo.errors import DataError


def write_set(root: Path, monkeypatch: pytest.MonkeyPatch, label: int = 10) -> None:
    root.mkdir(parents=True, exist_ok=True)
    lists = dict(SVHN.split_list)
    for split, count in (("train", 6), ("test", 3)):
        pixels = np.zeros((32, 32, 3, count), np.uint8)
        pixels[0, :, 1] = 90  # the first row is green
        labels = np.array([[label], *([[1]] * (count - 1))], np.uint8)
        path = root / f"{split}_32x32.mat"
        savemat(path, {"X": pixels, "y": labels})
        lists[split] = ["", path.name, hashlib.md5(path.read_bytes()).hexdigest()]
    monkeypatch.setattr(SVHN, "split_list", lists)


@pytest.mark.parametrize("layout", [".", "SVHN"])
def test_it_is_read(layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path / layout, monkeypatch)
    found = svhn.read("svhn", [tmp_path], OFFLINE)
    check(found)
    assert found.test is not None
    assert (len(found.train), len(found.test)) == (6, 3)
    assert found.train.targets.tolist() == [0, 1, 1, 1, 1, 1]  # the files call the zero 10
    assert found.train.picture(0)[:, 0, 5].tolist() == [0, 90, 0]


def test_another_file_and_a_wrong_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path, monkeypatch, label=11)
    with pytest.raises(DataError, match="the label 11 of 10"):
        svhn.read("svhn", [tmp_path], OFFLINE)
    (tmp_path / "test_32x32.mat").write_bytes(b"MATLAB")
    write = (tmp_path / "train_32x32.mat").read_bytes()
    (tmp_path / "train_32x32.mat").write_bytes(write + b"?")
    with pytest.raises(DataError, match="MD5 differs"):
        svhn.read("svhn", [tmp_path], OFFLINE)


def test_an_absent_set_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        svhn.read("svhn", [tmp_path], OFFLINE)
    assert caught.value.hint.count("http://ufldl.stanford.edu/housenumbers/") == 2
