"""Looking a dataset over."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Ended
from tests.pictures import write_folder
from zoo.data import Access
from zoo.data.check import Check, check
from zoo.schema import Dataset

Zoo = Callable[..., Ended]


def checked(root: Path, **options: object) -> Check:
    dataset = Dataset.model_validate({"source": "folder", **options})
    return check(dataset, Access(given=root))


def kinds(found: Check) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for problem in found.problems:
        grouped.setdefault(problem.kind, []).append(Path(problem.path).name)
    return grouped


def test_counts_are_those_of_the_split(tmp_path: Path) -> None:
    found = checked(write_folder(tmp_path, count=60), test=0.2, validation=0.25)
    assert {name: split.images for name, split in found.splits.items()} == {
        "train": 36,
        "validation": 12,
        "test": 12,
    }
    assert found.splits["test"].classes == {"circle": 4, "square": 4, "triangle": 4}
    assert found.problems == []
    assert found.imbalance == 1
    assert found.naive_top1 == pytest.approx(1 / 3)
    assert found.sizes == dict.fromkeys(("smallest", "median", "largest"), (24, 24))
    assert found.channels == {3: 60}


def test_mean_and_std_are_those_of_the_training_pixels(tmp_path: Path) -> None:
    import torch

    from zoo.data.sources import folder

    root = write_folder(tmp_path, count=12)
    found = checked(root, validation=0)
    pictures = folder.read(Dataset(source="folder"), root).train
    pixels = torch.cat([pictures.picture(i).flatten(1) for i in range(12)], dim=1).double() / 255
    assert found.mean == pytest.approx(pixels.mean(dim=1).tolist(), abs=1e-6)
    assert found.std == pytest.approx(pixels.std(dim=1, correction=0).tolist(), abs=1e-6)


def test_everything_that_is_wrong_is_found(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_folder(tmp_path / split, count=30 if split == "train" else 6)
    for path in (tmp_path / "val").rglob("*.png"):  # other pictures than those of train
        Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path)
    train = tmp_path / "train"
    shutil.copy(train / "circle" / "000.png", train / "circle" / "twice.png")
    shutil.copy(train / "circle" / "000.png", train / "square" / "wrong.png")
    Image.open(train / "square" / "004.png").save(train / "square" / "resaved.bmp")
    shutil.copy(train / "circle" / "003.png", tmp_path / "val" / "circle" / "leaked.png")
    shutil.move(train / "circle" / "006.png", train / "circle" / "misnamed.jpg")
    (train / "circle" / "empty.png").write_bytes(b"")
    (train / "square" / "text.jpg").write_text("hello")
    found = checked(tmp_path)
    assert kinds(found) == {
        "unreadable": ["empty.png", "text.jpg"],
        "leak": ["leaked.png"],
        "duplicate": ["twice.png", "resaved.bmp"],
        "conflict": ["wrong.png"],
        "suffix": ["misnamed.jpg"],
    }
    assert [problem.is_error for problem in found.problems] == [True] * 3 + [False] * 4


def test_a_class_with_nothing_to_train_on_is_an_error(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_folder(tmp_path / split, count=12)
    for path in (tmp_path / "train" / "circle").iterdir():
        path.write_bytes(b"")
    problem = next(one for one in checked(tmp_path).problems if one.kind == "empty")
    assert (problem.path, problem.is_error) == ("circle", True)


def test_grayscale_and_sizes(tmp_path: Path) -> None:
    root = write_folder(tmp_path, count=12)
    Image.new("L", (50, 10)).save(root / "circle" / "gray.png")
    found = checked(root)
    assert found.channels == {1: 1, 3: 12}
    assert found.sizes == {"smallest": (10, 24), "median": (24, 24), "largest": (24, 50)}
    assert len(found.mean) == 3
    assert {name: split.images for name, split in found.splits.items()} == {
        "train": 10,
        "validation": 3,
    }


def test_the_command(zoo: Zoo, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pics", count=30)
    ended = zoo("data", "check", "--data", root)
    assert ended.code == 0
    assert "problems  none" in ended.stdout
    (root / "circle" / "bad.png").write_text("x")
    ended = zoo("data", "check", "--data", root, "--json")
    assert ended.code == 4
    assert ended.json["recipe"] == "folder"
    assert ended.json["splits"]["train"]["images"] == 27
    assert ended.json["problems"] == [
        {
            "kind": "unreadable",
            "path": str(root / "circle" / "bad.png"),
            "message": "no JPEG, PNG, WebP, BMP, GIF, TIFF or PPM",
            "error": True,
        }
    ]
    assert ended.json["error"]["code"] == 4
    table = zoo("data", "check", "--data", root, "--csv")
    assert table.stdout.splitlines()[0] == "class,train,validation"
    assert zoo("data", "check").code == 2
    assert zoo("data", "check", "digitz").code == 3
    ended = zoo("data", "check", "digits", "--set", "augment.cutmix=1")
    assert (ended.code, "does not apply" in ended.stderr) == (2, True)
    weights = zoo("data", "check", "--data", root, "--weights", "x.safetensors", "--json")
    assert weights.json["recipe"] == "folder-finetune"
    assert zoo("data", "check", "digits", "--weights", "x.safetensors").code == 2


def test_named_sets_can_be_checked(zoo: Zoo) -> None:
    document = zoo("data", "check", "digits", "--json").json
    counts = {name: split["images"] for name, split in document["splits"].items()}
    assert counts == {"train": 1295, "validation": 143, "test": 359}
    assert document["problems"] == []
