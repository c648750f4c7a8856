"""STL-10: raw bytes, column by column."""

from pathlib import Path

import numpy as np
import pytest

from tests.data.sources.fakes import OFFLINE, check
from zoo.data.sources import stl10
from zoo.errors import DataError


def write_set(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in (("train", 4), ("test", 2)):
        pixels = np.zeros((count, 3, 96, 96), np.uint8)
        pixels[:, 2, 0] = 70  # the first column of blue, as the files have it
        pixels.tofile(folder / f"{split}_X.bin")
        np.array([1, 10, 2, 3][:count], np.uint8).tofile(folder / f"{split}_y.bin")


@pytest.mark.parametrize("layout", [".", "stl10_binary"])
def test_it_is_read(layout: str, tmp_path: Path) -> None:
    write_set(tmp_path / layout)
    found = stl10.read("stl10", [tmp_path], OFFLINE)
    check(found)
    assert found.train.targets.tolist() == [0, 9, 1, 2]
    assert found.train.classes[9] == "truck"
    assert found.train.picture(0)[2, :, 0].tolist() == [70] * 96
    assert found.train.picture(0).sum() == 70 * 96


def test_it_reads_as_torchvision_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import STL10

    write_set(tmp_path / "stl10_binary")
    monkeypatch.setattr(STL10, "_check_integrity", lambda self: True)
    theirs = STL10(str(tmp_path))
    ours = stl10.read("stl10", [tmp_path], OFFLINE).train
    for index in range(len(ours)):
        assert np.array_equal(ours.picture(index).numpy(), theirs.data[index])
    assert ours.targets.tolist() == theirs.labels.tolist()


def test_damage(tmp_path: Path) -> None:
    write_set(tmp_path)
    np.array([0, 1, 2, 3], np.uint8).tofile(tmp_path / "train_y.bin")
    with pytest.raises(DataError, match="the label -1 of 10"):
        stl10.read("stl10", [tmp_path], OFFLINE)
    (tmp_path / "train_X.bin").write_bytes(b"short")
    with pytest.raises(DataError, match="3×96×96 for each"):
        stl10.read("stl10", [tmp_path], OFFLINE)
    for file in ("train_X.bin", "train_y.bin"):
        (tmp_path / file).write_bytes(b"")
    with pytest.raises(DataError, match="no pictures"):
        stl10.read("stl10", [tmp_path], OFFLINE)
