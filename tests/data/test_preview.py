"""The contact sheet."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Ended
from tests.pictures import write_folder

Zoo = Callable[..., Ended]


def cells(path: Path, columns: int, rows: int) -> np.ndarray:
    """The pictures of a sheet, (rows, columns, height, width, 3)."""
    sheet = np.array(Image.open(path).convert("RGB"))
    side = (sheet.shape[1] - 150) // columns
    height = (sheet.shape[0] - 22) // rows
    return np.stack([
        np.stack([
            sheet[22 + row * height :, 150 + column * side :][: height - 4, : side - 4]
            for column in range(columns)
        ])
        for row in range(rows)
    ])  # fmt: skip


def test_originals_stand_beside_augmented_versions(zoo: Zoo, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    ended = zoo("data", "preview", "digits", "--versions", 3, "-o", path, "--json")
    assert ended.code == 0
    assert (ended.json["classes"], ended.json["versions"]) == (10, 3)
    found = cells(path, 4, 10)
    for row in found:
        assert row[0].std() > 20  # a digit on black
        assert all((row[0] != version).any() for version in row[1:])
        assert (row[1] != row[2]).any()


def test_without_augmentation_the_versions_are_the_original(zoo: Zoo, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    root = write_folder(tmp_path / "pics")
    off = [
        word
        for key in ("rotation_range", "width_shift_range", "height_shift_range", "zoom_range")
        for word in ("--set", f"augment.{key}=0")
    ]
    off += ["--set", "augment.brightness_range=[1,1]", "--set", "augment.horizontal_flip=false"]
    ended = zoo("data", "preview", "--data", root, "--versions", 1, "-o", path, *off)
    assert ended.code == 0, ended.stderr
    assert ended.stdout == f"{path}: 3 classes, 1 augmented version of each\n"
    found = cells(path, 2, 3)
    assert (found[:, 0] == found[:, 1]).all()


def test_mixup_is_shown_too(zoo: Zoo, tmp_path: Path) -> None:
    off = [
        word
        for key in ("rotation_range", "width_shift_range", "height_shift_range", "zoom_range")
        for word in ("--set", f"augment.{key}=0")
    ]
    path = tmp_path / "s.png"
    words = ("--versions", 1, "-o", path, *off, "--set", "augment.mixup=1")
    assert zoo("data", "preview", "digits", *words).code == 0
    found = cells(path, 2, 10)
    assert (found[:, 0] != found[:, 1]).any(axis=(1, 2, 3)).all()


def test_the_seed_draws_it(zoo: Zoo, tmp_path: Path) -> None:
    sheets = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        zoo("data", "preview", "digits", "--seed", seed, "-o", tmp_path / name)
        sheets.append((tmp_path / name).read_bytes())
    assert sheets[0] == sheets[1] != sheets[2]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "Which pictures?"),
        (("digitz",), 3, "Did you mean digits?"),
        (("digits", "--model", "lenet6"), 2, "Did you mean lenet5?"),
        (("digits", "--set", "augment.color_jitter={hue: 0.1}"), 3, "hue"),
    ],
)
def test_what_can_not_be_drawn(
    arguments: tuple[str, ...], code: int, words: str, zoo: Zoo, tmp_path: Path
) -> None:
    ended = zoo("data", "preview", *arguments, "-o", tmp_path / "s.png")
    assert ended.code == code
    assert words in ended.stderr
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_kept(zoo: Zoo, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    path.write_text("mine")
    assert zoo("data", "preview", "digits", "-o", path).code == 2
    assert path.read_text() == "mine"
    assert zoo("data", "preview", "digits", "-o", path, "--force").code == 0


def test_odd_class_names(zoo: Zoo, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pics")
    (root / "circle").rename(root / ("Ω" * 80))
    (root / "square").rename(root / "a\nb")
    assert zoo("data", "preview", "--data", root, "-o", tmp_path / "s.png").code == 0
