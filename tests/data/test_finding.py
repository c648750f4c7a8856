"""Which pictures the words of a command line name."""

import os
from pathlib import Path

import pytest

from tests.pictures import encoded, gradient
from zoo.data.finding import Failed, find, natural_key

PNG = encoded(gradient(), "PNG")


def pictures(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PNG)


def test_a_directory_means_every_picture_below_in_natural_order(in_tmp: Path) -> None:
    pictures(in_tmp, "d/10.png", "d/2.PNG", "d/sub/1.jpg", "d/1.png", "d/x.png/3.webp")
    pictures(in_tmp, "d/notes.txt", "d/.hidden.png", "d/.git/4.png")
    assert list(find(["d"])) == ["d/1.png", "d/2.PNG", "d/10.png", "d/sub/1.jpg", "d/x.png/3.webp"]


def test_files_are_taken_as_named_and_in_the_order_given(in_tmp: Path) -> None:
    pictures(in_tmp, "b.png", "a.dat", ".c.png")
    words = ["b.png", "./a.dat", ".c.png", "b.png"]
    assert list(find(words)) == words


def test_globs_are_expanded_here(in_tmp: Path) -> None:
    pictures(in_tmp, "d/10.png", "d/9.png", "d/e/f/1.jpg", "d/readme.txt")
    assert list(find(["d/*.png"])) == ["d/9.png", "d/10.png"]
    everything = ["d/9.png", "d/10.png", "d/e/f/1.jpg"]
    for pattern in ("d/**", "./d/**", "**", "d*"):  # each picture once
        assert list(find([pattern])) == everything
    assert list(find(["**/[0-9].jpg"])) == ["d/e/f/1.jpg"]


def test_a_path_that_exists_is_no_glob(in_tmp: Path) -> None:
    pictures(in_tmp, "a[1].png", "a1.png", "what?.png")
    assert list(find(["a[1].png", "what?.png"])) == ["a[1].png", "what?.png"]


IN_A_SET = "it lies inside a set, in no file of its own; zoo report RUN shows the worst mistakes"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("missing.png", "no such file or directory"),
        ("", "no such file or directory"),
        ("digital/0077", "no such file or directory"),
        ("digits/0077", IN_A_SET),
        ("mnist/test/00042", IN_A_SET),
        ("a.png/b.png", "not a directory"),
        ("*.tiff", "no picture matches"),
        ("texts/*", "no picture matches"),
        ("texts", "no picture is in this directory"),
        ("empty", "no picture is in this directory"),
        ("pipe", "no regular file"),
        ("x" * 5000, "file name too long"),
    ],
)
def test_what_is_not_there_is_told_and_the_rest_is_found(
    word: str, message: str, in_tmp: Path
) -> None:
    pictures(in_tmp, "a.png", "texts/notes.txt")
    (in_tmp / "empty").mkdir()
    os.mkfifo(in_tmp / "pipe")
    assert list(find([word, "a.png"])) == [Failed(word, message), "a.png"]


def test_a_link_to_nothing_is_kept_for_the_reader_to_refuse(in_tmp: Path) -> None:
    pictures(in_tmp, "d/1.png")
    (in_tmp / "d" / "2.png").symlink_to("gone")
    assert list(find(["d"])) == ["d/1.png", "d/2.png"]
    assert list(find(["d/2.png"])) == [Failed("d/2.png", "no such file or directory")]


def test_lists_of_paths(in_tmp: Path) -> None:
    pictures(in_tmp, "d/1.png", "a b.png", "*.png")
    odd = os.fsdecode(b"n\xff.png")
    pictures(in_tmp, odd)
    lines = [b"a b.png\n", b"\n", b"  \n", b"d\r\n", b"n\xff.png\n", b"nul\0.png\n", b"*.png"]
    assert list(find(["-"], lines)) == [
        "a b.png",
        "d/1.png",
        odd,
        Failed("nul\0.png", "no path can hold a NUL"),
        "*.png",
    ]
    assert list(find(["-"], [b"\n"])) == [Failed("-", "no path came on standard input")]
    # A line is no glob: whoever wrote the list has expanded it.
    assert list(find(["-"], [b"d/?.png"])) == [Failed("d/?.png", "no such file or directory")]


def test_natural_order() -> None:
    paths = ["b/1", "a10", "a2b", "a/9", "a02", "a2", "a.b/1", "", "a2a", "10", "9", "a10/1"]
    assert sorted(paths, key=natural_key) == [
        "", "9", "10", "a/9", "a02", "a2", "a2a", "a2b", "a10", "a10/1", "a.b/1", "b/1",
    ]  # fmt: skip
