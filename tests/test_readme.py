"""Every output shown in the README is regenerated and compared."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.pictures import write_folder
from zoo.errors import ExitCode

pytestmark = pytest.mark.timeout(900)  # every command runs, one after the other

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


def skip_without_jq(command: str) -> None:
    if re.search(r"\bjq\b", command) and shutil.which("jq") is None:
        pytest.skip("jq is not installed")


@pytest.mark.parametrize(("command", "expected"), list(shown()), ids=[c for c, _ in shown()])
def test_the_output_shown_is_real(command: str, expected: str, outputs: dict[str, str]) -> None:
    skip_without_jq(command)
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


@pytest.fixture(scope="module")
def workflow() -> list[str]:
    """What the README's GitHub workflow runs."""
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    parsed = YAML(typ="safe").load(text)
    assert set(parsed) == {"name", "on", "defaults", "jobs"}
    assert parsed["defaults"]["run"]["shell"] == "bash"
    (job,) = parsed["jobs"].values()
    return [step["run"] for step in job["steps"] if "run" in step]


# What GitHub runs for `shell: bash`.
STEP = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")


def run_steps(steps: list[str], directory: Path) -> tuple[int, str]:
    """The exit code of the first step that fails, else of the last, and what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for step in steps:
        skip_without_jq(step)
        ended = subprocess.run(
            [*STEP, step], cwd=directory, env={**os.environ, "PATH": path},
            capture_output=True, text=True, timeout=200,
        )  # fmt: skip
        if ended.returncode:
            break
    return ended.returncode, ended.stdout


def test_the_workflow_runs(workflow: list[str], tmp_path: Path) -> None:
    setup, *steps = workflow
    assert setup == "pip install 'cnn-zoo[export]'"
    recipe = "dataset: {source: digits}\ntrain: {epochs: 6, batch_size: 64, lr: 2e-3}\n"
    (tmp_path / "mine.yaml").write_text(recipe)
    assert run_steps(steps, tmp_path) == (0, "true\n")
    assert (tmp_path / "model.onnx").is_file()


def test_the_workflow_says_what_is_wrong_with_a_recipe(workflow: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("dataset: {source: digits}\ntrain: {lr: -1}\n")
    code, annotations = run_steps(workflow[1:], tmp_path)
    assert code == ExitCode.RECIPE
    assert annotations == "::error file=mine.yaml,line=2::train.lr must be greater than 0.\n"
