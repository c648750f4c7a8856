"""A directory of the user's own pictures."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from tests.pictures import write_folder
from zoo.data.pictures import FilePictures
from zoo.data.sources import folder
from zoo.errors import DataError, DiskError
from zoo.schema import Dataset

FOLDER = Dataset(source="folder")


def test_one_level_of_classes(tmp_path: Path) -> None:
    found = folder.read(FOLDER, write_folder(tmp_path / "pics"))
    assert found.train.classes == ("circle", "square", "triangle")
    assert len(found.train) == 24
    assert (found.validation, found.test) == (None, None)
    assert found.train.names[0] == "circle/000.png"
    for name, target in zip(found.train.names, found.train.targets.tolist(), strict=True):
        assert name.split("/")[0] == found.train.classes[target]


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Val"])
def test_splits_of_its_own(validation: str, tmp_path: Path) -> None:
    for split, count in (("train", 24), (validation, 9), ("test", 6)):
        write_folder(tmp_path / split, count=count)
    found = folder.read(FOLDER, tmp_path)
    assert found.validation is not None
    assert found.test is not None
    assert [len(part) for part in (found.train, found.validation, found.test)] == [24, 9, 6]
    assert found.test.names[0] == "test/circle/000.png"


def test_only_train_is_required(tmp_path: Path) -> None:
    write_folder(tmp_path / "train")
    found = folder.read(FOLDER, tmp_path)
    assert (found.validation, found.test) == (None, None)


def test_pictures_at_any_depth_and_other_files(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pics")
    deep = root / "circle" / "2024" / "may"
    deep.mkdir(parents=True)
    shutil.move(root / "circle" / "000.png", deep / "HOLIDAY.PNG")
    (root / "circle" / "notes.txt").write_text("x")
    (root / "square" / "sound.wav").write_text("x")
    (root / "square" / ".DS_Store").write_text("x")
    (root / "square" / "._002.png").write_text("x")
    (root / "README").write_text("x")
    (root / ".git").mkdir()
    found = folder.read(FOLDER, root)
    assert "circle/2024/may/HOLIDAY.PNG" in found.train.names
    assert len(found.train) == 24
    (note,) = found.notes
    assert note.endswith("1 .txt, 1 .wav, 2 hidden, 1 without suffix")


def test_names_that_are_no_text(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pics")
    (root / "circle").rename(root / os.fsdecode(b"caf\xe9"))
    train = folder.read(FOLDER, root).train
    assert train.classes[0] == "caf\\xe9"
    assert train.names[0] == "caf\\xe9/000.png"
    assert train.picture(0).shape == (3, 24, 24)


def test_links_that_go_in_circles_end(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pics")
    (root / "circle" / "again").symlink_to(root / "circle")
    (root / "square" / "around").symlink_to("..")
    assert len(folder.read(FOLDER, root).train) == 24


def broken(root: Path, how: str) -> Path:
    """A directory with train, val and test, and one thing wrong with it."""
    for split in ("train", "val", "test"):
        write_folder(root / split, count=6)
    if how == "empty class":
        (root / "train" / "star").mkdir()
    elif how == "no train":
        shutil.rmtree(root / "train")
    elif how == "surplus":
        shutil.copytree(root / "val" / "circle", root / "val" / "star")
    elif how == "missing":
        shutil.rmtree(root / "test" / "square")
    elif how == "two validations":
        shutil.copytree(root / "val", root / "valid")
    elif how == "classes beside splits":
        shutil.copytree(root / "val" / "circle", root / "circle")
    elif how == "one class":
        for split in ("train", "val", "test"):
            for name in ("circle", "square"):
                shutil.rmtree(root / split / name)
    return root


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("empty class", "the class star is empty in train"),
        ("no train", "no training split: it holds test, validation"),
        ("surplus", "the class star is in validation but not in train"),
        ("missing", "the class square is missing from test"),
        ("two validations", "val and valid: both mean validation"),
        ("classes beside splits", "and also circle"),
        ("one class", "one class only, triangle: there is nothing to tell apart"),
    ],
)
def test_what_is_wrong_is_named(how: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=reason):
        folder.read(FOLDER, broken(tmp_path, how))


def test_no_directory_and_no_class(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no directory"):
        folder.read(FOLDER, tmp_path / "missing")
    with pytest.raises(DataError, match="holds no class"):
        folder.read(FOLDER, tmp_path)


def test_a_directory_that_can_not_be_read_is_exit_6(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_folder(tmp_path)

    def refuse(path: object) -> None:  # root may read what chmod forbids
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(DiskError, match="circle: Permission denied"):
        folder.read(FOLDER, root)


def test_the_files_are_not_opened_yet(tmp_path: Path) -> None:
    root = write_folder(tmp_path)
    (root / "circle" / "000.png").write_bytes(b"")
    found = folder.read(FOLDER, root)
    assert isinstance(found.train, FilePictures)
    assert len(found.train) == 24
