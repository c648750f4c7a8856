"""What `zoo evaluate` says to people."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ended
from zoo import evaluation

Zoo = Callable[..., Ended]


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
