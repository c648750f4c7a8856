"""What `zoo evaluate` says to people."""

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
