"""Commands that need no network answer without torch (DESIGN.md section 2, "Start-up")."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "torchvision", "pandas", "numpy", "timm", "matplotlib", "onnx", "onnxruntime")

PROBE = """
import json, sys
from zoo.cli.main import main
code = main({arguments!r})
loaded = sorted({{name.partition(".")[0] for name in sys.modules}} & set({heavy!r}))
print(json.dumps([code, loaded]), file=sys.stderr)
"""


def heavy_modules(*arguments: str) -> list[str]:
    """Heavy modules that a command line loads, measured in a process of its own."""
    probe = PROBE.format(arguments=list(arguments), heavy=HEAVY)
    ended = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    code, loaded = json.loads(ended.stderr.splitlines()[-1])
    assert code == 0, ended.stderr
    return list(loaded)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("list",),
        ("list", "--json"),
        ("list", "--all"),
        ("list", "--search", "vit tiny"),
        ("show", "lenet5"),
        ("show", "timm/vit_tiny_patch16_224"),
        ("recipes", "list"),
        ("recipes", "--help"),
        ("recipes", "show", "digits"),
        ("recipes", "show", "digits", "--resolved"),
        ("recipes", "schema"),
        ("recipes", "validate", "digits"),
        ("runs", "--help"),
        ("runs", "show", "--help"),
        ("data", "--help"),
        ("data", "check", "--help"),
        ("train", "--help"),
        ("summary", "--help"),
        ("freeze", "--help"),
        ("benchmark", "--help"),
        ("import", "keras", "--help"),
        ("explain", "--help"),
        ("explain", "layers", "--help"),
        ("explain", "conv", "--help"),
        ("explain", "learn"),
        ("predict", "--help"),
        ("evaluate", "--help"),
        ("export", "--help"),
        ("report", "--help"),
        ("data", "fetch", "--help"),
    ],
    ids=" ".join,
)
def test_light_commands_import_no_torch(arguments: tuple[str, ...]) -> None:
    assert heavy_modules(*arguments) == []


def test_showing_a_model_file_imports_no_torch(trained: Path) -> None:
    assert heavy_modules("show", str(trained)) == []


def test_showing_an_exported_file_imports_no_torch(exports: dict[str, Path]) -> None:
    for path in exports.values():
        assert heavy_modules("show", str(path)) == []


def test_listing_runs_imports_no_torch(trained: Path) -> None:
    assert heavy_modules("runs", "list", str(trained.parent)) == []


def test_showing_and_comparing_runs_imports_no_torch(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "other")
    for command in (("show", str(trained)), ("compare", str(trained), str(tmp_path / "other"))):
        assert heavy_modules("runs", *command) == ["numpy", "pandas"]


def test_a_typed_image_needs_no_torch() -> None:
    arguments = ("--image", "1 2; 3 4", "--kernel", "1")
    assert heavy_modules("explain", "conv", *arguments) == ["numpy"]
    assert heavy_modules("explain", "pool", "--image", "1 2; 3 4") == ["numpy"]


def test_the_probe_would_notice() -> None:
    assert "torch" in heavy_modules("summary", "lenet5")


def test_completion_imports_no_torch() -> None:
    probe = (
        "import sys; from zoo.cli import options;"
        "assert options._complete_architecture('len') == ['lenet5', 'lenet5-1998'];"
        "assert options._complete_architecture('timm/vit_5') == ['timm/vit_5b_patch16_sapiens2'];"
        "assert options._complete_architecture('to') == ['torchvision/'];"
        "assert options._complete_recipe('dig') == ['digits'];"
        f"assert not {set(HEAVY)} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", probe], check=True)
