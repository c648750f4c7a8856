"""Food-101: lists in JSON, pictures in folders."""

import json
from pathlib import Path

import pytest

from tests.data.sources.fakes import OFFLINE, check, level, write_picture
from zoo.data.sources import food101
from zoo.errors import DataError

LISTS = {
    "train": {"waffles": ["waffles/1", "waffles/2"], "apple_pie": ["apple_pie/1"]},
    "test": {"waffles": ["waffles/3"], "apple_pie": ["apple_pie/2"]},
}


def write_set(folder: Path, lists: object = LISTS) -> None:
    (folder / "meta").mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(("waffles/1", "waffles/2", "waffles/3")):
        write_picture(folder / "images" / f"{name}.jpg", 10 + index)
    for index, name in enumerate(("apple_pie/1", "apple_pie/2")):
        write_picture(folder / "images" / f"{name}.jpg", 20 + index)
    for split in ("train", "test"):
        (folder / "meta" / f"{split}.json").write_text(json.dumps(lists[split]))  # type: ignore[index]


@pytest.mark.parametrize("layout", [".", "food-101"])
def test_it_is_read(layout: str, tmp_path: Path) -> None:
    write_set(tmp_path / layout)
    found = food101.read("food101", [tmp_path], OFFLINE)
    check(found)
    assert found.test is not None
    assert found.train.classes == ("apple_pie", "waffles")
    assert found.train.targets.tolist() == [1, 1, 0]
    assert [level(found.train, index) for index in range(3)] == [10, 11, 20]
    assert found.test.names == ("images/waffles/3.jpg", "images/apple_pie/2.jpg")


@pytest.mark.parametrize(
    ("lists", "reason"),
    [
        ({"waffles": ["../../secret"]}, "no list of pictures"),
        ({"waffles": ["/etc/passwd"]}, "no list of pictures"),
        ({"waffles": ["waffles/1", "waffles/1"]}, "names a picture twice"),
        ({"waffles": ["waffles/9"]}, "is missing"),
        ({"waffles": [1]}, "damaged"),
        (["waffles/1"], "damaged"),
        ({}, "no pictures"),
    ],
)
def test_hostile_and_damaged_lists(lists: object, reason: str, tmp_path: Path) -> None:
    write_set(tmp_path, {**LISTS, "train": lists})
    with pytest.raises(DataError, match=reason):
        food101.read("food101", [tmp_path], OFFLINE)


def test_a_class_that_only_the_test_has(tmp_path: Path) -> None:
    write_set(tmp_path, {**LISTS, "test": {"soup": ["waffles/3"]}})
    with pytest.raises(DataError, match="the label -1 of 2"):
        food101.read("food101", [tmp_path], OFFLINE)
