"""ImageNet: folders of WordNet numbers, with or without torchvision's meta.bin."""

import os
import pickle
from pathlib import Path

import pytest
import torch

from tests.data.sources.fakes import OFFLINE, ONLINE, check, level, write_picture
from tests.data.sources.test_cifar import Hostile
from zoo.data.sources import imagenet
from zoo.errors import DataError

# Not among the 1000 classes: then meta.bin or WordNet's numbers name them.
TENCH, CRANE, MACHINE = "n01440760", "n02012840", "n03126700"
META = (
    {TENCH: ("tench", "Tinca tinca"), CRANE: ("crane",), MACHINE: ("crane",)},
    [TENCH, CRANE],
)


def write_set(root: Path) -> None:
    for index, wnid in enumerate((TENCH, CRANE, MACHINE)):
        write_picture(root / "train" / wnid / f"{wnid}_1.JPEG", 10 * index)
        write_picture(root / "train" / wnid / f"{wnid}_2.JPEG", 10 * index + 1)
        (root / "train" / wnid / "README.txt").write_text("no picture")
    for index, wnid in enumerate((TENCH, MACHINE)):
        write_picture(root / "val" / wnid / f"ILSVRC2012_val_{index:08}.JPEG", 100 + index)


@pytest.mark.parametrize("layout", [".", "ImageNet", "imagenet"])
def test_plain_folders(layout: str, tmp_path: Path) -> None:
    write_set(tmp_path / layout)
    found = imagenet.read("imagenet", [tmp_path / "nowhere", tmp_path], OFFLINE)
    check(found)
    assert found.train.classes == (TENCH, CRANE, MACHINE)
    assert found.train.targets.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.train.names[2] == f"train/{CRANE}/{CRANE}_1.JPEG"
    assert level(found.train, 2) == 10
    assert found.validation is not None
    assert found.validation.targets.tolist() == [0, 2]
    assert found.test is None


def test_readable_names_and_two_kinds_of_crane(tmp_path: Path) -> None:
    write_set(tmp_path)
    torch.save(META, tmp_path / "meta.bin")
    found = imagenet.read("imagenet", [tmp_path], OFFLINE)
    assert found.train.classes == ("tench", f"crane ({CRANE})", f"crane ({MACHINE})")


def test_the_1000_classes_are_called_as_pretrained_weights_call_them(tmp_path: Path) -> None:
    for wnid in ("n02012849", "n03126707"):
        write_picture(tmp_path / "train" / wnid / "1.JPEG", 1)
    found = imagenet.read("imagenet", [tmp_path], OFFLINE)
    assert found.train.classes == ("crane bird", "crane")


def test_without_val_zoo_draws_the_validation_split(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "val").rename(tmp_path / "elsewhere")
    assert imagenet.read("imagenet", [tmp_path], OFFLINE).validation is None


def test_a_hostile_meta_file_runs_nothing(tmp_path: Path) -> None:
    write_set(tmp_path)
    for content in (pickle.dumps(Hostile(tmp_path / "proof")), b"no pickle"):
        (tmp_path / "meta.bin").write_bytes(content)
        with pytest.raises(DataError, match=r"meta\.bin does not name the classes"):
            imagenet.read("imagenet", [tmp_path], OFFLINE)
        assert not (tmp_path / "proof").exists()


def test_classes_that_do_not_belong_together(tmp_path: Path) -> None:
    write_set(tmp_path)
    write_picture(tmp_path / "val" / "n99999999" / "x.JPEG", 1)
    with pytest.raises(DataError, match="holds n99999999, which"):
        imagenet.read("imagenet", [tmp_path], OFFLINE)


def test_folders_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "train" / TENCH).mkdir(parents=True)
    with pytest.raises(DataError, match="holds no pictures"):
        imagenet.read("imagenet", [tmp_path], OFFLINE)


def test_an_absent_set_says_where_to_register(tmp_path: Path) -> None:
    (tmp_path / "train" / "cats").mkdir(parents=True)  # a folder set, no ImageNet
    before = os.listdir(tmp_path)
    with pytest.raises(DataError, match=str(tmp_path)) as caught:
        imagenet.read("imagenet", [tmp_path], ONLINE)
    assert "https://image-net.org/download" in caught.value.hint
    assert "train/WNID" in caught.value.hint
    assert os.listdir(tmp_path) == before
