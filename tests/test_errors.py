"""The error tree and the exit codes."""

import pytest

from zoo import errors
from zoo.errors import Detail, ExitCode, ZooError


def kinds() -> list[type[ZooError]]:
    return [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, ZooError)]


def test_exit_codes_are_the_contract() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0, "BUG": 1, "USAGE": 2, "RECIPE": 3, "DATA": 4, "MODEL_FILE": 5, "DISK": 6,
        "RUN_IN_USE": 7, "DIVERGED": 8, "OUT_OF_MEMORY": 9, "THRESHOLD": 10,
        "INTERRUPTED": 130, "TERMINATED": 143,
    }  # fmt: skip


def test_every_exit_code_says_what_it_means() -> None:
    assert all(code.meaning for code in ExitCode)


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_the_tree_in_the_docstring_shows_every_error_with_its_code(kind: type[ZooError]) -> None:
    drawn = [line for line in (errors.__doc__ or "").splitlines() if kind.__name__ in line.split()]
    assert len(drawn) == 1 or kind is ZooError
    if kind not in (ZooError,) and kind.code != kind.__mro__[1].code:  # type: ignore[attr-defined]
        assert str(kind.code.value) in drawn[0]


def test_details_read_like_a_compilers() -> None:
    detail = Detail("cats.yaml", "is no option.", 7, 3, "augment.rotatoin", "Did you mean x?")
    assert str(detail) == "cats.yaml:7:3: is no option. Did you mean x?"


def test_an_error_as_json() -> None:
    error = errors.RecipeError("bad", hint="try", details=[Detail("a.yaml", "wrong", 1, 2, "x")])
    assert error.to_json() == {
        "code": 3,
        "kind": "RecipeError",
        "message": "bad",
        "hint": "try",
        "details": [
            {
                "file": "a.yaml",
                "message": "wrong",
                "line": 1,
                "column": 2,
                "path": "x",
                "suggestion": None,
            }
        ],
    }


def test_suggestions() -> None:
    assert errors.did_you_mean("C1", ["c1", "s2"]) == "Did you mean c1?"
    assert errors.did_you_mean("lenet6", ["lenet5", "alexnet"]) == "Did you mean lenet5?"
    assert errors.did_you_mean("zebra", ["lenet5"]) == ""
