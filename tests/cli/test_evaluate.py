"""What `zoo evaluate` says to people."""

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ended
from zoo import evaluation

Zoo = Callable[..., Ended]


def test_a_model_without_a_recipe_asks_for_pictures(zoo: Zoo, tmp_path: Path) -> None:
    zoo("build", "lenet5", "-o", tmp_path / "m.safetensors")
    ended = zoo("evaluate", tmp_path / "m.safetensors")
    assert ended.code == 2
    assert "does not say on which pictures to judge it" in ended.stderr


def test_a_huge_loss_and_a_single_picture(
    zoo: Zoo, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = evaluation.evaluate

    def evaluate(*arguments: Any, **options: Any) -> evaluation.Evaluation:
        found = original(*arguments, **options)
        return replace(found, figures=replace(found.figures, loss=123_412_345.6, images=1))

    monkeypatch.setattr("zoo.evaluation.evaluate", evaluate)
    text = zoo("evaluate", trained).stdout
    assert "on 1 test picture of digits: " in text
    assert ", loss 1.234e+08, " in text
    assert zoo("evaluate", trained, "--json").json["loss"] == 123_412_345.6


def test_every_mistake_is_written_worst_first(zoo: Zoo, trained: Path, tmp_path: Path) -> None:
    file = tmp_path / "mistakes.csv"
    found = zoo("evaluate", trained, "--mistakes", file, "--json").json
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert list(rows[0]) == ["path", "label", "predicted", "probability", "loss"]
    assert len(rows) == found["mistakes"]["pictures"] == round(359 * (1 - found["top1"]))
    assert all(row["label"] != row["predicted"] for row in rows)
    assert all(re.fullmatch(r"digits/\d{4}", row["path"]) for row in rows)
    losses = [float(row["loss"]) for row in rows]
    assert losses == sorted(losses, reverse=True)
    classes = found["classes"]
    for row in rows:
        assert found["confusion"][classes.index(row["label"])][classes.index(row["predicted"])]
    before = file.read_bytes()
    assert zoo("evaluate", trained, "--mistakes", file).code == 2
    ended = zoo("evaluate", trained, "--mistakes", file, "--force")
    assert f"{file}: {len(rows)} mistake" in ended.stdout
    assert file.read_bytes() == before


def test_mistakes_go_into_csv_and_force_needs_them(zoo: Zoo, trained: Path, tmp_path: Path) -> None:
    assert zoo("evaluate", trained, "--mistakes", tmp_path / "a.json").code == 2
    assert "--force does not apply" in zoo("evaluate", trained, "--force").stderr


ESCAPES = re.compile(r"\033\[[\d;]*m")


def test_a_terminal_shows_the_matrix_in_colours(
    zoo: Zoo, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = zoo("evaluate", trained).stdout
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = zoo("evaluate", trained).stdout
    assert ESCAPES.sub("", coloured) == plain
    matrix = [line for line in coloured.splitlines() if "\033[97;48;5;" in line]
    assert len(matrix) == 10
    assert re.match(r"0 +\033\[97;48;5;26m *\d+\033\[0m", matrix[0])  # right, on blue
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert zoo("evaluate", trained).stdout == plain
    monkeypatch.setenv("COLUMNS", "50")
    narrow = zoo("evaluate", trained).stdout
    assert "true \\ predicted" not in narrow
    assert "no confusion matrix here: it does not fit into 50 columns" in narrow
    assert "most confused:\n" in narrow
    assert "\033" not in narrow


def test_long_class_names_leave_the_matrix_and_many_classes_say_why_not(
    zoo: Zoo, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = evaluation.evaluate

    def renamed(*names: str, rows: tuple[tuple[int, ...], ...]) -> str:
        def evaluate(*arguments: Any, **options: Any) -> evaluation.Evaluation:
            found = original(*arguments, **options)
            return replace(found, figures=replace(found.figures, classes=names, confusion=rows))

        monkeypatch.setattr("zoo.evaluation.evaluate", evaluate)
        return zoo("evaluate", trained).stdout

    long = [f"{letter}, in so many words that three of them are too wide" for letter in "abc"]
    text = renamed(*long, rows=((7, 0, 0), (0, 8, 1), (0, 0, 9)))
    assert "true \\ predicted     0   1   2\n" in text
    assert "1 b, in so…oo wide   ·   8   1\n" in text
    names = [f"class {n}" for n in range(21)]
    rows = tuple(tuple(int(n == m) for m in range(21)) for n in range(21))
    text = renamed(*names, rows=rows)
    assert "no confusion matrix here: 21 classes are more than 20 (--json holds it)\n" in text
    assert "\nnothing is confused\n" in text
