"""Flowers-102: its own three splits."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from tests.data.sources.fakes import OFFLINE, check, level, write_picture
from zoo.data.sources import flowers102
from zoo.errors import DataError


def write_set(folder: Path, labels: tuple[int, ...] = (1, 102, 2, 3, 4, 5)) -> None:
    """Pictures 1 and 2 train, 3 and 4 validate, 5 and 6 test; their level is ten times that."""
    for number in range(1, 7):
        write_picture(folder / "jpg" / f"image_{number:05}.jpg", 10 * number)
    savemat(folder / "imagelabels.mat", {"labels": np.array([labels], np.uint8)})
    splits = {"trnid": [[2, 1]], "valid": [[3, 4]], "tstid": [[5, 6]]}
    savemat(folder / "setid.mat", {key: np.array(ids, np.uint16) for key, ids in splits.items()})


@pytest.mark.parametrize("layout", [".", "flowers-102"])
def test_it_is_read(layout: str, tmp_path: Path) -> None:
    write_set(tmp_path / layout)
    found = flowers102.read("flowers102", [tmp_path / "nowhere", tmp_path], OFFLINE)
    check(found)
    assert found.validation is not None
    assert found.test is not None
    assert found.train.names == ("jpg/image_00002.jpg", "jpg/image_00001.jpg")
    assert found.train.targets.tolist() == [101, 0]
    assert [level(found.train, index) for index in (0, 1)] == [20, 10]
    assert found.validation.targets.tolist() == [1, 2]
    assert found.test.targets.tolist() == [3, 4]
    assert len(found.train.classes) == 102
    assert found.train.classes[0] == "pink primrose"


def test_without_torchvisions_names_there_are_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import Flowers102

    monkeypatch.delattr(Flowers102, "classes")
    assert flowers102._classes() == tuple(str(number) for number in range(1, 103))


def test_damage(tmp_path: Path) -> None:
    write_set(tmp_path, labels=(1, 103, 2, 3, 4, 5))
    with pytest.raises(DataError, match="the label 102 of 102"):
        flowers102.read("flowers102", [tmp_path], OFFLINE)
    write_set(tmp_path, labels=(1, 2))
    with pytest.raises(DataError, match="names pictures that"):
        flowers102.read("flowers102", [tmp_path], OFFLINE)
    write_set(tmp_path)
    (tmp_path / "jpg" / "image_00006.jpg").unlink()
    with pytest.raises(DataError, match=r"image_00006\.jpg is missing"):
        flowers102.read("flowers102", [tmp_path], OFFLINE)
    (tmp_path / "setid.mat").write_bytes(b"MATLAB")
    with pytest.raises(DataError, match=r"setid\.mat is damaged"):
        flowers102.read("flowers102", [tmp_path], OFFLINE)
