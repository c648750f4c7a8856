"""What holds for every command (DESIGN.md section 5)."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import typer

from tests.conftest import Ended, zoo_process
from tests.data.sources.fakes import mnist_files, publish
from tests.pictures import encoded, gradient
from zoo.cli import app as application
from zoo.cli.options import OptimizerName, ScheduleName
from zoo.errors import ExitCode
from zoo.schema.train import Train

application.register_commands()
Zoo = Callable[..., Ended]


def commands(group: typer.Typer = application.app, prefix: str = "") -> Iterator[str]:
    for command in group.registered_commands:
        yield f"{prefix}{command.name}"
    for child in group.registered_groups:
        assert child.typer_instance is not None
        yield from commands(child.typer_instance, f"{prefix}{child.name} ")


EVERY_COMMAND = pytest.mark.parametrize("command", sorted(commands()))

# A command line of each command that succeeds; RUN is a trained run, OTHER its copy, PICTURE and
# KERAS a file, OUT a new path.
WORKING = {
    "benchmark": "benchmark RUN --seconds 0 --no-memory",
    "build": "build lenet5 -o OUT",
    "data check": "data check digits",
    "data fetch": "data fetch kmnist --offline",
    "data preview": "data preview digits --versions 1 -o OUT",
    "doctor": "doctor",
    "evaluate": "evaluate RUN",
    "explain cam": "explain cam RUN PICTURE -o OUT",
    "explain conv": "explain conv --image 1,2;3,4 --kernel 1,1 --steps",
    "explain filters": "explain filters RUN -o OUT",
    "explain layers": "explain layers lenet5",
    "explain learn": "explain learn",
    "explain maps": "explain maps RUN PICTURE -o OUT",
    "explain pool": "explain pool --picture PICTURE",
    "export": "export RUN --format safetensors -o OUT",
    "freeze": "freeze RUN --all-but-head -o OUT",
    "import keras": "import keras KERAS -o OUT",
    "list": "list",
    "predict": "predict RUN PICTURE",
    "prune": "prune lenet5 --pop 1 -o OUT",
    "recipes copy": "recipes copy digits OUT",
    "recipes list": "recipes list",
    "recipes schema": "recipes schema",
    "recipes show": "recipes show digits",
    "recipes validate": "recipes validate digits",
    "report": "report RUN -o OUT",
    "runs compare": "runs compare RUN OTHER",
    "runs list": "runs list RUN",
    "runs show": "runs show RUN",
    "show": "show RUN",
    "summary": "summary lenet5",
    "train": "train lenet5 --max-steps 2 -o OUT",
}


def write_bytes(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture
def working(
    trained: Path, keras_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], list[str]]:
    files = mnist_files()
    publish("kmnist", files, "http://127.0.0.1:1", monkeypatch)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    for name, content in files.items():
        write_bytes(tmp_path / "cache" / "data" / "kmnist" / name, content)
    picture = tmp_path / "seven.png"
    write_bytes(picture, encoded(gradient("L"), "PNG"))
    shutil.copytree(trained, tmp_path / "other")
    places = {
        "RUN": str(trained), "OTHER": str(tmp_path / "other"), "PICTURE": str(picture),
        "OUT": str(tmp_path / "out"), "KERAS": str(keras_files / "binary.keras"),
    }  # fmt: skip
    return lambda command: [places.get(word, word) for word in WORKING[command].split()]


def test_the_commands_are_those_of_the_design() -> None:
    assert set(commands()) == set(WORKING)


@EVERY_COMMAND
def test_every_command_has_help_with_an_example(command: str, zoo: Zoo) -> None:
    ended = zoo(*command.split(), "--help")
    assert ended.code == 0
    assert f"Usage: zoo {command}" in ended.stdout
    example = ended.stdout.partition("Example:\n")[2].splitlines()
    assert example
    assert all(
        line.split()[: 1 + len(command.split())] == ["zoo", *command.split()] for line in example
    )
    described = re.findall(r"^  (?:-\w, )?--[\w-]+", ended.stdout, re.MULTILINE)
    assert {"  --json", "  --debug", "  -q, --quiet"} <= set(described)


@EVERY_COMMAND
def test_the_example_in_the_help_parses(command: str, zoo: Zoo) -> None:
    example = zoo(*command.split(), "--help").stdout.partition("Example:\n")[2]
    for line in example.splitlines():
        ended = zoo(*line.split()[1:], "--help")
        assert ended.code == 0, line


@EVERY_COMMAND
@pytest.mark.parametrize("place", ["after", "before"])
def test_json_is_exactly_one_document(
    command: str, place: str, working: Callable[[str], list[str]], zoo: Zoo
) -> None:
    words = working(command)
    ended = zoo("--json", *words) if place == "before" else zoo(*words, "--json")
    assert ended.code == 0, ended.stdout
    assert ended.json["schema"] == 1
    assert ended.json["ok"] is True
    assert isinstance(ended.json["notes"], list)


@EVERY_COMMAND
def test_a_usage_error_is_one_document_too(command: str, zoo: Zoo) -> None:
    ended = zoo(*command.split(), "--jsn", "--json")
    assert ended.code == 2
    assert ended.json["ok"] is False
    error = ended.json["error"]
    assert set(error) == {"code", "kind", "message", "hint", "details"}
    assert (error["code"], error["kind"]) == (2, "UsageError")
    assert "No such option: --jsn" in error["message"]
    assert error["hint"] == f"zoo {command} --help"
    assert ended.stderr == ""


@EVERY_COMMAND
def test_quiet_is_quiet(command: str, working: Callable[[str], list[str]], zoo: Zoo) -> None:
    assert zoo(*working(command), "--quiet").stderr == ""


@EVERY_COMMAND
def test_results_have_no_escape_codes(
    command: str, working: Callable[[str], list[str]], zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CI", "GITHUB_ACTIONS", "FORCE_COLOR"):
        monkeypatch.setenv(name, "1")
    ended = zoo(*working(command))
    assert "\x1b" not in ended.stdout + ended.stderr
    assert "\x1b" not in zoo(*command.split(), "--help").stdout


def test_help_lists_every_exit_code(zoo: Zoo) -> None:
    text = zoo("--help").stdout
    for code in ExitCode:
        assert re.search(rf"^ +{code.value}  {re.escape(code.meaning)}$", text, re.MULTILINE)


def test_piped_help_under_ci_has_no_escape_codes() -> None:
    environment = {**os.environ, "CI": "true", "GITHUB_ACTIONS": "true"}
    assert "\x1b" not in zoo_process("--help", env=environment).stdout


def test_a_misspelt_command(zoo: Zoo) -> None:
    ended = zoo("trian", "lenet5")
    assert ended.code == 2
    assert (
        ended.stderr == "error: No such command 'trian'. Did you mean 'train'?\nhint: zoo --help\n"
    )
    assert ended.stdout == ""


def test_no_command(zoo: Zoo) -> None:
    assert "Usage: zoo" in zoo().stdout
    assert zoo("--json").json["error"]["message"] == "A command is missing."


def test_version(zoo: Zoo) -> None:
    from zoo import __version__

    assert zoo("--version").stdout == f"zoo {__version__}\n"


def test_python_dash_m() -> None:
    ended = zoo_process("list", "--json")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["ok"]


def test_two_forms_exclude_one_another(zoo: Zoo) -> None:
    assert zoo("list", "--csv", "--markdown").code == 2
    assert zoo("--json", "list", "--csv").json["error"]["message"].endswith("one another.")


def test_a_bug_is_exit_1_without_a_traceback(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(**conditions: Any) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("zoo.catalog.select", explode)
    ended = zoo("list")
    assert ended.code == 1
    assert ended.stderr.startswith("error: A bug of ours: ZeroDivisionError: oops\nhint: ")
    assert "Traceback" not in ended.stderr
    for words in (("list", "--debug"), ("--debug", "list")):
        assert "Traceback" in zoo(*words).stderr
    assert zoo("list", "--json").json["error"]["code"] == 1


def test_nan_becomes_null(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from zoo import catalog

    card = replace(catalog.CARDS[0], top1=float("nan"))
    monkeypatch.setattr("zoo.catalog.CARDS", (card,))
    assert zoo("list", "--json").json["architectures"][0]["top1"] is None


SHELL = "set -o pipefail; {python} -m zoo {command} | {reader}; echo ${{PIPESTATUS[0]}}"


@pytest.mark.parametrize("command", ["list --all", "--help", "summary lenet5", "list --all --json"])
@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_a_closed_pipe_is_silent(command: str, reader: str) -> None:
    script = SHELL.format(python=sys.executable, command=command, reader=reader)
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert ended.stderr == ""
    assert ended.stdout.splitlines()[-1] == "0"


def test_a_full_stdout_is_exit_6() -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "zoo", "list"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert ended.returncode == 6
    assert "No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_encoding_without_our_letters(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    ended = zoo_process("list", env=environment)
    assert ended.returncode == 0
    assert "lenet5" in ended.stdout


def test_odd_names_do_not_steer_the_terminal(zoo: Zoo, in_tmp: Path) -> None:
    ended = zoo("build", "lenet5", "-o", "\x1b[31m red")
    assert ended.code == 0
    assert "\x1b" not in ended.stdout
    assert "zoo train '\\x1b[31m red'" in ended.stdout
    name = os.fsdecode(b"n\xff")
    assert zoo("build", "lenet5", "-o", name).code == 0
    assert zoo("train", name, "--max-steps", 1, "-o", f"{name}-run", "--json").code == 0


def test_no_color_and_dumb_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.cli.output import Output

    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert (Output().animated, Output().colored) == (True, True)
    assert not Output(quiet=True).animated
    monkeypatch.setenv("NO_COLOR", "1")
    assert (Output().animated, Output().colored) == (True, False)
    monkeypatch.setenv("TERM", "dumb")
    assert not Output().animated


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_narrow_terminal_loses_no_name_and_no_number(width: int, zoo: Zoo) -> None:
    from zoo.cli import list as list_command
    from zoo.cli import summary
    from zoo.cli.output import Table

    for command, rows in (
        (summary, zoo("summary", "keras-mnist-cnn", "--json").json["layers"]),
        (list_command, zoo("list", "--json").json["architectures"]),
    ):
        whole = Table(command.COLUMNS, rows, spares=command.SPARES)
        table, left_out = whole.fitting(width)
        assert bool(left_out) == (len(table.columns) < len(command.COLUMNS)) == (width < 200)
        text = table.to_text(width)
        assert max(len(line) for line in text.splitlines()) <= width
        for row in rows:
            assert f"{row['name']} " in text
            assert f"{row['params']:,}" in text
        assert "…" not in text


def test_the_shared_flags_work_before_a_groups_command(zoo: Zoo) -> None:
    assert zoo("recipes", "--json", "list").json["ok"]


def test_the_choices_of_options_are_the_recipes() -> None:
    fields = Train.model_fields
    for key, names in (("optimizer", OptimizerName), ("schedule", ScheduleName)):
        assert fields[key].annotation == Literal[tuple(str(name) for name in names)]


def test_a_misspelt_choice_is_a_usage_error(zoo: Zoo) -> None:
    result = zoo("train", "lenet5", "--optimizer", "adamm")
    assert result.code == 2
    assert "Invalid value for '--optimizer': 'adamm' is not one of 'adam'" in result.stderr
    assert "Did you mean adam?" in result.stderr
    result = zoo("train", "lenet5", "--weight-decay", "-1")
    assert result.code == 2
    assert "'--weight-decay': must be greater than or equal to 0" in result.stderr


def test_a_picture_is_not_called_something_else(zoo: Zoo, in_tmp: Path) -> None:
    result = zoo("explain", "filters", "lenet5", "-o", "filters.jpg")
    assert result.code == 2
    assert "filters.jpg would be no .jpg file." in result.stderr
