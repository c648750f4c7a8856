"""Pictures listed in CSV tables."""

import csv
from pathlib import Path

import pytest

from tests.pictures import write_folder
from zoo.data.sources import table
from zoo.errors import DataError
from zoo.schema import Dataset

CSV = Dataset(source="csv")


def write_table(
    path: Path, pictures: list[Path], columns: tuple[str, str] = ("path", "label")
) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows((p.relative_to(path.parent), p.parent.name) for p in pictures)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    pictures = sorted(write_folder(tmp_path / "pics").rglob("*.png"))
    write_table(tmp_path / "train.csv", pictures[::2])
    write_table(tmp_path / "test.csv", pictures[1::2])
    return tmp_path


def test_train_and_test(root: Path) -> None:
    found = table.read(CSV, root)
    assert found.test is not None
    assert found.validation is None
    assert (len(found.train), len(found.test)) == (12, 12)
    assert found.train.classes == ("circle", "square", "triangle")
    assert found.train.names[0] == "pics/circle/000.png"
    assert found.train.picture(0).shape == (3, 24, 24)
    for name, target in zip(found.train.names, found.train.targets.tolist(), strict=True):
        assert name.split("/")[1] == found.train.classes[target]


def test_other_names(root: Path) -> None:
    pictures = sorted((root / "pics").rglob("*.png"))
    write_table(root / "mine.csv", pictures, ("file", "kind"))
    columns = {"path_column": "file", "label_column": "kind"}
    dataset = Dataset(source="csv", train_file="mine.csv", **columns)
    (root / "test.csv").unlink()
    assert len(table.read(dataset, root).train) == 24
    assert len(table.read(Dataset(source="csv", **columns), root / "mine.csv").train) == 24


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("path,label\n", "lists no pictures"),
        ("", "no column path; it has none"),
        ("path;label\na;b\n", "no column path; it has path;label"),
        ("paht,label\na,b\n", "no column path; it has paht, label"),
        ("path,label\npics/circle/000.png,\n", ":2: a path or a label is missing"),
        ("path,label\npics/none.png,circle\n", ":2: there is no file"),
        ("path,label\npics/circle/000.png\n", ":2: a path or a label is missing"),
        (
            "path,label\npics/circle/000.png,circle\n",
            "one class only, circle: ",
        ),
        ('path,label\n"pics/circle/000.png,circle\n', "no CSV table"),
        (b"path,label\n\xff,circle\n", "no CSV table in UTF-8"),
        (
            "path,label\npics/circle/000.png,circle\npics/square/001.png,round\n",
            "the class square is in test but not in train; the class triangle is in test but not "
            "in train; the class round is missing from test",
        ),
    ],
)
def test_what_is_wrong_is_named(text: str | bytes, reason: str, root: Path) -> None:
    (root / "train.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=reason):
        table.read(CSV, root)


def test_all_missing_files_are_told_at_once(root: Path) -> None:
    rows = "".join(f"none{index}.png,circle\n" for index in range(25))
    (root / "train.csv").write_text(f"path,label\n{rows}")
    with pytest.raises(DataError, match="and 5 more") as caught:
        table.read(CSV, root)
    assert len(caught.value.message.splitlines()) == 21


def test_a_missing_table(root: Path) -> None:
    (root / "train.csv").unlink()
    with pytest.raises(DataError, match="no table"):
        table.read(CSV, root)
    with pytest.raises(DataError, match=r"other\.csv"):
        table.read(Dataset(source="csv", test_file="other.csv"), write_all(root))
    with pytest.raises(DataError, match="no directory"):
        table.read(CSV, root / "nowhere")


def write_all(root: Path) -> Path:
    write_table(root / "train.csv", sorted((root / "pics").rglob("*.png")))
    return root
