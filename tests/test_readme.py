"""Every output shown in the README is regenerated and compared."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pictures import write_folder
from zoo.errors import ExitCode

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")

# What differs between machines: measured numbers, not counts.
MEASURED = re.compile(
    r"fp32|bf16 \(auto\)|\d+\.\d+(e-\d+)?|[\d,]+ images/s|best epoch \d+|\d+ threads"
)


def shown() -> Iterator[tuple[str, str]]:
    """Each command in the README and the output below it."""
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output.rstrip()


def normalized(output: str) -> list[str]:
    """Lines without measured numbers and without the widths that these cause."""
    lines = MEASURED.sub("#", output.rstrip()).splitlines()
    return [re.sub(r"([ ─])\1+", r"\1", line) for line in lines]


def run(command: str, directory: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        ["bash", "-c", command],
        cwd=directory,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
    )
    return ended.stdout


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory, keras_files: Path) -> dict[str, str]:
    """What each command of the README prints, in order, in one directory."""
    directory = tmp_path_factory.mktemp("readme")
    write_folder(directory / "pictures", count=120, size=48)
    shutil.copy(keras_files / "lecture.h5", directory / "previous.h5")
    for command, output in shown():
        if command.startswith("cat "):
            (directory / command.split()[1]).write_text(output + "\n")
    return {command: run(command, directory) for command, _ in shown()}


@pytest.mark.parametrize(("command", "expected"), list(shown()), ids=[c for c, _ in shown()])
def test_the_output_shown_is_real(command: str, expected: str, outputs: dict[str, str]) -> None:
    actual = normalized(outputs[command])
    before, dots, after = expected.partition("\n...\n")
    if not dots:
        assert actual == normalized(expected)
        return
    first, last = normalized(before), normalized(after)
    assert actual[: len(first)] == first
    assert actual[-len(last) :] == last
    assert len(actual) > len(first) + len(last)


def test_the_accuracy_shown_is_true(outputs: dict[str, str]) -> None:
    def accuracy(text: str) -> float:
        found = re.search(r"test accuracy ([\d.]+) %", text)
        assert found
        return float(found[1])

    assert abs(accuracy(outputs["zoo train lenet5"]) - accuracy(README)) < 1.5


def test_commands_are_shown() -> None:
    assert len(list(shown())) >= 10


def test_the_exit_codes_are_listed() -> None:
    table = dict(re.findall(r"^\| (\d+) \| (.*) \|$", README, re.MULTILINE))
    assert table == {str(code.value): code.meaning for code in ExitCode}


def test_the_python_example_runs(outputs: dict[str, str], tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    run("zoo train lenet5 --max-steps 1", tmp_path)
    (tmp_path / "example.py").write_text(example)
    assert run("python example.py", tmp_path) == "61706\n"
