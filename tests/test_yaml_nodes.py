"""YAML from strangers."""

from pathlib import Path
from typing import Any

import pytest

from zoo import yaml_nodes
from zoo.errors import DiskError, RecipeError, UsageError


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "r.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_plain_data_with_places(file: Any) -> None:
    document = yaml_nodes.read(file("train:\n  lr: 1e-3\n  list: [1, true, ~, 'x']\n"))
    assert document.data == {"train": {"lr": 0.001, "list": [1, True, None, "x"]}}
    assert document.positions[("train", "lr")] == (2, 3)
    assert document.positions[("train", "list", 1)] == (3, 13)
    assert document.position(("train", "lr", "deeper")) == (2, 3)


def test_an_empty_file_is_an_empty_recipe(file: Any) -> None:
    assert yaml_nodes.read(file("# nothing\n")).data == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: 1\na: 2", ":2:1: the key 'a' stands here twice"),
        ("a: &x [1]\nb: *x", ":1:4: anchors and aliases are refused"),
        ("a: !!python/object/apply:os.system [ls]", ":1:4: tags are refused"),
        ("a: !mine 3", "tags are refused"),
        ("[" * 9000, "nested deeper than 20 levels"),
        ("{a: " * 30 + "1" + "}" * 30, "nested deeper than 20 levels"),
        ("- 1", "expected keys"),
        ("just text", "expected keys"),
        ("a: [", "no valid YAML"),
        ("a:\n\tb: 1", "no valid YAML"),
        ("a: 1\n---\nb: 2", "no valid YAML"),
        ("? [1]\n: 2", "a key must be a word"),
        ("\0", "no valid YAML"),
        (b"\xff\xfe\x00", "not UTF-8"),
        ("# " + "x" * 1_000_001, "larger than 1,000,000 bytes"),
    ],
    ids=range(15),
)
def test_what_is_refused(content: str | bytes, message: str, file: Any) -> None:
    with pytest.raises(RecipeError) as caught:
        yaml_nodes.read(file(content))
    assert message in caught.value.message


def test_a_date_stays_text(file: Any) -> None:
    assert yaml_nodes.read(file("a: 2001-99-99")).data == {"a": "2001-99-99"}


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="Can't read"):
        yaml_nodes.read(tmp_path / "missing.yaml")


def test_assignments() -> None:
    assert yaml_nodes.parse_assignment("train.lr=1e-3") == (("train", "lr"), 0.001)
    assert yaml_nodes.parse_assignment("a.b.c=[1, 2]") == (("a", "b", "c"), [1, 2])
    assert yaml_nodes.parse_assignment("a=x=y") == (("a",), "x=y")
    for wrong in ("nothing", "=3", "a=[", "a=!x 3"):
        with pytest.raises(UsageError, match="--set"):
            yaml_nodes.parse_assignment(wrong)
