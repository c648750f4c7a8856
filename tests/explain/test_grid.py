"""Typed grids and pictures."""

from pathlib import Path

import pytest
from PIL import Image

from tests.pictures import gradient
from zoo.errors import DataError, UsageError
from zoo.explain.grid import MAX_SIDE_PX, parse, read_gray


@pytest.mark.parametrize(
    "text", ["1 2; -3 4.5", "1,2;-3,4.5", "1 2\n-3 4.5\n", " 1, 2 ; -3 , 4.5 ;"]
)
def test_rows_of_numbers(text: str) -> None:
    assert parse(text, "--image").tolist() == [[1, 2], [-3, 4.5]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--image: row 1 is empty"),
        (";", "--image: row 1 is empty"),
        ("1 2;;3 4", "--image: row 2 is empty"),
        ("1 2; 3", "row 2 ends at column 1, row 1 at column 2"),
        ("1; 2 3 4", "row 2 ends at column 3, row 1 at column 1"),
        ("1 2; 3 x", "row 2, column 2: 'x' is no finite number"),
        ("nan", "row 1, column 1: 'nan' is no finite number"),
        ("1 2; inf 3", "row 2, column 1: 'inf' is no finite number"),
        ("1e999", "row 1, column 1: '1e999' is no finite number"),
    ],
)
def test_what_is_no_grid_is_said_with_row_and_column(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, "--image")
    assert message in caught.value.message


def test_a_pictures_gray_values(tmp_path: Path) -> None:
    gradient("L", (12, 8)).save(tmp_path / "a.png")
    gray, size = read_gray(tmp_path / "a.png")
    assert size == gray.shape == (8, 12)
    assert gray[0, 0] < gray[0, -1] <= 255


def test_a_large_picture_is_shrunk(tmp_path: Path) -> None:
    Image.new("RGB", (3000, 1000), (255, 0, 0)).save(tmp_path / "a.png")
    gray, size = read_gray(tmp_path / "a.png")
    assert (size, gray.shape) == ((1000, 3000), (171, MAX_SIDE_PX))
    assert set(gray.ravel()) == {76}  # red's share of the luma


def test_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    for path, message in (
        (tmp_path / "a.png", "no JPEG, PNG"),
        (tmp_path / "b.png", "no such file or directory"),
        (tmp_path, "is a directory"),
    ):
        with pytest.raises(DataError, match=message):
            read_gray(path)
