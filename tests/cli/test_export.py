"""`zoo export`."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ended, zoo_process
from tests.pictures import write_folder
from zoo.cli.options import ExportFormat
from zoo.export import FORMATS
from zoo.exported import read_exported

Zoo = Callable[..., Ended]


def test_the_formats_are_those_of_the_package() -> None:
    assert {one.value for one in ExportFormat} == set(FORMATS)


def test_json_keys(zoo: Zoo, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    document = zoo("export", trained, "-o", out, "--json").json
    assert (document["output"], document["format"]) == (str(out), "safetensors")
    taken = document["input"]
    assert {"dtype", "layout", "shape", "mean", "std"} <= taken.keys()
    assert (taken["dtype"], taken["layout"]) == ("float32", "NCHW")
    assert taken["shape"] == [None, 1, 32, 32]
    assert document["classes"] == [str(digit) for digit in range(10)]
    assert document["parity"] == {
        "checked": True, "runtime": "torch", "max_abs_diff": 0.0, "top1_agreement": 1.0,
        "batches": [1, 5], "images": 10, "recipe": "digits",
    }  # fmt: skip
    assert document["bytes"] == out.stat().st_size
    unchecked = zoo("export", trained, "-o", out, "--force", "--no-check", "--json").json
    assert unchecked["parity"]["checked"] is False
    assert read_exported(out).parity is None


def test_onnx_prints_one_document_and_nothing_else(trained: Path, tmp_path: Path) -> None:
    ended = zoo_process("export", trained, "-o", tmp_path / "out.onnx", "--json")
    assert ended.returncode == 0
    assert ended.stderr == ""
    document = json.loads(ended.stdout)
    assert (document["format"], document["gives"]) == ("onnx", "logits")
    assert document["parity"]["runtime"] == "onnxruntime"


def test_the_output_says_what_to_feed(zoo: Zoo, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.pt2"
    ended = zoo("export", trained, "-o", out, "--softmax")
    assert ended.code == 0
    assert "input    images: float32, NCHW, N×1×32×32" in ended.stdout
    assert "before   pad to 28×28 in the middle of 32×32, black around it" in ended.stdout
    assert "values / 255, − 0.30" in ended.stdout
    assert "output   probabilities: float32, N×10" in ended.stdout
    assert "10 pictures of digits in batches of 1 and 5" in ended.stdout


def _picture(directory: Path) -> Path:
    path = directory / "two.pgm"
    rows = "0 0 5 12 1 0 0 0 " * 8
    path.write_text(f"P2\n8 8\n16\n{rows}\n")
    return path


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("-o", "there.onnx"), 2, "there.onnx exists."),
        (("-o", "out.pt"), 2, "no format is called .pt. Did you mean .pt2?"),
        (("-o", "out.foo", "--format", "onnx"), 2, "out.foo would be no .foo file."),
        (("-o", "nowhere/out.onnx"), 2, "hint: mkdir -p nowhere"),
        (("-o", "out.pt2", "--format", "onnx"), 2, "called after the format pt2, and onnx"),
        (("-o", "out.pt2", "--opset", "18"), 2, "--opset goes with --format onnx."),
        (("-o", "out.onnx", "--opset", "7"), 2, "--opset 7: there are 18 to"),
        (("-o", "out.safetensors", "--softmax"), 2, "--softmax does not go with"),
        (("-o", "out.safetensors", "--embed-preprocess"), 2, "--embed-preprocess does not go"),
        (("-o", "out.onnx", "--no-check", "--recipe", "digits"), 2, "--recipe chooses"),
        (("-o", "out.onnx", "--format", "onxn"), 2, "Did you mean onnx?"),
        (("-o", "out.onnx", "--recipe", "digist"), 3, "Did you mean digits?"),
        (("-o", "out.onnx", "--data", "nowhere"), 4, "nowhere"),
        ((), 2, "Missing option '--output'"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: tuple[str, ...], code: int, message: str, trained: Path, zoo: Zoo, in_tmp: Path
) -> None:
    (in_tmp / "there.onnx").write_text("mine")
    ended = zoo("export", trained, *arguments)
    assert message in ended.stderr
    assert ended.code == code
    assert [path.name for path in in_tmp.iterdir()] == ["there.onnx"]


@pytest.mark.parametrize("name", ["best.safetensors", "last.safetensors"])
def test_an_export_never_takes_a_models_place(
    name: str, zoo: Zoo, trained: Path, in_tmp: Path
) -> None:
    shutil.copytree(trained, "run")
    before = Path("run", name).read_bytes()
    ended = zoo("export", "run", "-o", f"run/{name}", "--force")
    assert ended.code == 2
    assert "an export can't be trained on in its place" in ended.stderr
    shutil.copy("run/best.safetensors", "copy.safetensors")
    assert zoo("export", "copy.safetensors", "-o", "./copy.safetensors", "--force").code == 2
    assert Path("run", name).read_bytes() == before


def test_pictures_of_other_classes_calibrate_nothing(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    write_folder(in_tmp / "pics", count=4)
    ended = zoo("export", trained, "--format", "onnx-int8", "--data", "pics", "-o", "q.onnx")
    assert ended.code == 4
    assert "hint: Another --recipe, or --data with pictures of the model's classes." in ended.stderr


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_extra_is_named(
    missing: str, trained: Path, zoo: Zoo, in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    ended = zoo("export", trained, "-o", "out.onnx")
    assert ended.code == 2
    assert f"--format onnx needs {missing}, which is not installed." in ended.stderr
    assert "pip install 'cnn-zoo[export]'" in ended.stderr
    ended = zoo("export", trained, "--format", "onnx-int8", "-o", "out.onnx")
    assert f"--format onnx-int8 needs {missing}, which is not installed." in ended.stderr
    assert not list(in_tmp.iterdir())


def test_an_output_that_never_changes_is_vacuous(
    zoo: Zoo, in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchvision's vision transformers start with a head of zeros."""
    from zoo import modelfile

    build = modelfile.instantiate

    def constant(source: Any) -> Any:
        network = build(source)
        for parameter in network.parameters():
            parameter.data.zero_()
        return network

    monkeypatch.setattr(modelfile, "instantiate", constant)
    ended = zoo("export", "lenet5", "-o", "out.pt2", "--json")
    assert ended.code == 10
    assert "the same output for every picture" in ended.json["error"]["message"]
    assert ended.json["parity"]["checked"] is True
    assert not list(in_tmp.iterdir())
    assert zoo("export", "lenet5", "-o", "out.pt2", "--no-check").code == 0


