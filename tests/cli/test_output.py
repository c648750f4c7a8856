"""How results are put into words, tables and JSON."""

import math
import os

import pytest

from zoo.cli.output import Column, Table, figure, plural, printable, speed


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
