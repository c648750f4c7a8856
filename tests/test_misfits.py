"""Why weights do not fit, and what they leave behind."""

from typing import Any

import pytest

from zoo.description import Description, describe
from zoo.misfits import Made

POP, HEAD = {"edit": "pop", "layers": 1}, {"edit": "head", "num_classes": 3, "form": "pool"}
REPLACED = {**HEAD, "num_classes": 10, "layers": ["out"]}
FREEZE = {"edit": "freeze", "layers": ["c1"], "frozen": True}
SPARSE = {"edit": "sparsity", "tensors": ["c1.weight"], "ratio": 0.5}
SET = {"edit": "set", "layer": "c1", "field": "out_channels", "value": 12}
REMOVE = [{"edit": "remove", "layer": f"layer{number}"} for number in range(4)]


def lenet5(*edits: dict[str, Any], num_classes: int = 10) -> Description:
    return describe("lenet5", num_classes).model_copy(update={"edits": edits})


@pytest.mark.parametrize(
    ("made", "wanted", "reason"),
    [
        (lenet5(), describe("resnet20"), "The weights are those of lenet5."),
        (lenet5(POP), lenet5(), "The top of my file was taken off: zoo train 'my file' puts a new"),
        (lenet5(POP, HEAD), lenet5(), "my file is a lenet5 with changes (pop 1, head for 3 "),
        (lenet5(*REMOVE), lenet5(), "(remove layer0, remove layer1, remove layer2, ...)"),
        (lenet5(POP), lenet5(POP, SPARSE), None),
        (lenet5(FREEZE, SPARSE, REPLACED), lenet5(), None),
        (lenet5(), lenet5(SET), "zoo build 'my file' --set c1.out_channels=12 -o FILE keeps"),
        (
            lenet5(),
            lenet5(SET, POP),
            "without the changes of this one (c1.out_channels=12, pop 1).",
        ),
        (lenet5(num_classes=3), lenet5(), "takes --num-classes 3."),
        (lenet5(), lenet5(), None),
    ],
)
def test_why_weights_do_not_fit(made: Description, wanted: Description, reason: str | None) -> None:
    found = Made("my file", made, is_model=True).why_not(wanted)
    assert found == reason if reason is None else reason in str(found)


def test_no_command_that_would_be_refused_is_named() -> None:
    for made, wanted in ((lenet5(POP), lenet5()), (lenet5(), lenet5(SET))):
        hint = str(Made("t.safetensors", made, is_model=False).why_not(wanted))
        assert hint != "None"
        assert "zoo train t.safetensors" not in hint
        assert "zoo build t.safetensors" not in hint


def test_what_is_left_behind() -> None:
    assert Made("m", lenet5(POP, REPLACED), is_model=True).left_behind() == ()
    notes = Made("m", lenet5(FREEZE, SPARSE), is_model=True).left_behind()
    assert ["frozen" in note for note in notes] == [True, False]
    assert ["pruned to zero" in note for note in notes] == [False, True]
    freed = {**FREEZE, "frozen": False}
    assert Made("m", lenet5(FREEZE, freed), is_model=True).left_behind() == ()
