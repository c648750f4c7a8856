"""CIFAR: read by torchvision, which checks before it unpickles."""

import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision import datasets

from tests.data.sources.fakes import OFFLINE, check
from zoo.data.sources import cifar
from zoo.errors import DataError

KINDS = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}


def write_pickle(path: Path, content: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content))
    return hashlib.md5(path.read_bytes()).hexdigest()


def write_set(root: Path, name: str, monkeypatch: pytest.MonkeyPatch, *, label: int = 0) -> None:
    """Two pictures a batch; torchvision is told their MD5s."""
    kind = KINDS[name]
    key, count = ("labels", 10) if name == "cifar10" else ("fine_labels", 100)
    folder = root / kind.base_folder
    for lists in ("train_list", "test_list"):
        hashed = []
        for file, _ in getattr(kind, lists):
            pixels = np.zeros((2, 3072), np.uint8)
            pixels[:, :1024] = 250  # channels first: red
            batch = {"data": pixels, key: [label, count - 1], "coarse_labels": [0, 0]}
            hashed.append([file, write_pickle(folder / file, batch)])
        monkeypatch.setattr(kind, lists, hashed)
    names = [f"class {index}" for index in range(count)]
    digest = write_pickle(folder / kind.meta["filename"], {kind.meta["key"]: names})
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": digest})


@pytest.mark.parametrize(("name", "batches", "count"), [("cifar10", 5, 10), ("cifar100", 1, 100)])
def test_it_is_read(
    name: str, batches: int, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path, name, monkeypatch)
    for place in (tmp_path, tmp_path / KINDS[name].base_folder):
        found = cifar.read(name, [tmp_path / "nowhere", place], OFFLINE)
        check(found)
        assert (len(found.train), found.validation) == (2 * batches, None)
        assert found.test is not None
        assert len(found.test) == 2
        assert found.train.classes[-1] == f"class {count - 1}"
        assert found.train.targets[:2].tolist() == [0, count - 1]
        assert found.train.picture(0).float().mean(dim=(1, 2)).tolist() == [250, 0, 0]
        assert found.test.names == (f"{name}/test/00000", f"{name}/test/00001")


class Hostile:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.proof),)


@pytest.mark.parametrize("file", ["data_batch_3", "test_batch", "batches.meta"])
def test_a_pickle_that_is_not_the_original_is_never_opened(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path, "cifar10", monkeypatch)
    path = tmp_path / "cifar-10-batches-py" / file
    write_pickle(path, Hostile(tmp_path / "proof"))
    with pytest.raises(DataError, match="MD5 differs"):
        cifar.read("cifar10", [tmp_path], OFFLINE)
    assert not (tmp_path / "proof").exists()
    pickle.loads(path.read_bytes())
    assert (tmp_path / "proof").exists()  # it would have


def test_a_label_out_of_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path, "cifar10", monkeypatch, label=10)
    with pytest.raises(DataError, match="the label 10 of 10"):
        cifar.read("cifar10", [tmp_path], OFFLINE)


def test_an_absent_set_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=str(tmp_path)) as caught:
        cifar.read("cifar100", [tmp_path], OFFLINE)
    assert "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz" in caught.value.hint
