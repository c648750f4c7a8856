"""How results are put into words, tables and JSON."""

import math
import os

import pytest
from rich.cells import cell_len

from zoo.cli.output import Column, Table, figure, percent, plural, printable, shortened, speed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.01294, "0.0129"),
        (999_999.0, "999999.0000"),
        (1e6, "1.000e+06"),
        (123_412_345.6, "1.234e+08"),
        (-123_412_345.6, "-1.234e+08"),
        (1.5e300, "1.500e+300"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_losses_stay_short(value: float | None, text: str) -> None:
    assert figure(value) == text


def test_one_has_no_s() -> None:
    assert plural(0, "picture") == "0 pictures"
    assert plural(1, "picture") == "1 picture"
    assert plural(1295, "class", "classes") == "1,295 classes"
    assert plural(None, "epoch") == "– epochs"


def test_odd_bytes_of_a_name_are_told_apart_and_aligned() -> None:
    names = [os.fsdecode(b"a\xff"), os.fsdecode(b"a\x80"), "\x1b", "é", "[red]"]
    columns = [Column("path", names[0]), Column("top1", names[4], right=True)]
    table = Table(columns, [{"path": name, "top1": 1} for name in names])
    head, _, *rows = table.to_text(None).splitlines()
    assert head.split() == ["a\\xff", "[red]"]
    assert [row.split()[0] for row in rows] == ["a\\xff", "a\\x80", "\\x1b", "é", "[red]"]
    assert {len(line) for line in [head, *rows]} == {len(head)}
    assert "| a\\xff | 1 |" in table.to_markdown()
    assert printable("a\nb\tc – ü 猫") == "a\nb\tc – ü 猫"


def test_speeds() -> None:
    assert [speed(x) for x in (5538.4, 12.3, 0.36, None)] == [
        "5,538 images/s", "12 images/s", "0.4 images/s", "–",
    ]  # fmt: skip


def test_a_narrow_terminal_folds_names_and_never_a_number() -> None:
    columns = [
        Column("name", "Class"),
        Column("images", "Pictures", right=True),
        Column("share", "Share", percent, right=True),
    ]
    name = "x" * 71 + "数"
    table = Table(columns, [{"name": name, "images": 1_234_567, "share": 1.0}], spares=["images"])
    assert table.fitting(60) == (table, "")
    lines = table.to_text(60).splitlines()
    assert max(map(cell_len, lines)) <= 60
    assert "1234567   100.00 %" in lines[2]
    assert "".join(line.split()[0] for line in lines[2:]) == name
    assert name in table.to_text(None)

    narrow, note = table.fitting(40)
    assert note == "left out, for the terminal is narrow: Pictures (--csv has all)"
    assert "100.00 %" in narrow.to_text(40)
    # Nothing is left to leave out: a paragraph for each row.
    assert narrow.to_text(30).splitlines() == [f"Class {name}", "  Share  100.00 %"]


def test_long_words_are_cut_in_the_middle() -> None:
    assert shortened("abcdefgh", 8) == "abcdefgh"
    assert shortened("abcdefghi", 8) == "abcd…ghi"
