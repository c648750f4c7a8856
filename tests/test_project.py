"""The project itself: lint, types, packaging, and one test command everywhere."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "tool",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",)],
    ids=" ".join,
)
def test_lint_and_types(tool: tuple[str, ...]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", *tool], cwd=ROOT, capture_output=True, text=True, timeout=280
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_ci_runs_exactly_the_readmes_test_command() -> None:
    shown = [line for line in README.splitlines() if line.endswith("/pytest")]
    assert len(shown) == 1
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    assert script[-1] == shown[0]
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert "run: bash .ci/run" in workflow


def test_the_readmes_first_command_ends_in_training() -> None:
    commands = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)
    assert commands[0].endswith(".venv/bin/zoo train lenet5")
    setups = [command for command in commands if "torchrun" not in command]
    assert len(setups) == 3
    assert all(command.startswith("python3 -m venv .venv && ") for command in setups)


def test_the_extras_of_the_design() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert set(extras) == {"export", "keras", "timm", "report", "tensorboard", "all", "dev"}
    assert extras["all"] == ["cnn-zoo[export,keras,report,tensorboard,timm]"]
    assert "cnn-zoo[all]" in extras["dev"]


def test_the_wheel_holds_recipes_data_and_types(tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            ".",
            "--no-deps",
            "--no-build-isolation",
            "-q",
            "-w",
            str(tmp_path),
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("cnn_zoo-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    recipes = {f"zoo/recipes/{path.name}" for path in (ROOT / "recipes").glob("*.yaml")}
    assert recipes
    assert recipes <= names
    assert {
        "zoo/py.typed",
        "zoo/data/sources/digits/images.idx.gz",
        "zoo/data/sources/digits/LICENSE.md",
    } <= names
    assert not [name for name in names if name.startswith(("tests/", "recipes/"))]
    # .gitignore decides what is packed, and has left a package out before.
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "zoo").rglob("*.py")}
    templates = ROOT / "zoo" / "report" / "templates"
    modules |= {str(path.relative_to(ROOT)) for path in templates.iterdir()}
    assert "zoo/report/templates/run.html" in modules
    assert modules <= names


def test_an_installed_wheel_finds_its_recipes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo import shipped

    (tmp_path / "zoo" / "recipes").mkdir(parents=True)
    (tmp_path / "zoo" / "recipes" / "cats.yaml").write_text("description: cats\n")
    monkeypatch.setattr(shipped, "__file__", str(tmp_path / "zoo" / "shipped.py"))
    assert shipped.names() == ["cats"]