def test_a_bare_architecture_is_random(zoo: Zoo, in_tmp: Path) -> None:
    ended = zoo("export", "keras-mnist-cnn", "-o", "out.safetensors")
    assert ended.code == 0
    assert "note: the weights are random: nothing is trained yet" in ended.stderr
    assert "10 random pictures" in ended.stdout


def test_what_keras_made_gives_probabilities_once(
    zoo: Zoo, keras_files: Path, in_tmp: Path
) -> None:
    assert zoo("import", "keras", keras_files / "lecture.h5", "-o", "k.safetensors").code == 0
    assert zoo("export", "k.safetensors", "--softmax", "-o", "k.pt2").code == 0
    picture = _picture(in_tmp)
    ours, theirs = (
        zoo("predict", model, picture, "--top", 10, "--json").json["predictions"][0]["top"]
        for model in ("k.safetensors", "k.pt2")
    )
    assert [one["label"] for one in ours] == [one["label"] for one in theirs]
    assert [one["probability"] for one in theirs] == pytest.approx(
        [one["probability"] for one in ours], abs=1e-6
    )


def test_an_exported_file_is_not_exported_again(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    zoo("export", trained, "-o", "out.safetensors")
    ended = zoo("export", "out.safetensors", "-o", "again.onnx")
    assert ended.code == 2
    assert "plain tensors" in ended.stderr


@pytest.mark.slow
def test_ctrl_c_at_any_moment_leaves_nothing(trained: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "zoo", "export", str(trained), "--embed-preprocess"]
    for seconds in (1.0, 3.0, 5.0, 7.0, 9.0):
        out = tmp_path / "out.onnx"
        process = subprocess.Popen(
            [*command, "-o", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(2)
        _, errors = process.communicate()
        if process.returncode == 0:
            out.unlink()
        else:
            assert process.returncode == 130, errors
            assert "Traceback" not in errors
        assert not list(tmp_path.iterdir())
