"""Exported files wherever a command takes MODEL: the same answers, or one clear refusal."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ended
from tests.exports import document, write_exports
from tests.pictures import encoded, gradient
from zoo import modelfile

Zoo = Callable[..., Ended]

KINDS = pytest.mark.parametrize("kind", ["onnx", "pt2"])


@KINDS
def test_evaluate_gives_the_figures_of_the_model_file(
    kind: str, zoo: Zoo, trained: Path, exports: dict[str, Path]
) -> None:
    expected, ended = zoo("evaluate", trained, "--json"), zoo("evaluate", exports[kind], "--json")
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.json.keys() == expected.json.keys()
    assert ended.json["recipe"] == "digits"
    for key in ("images", "top1", "top5", "confusion", "classes", "precision"):
        assert ended.json[key] == expected.json[key]
    assert ended.json["loss"] == pytest.approx(expected.json["loss"], abs=1e-5)


@KINDS
def test_predict_gives_the_rows_of_the_model_file(
    kind: str, zoo: Zoo, trained: Path, exports: dict[str, Path], in_tmp: Path
) -> None:
    for index, mode in enumerate(("L", "RGB")):
        (in_tmp / f"{index}.png").write_bytes(encoded(gradient(mode), "PNG"))
    (in_tmp / "2.png").write_bytes(b"no picture")
    pictures = ["0.png", "1.png", "2.png", "--top", "2", "--json", "--threads", "1"]
    expected, ended = zoo("predict", trained, *pictures), zoo("predict", exports[kind], *pictures)
    assert ended.code == expected.code == 4
    assert ended.json["failed"] == expected.json["failed"]
    for row, wanted in zip(ended.json["predictions"], expected.json["predictions"], strict=True):
        assert row["label"] == wanted["label"]
        assert row["probability"] == pytest.approx(wanted["probability"], abs=1e-5)


@KINDS
@pytest.mark.parametrize("command", [("summary",), ("explain", "layers")], ids=" ".join)
def test_what_is_said_of_the_layers(
    command: tuple[str, ...], kind: str, zoo: Zoo, trained: Path, exports: dict[str, Path]
) -> None:
    expected, ended = zoo(*command, trained, "--json"), zoo(*command, exports[kind], "--json")
    assert {**ended.json, "model": ""} == {**expected.json, "model": ""}
    assert ended.json["model"] == str(exports[kind])


@KINDS
def test_show_says_what_it_is(kind: str, zoo: Zoo, trained: Path, exports: dict[str, Path]) -> None:
    shown, model = zoo("show", exports[kind], "--json").json, zoo("show", trained, "--json").json
    assert shown.keys() == model.keys()
    assert model["export"] is None
    assert shown["export"]["kind"] == kind
    assert (shown["export"]["takes"], shown["export"]["gives"]) == ("normalized", "logits")
    assert shown["export"]["parity"] is None
    assert shown["classes"] == model["classes"]
    assert "parity         not checked" in zoo("show", exports[kind]).stdout


@KINDS
@pytest.mark.parametrize(
    "command",
    [
        "train MODEL",
        "train lenet5 --weights MODEL",
        "build MODEL -o OUT",
        "build lenet5 --weights MODEL -o OUT",
        "prune MODEL --pop 1 -o OUT",
        "freeze MODEL --first 1 -o OUT",
        "explain filters MODEL -o OUT",
        "explain maps MODEL PICTURE -o OUT",
    ],
)
def test_other_commands_say_what_it_is(
    command: str, kind: str, zoo: Zoo, exports: dict[str, Path], in_tmp: Path
) -> None:
    (in_tmp / "a.png").write_bytes(encoded(gradient("L"), "PNG"))
    places = {"MODEL": exports[kind], "OUT": "out", "PICTURE": "a.png"}
    ended = zoo(*(places.get(word, word) for word in command.split()), "--json")
    assert ended.code == 2
    what = {"onnx": "an ONNX file", "pt2": "a torch.export file"}[kind]
    assert f"is {what}: its network is fixed" in ended.json["error"]["message"]
    assert not (in_tmp / "out").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ("summary", "--no-top"),
        ("summary", "--set", "c1.out_channels=4"),
        ("summary", "--num-classes", "3"),
        ("evaluate", "--precision", "bf16"),
        ("evaluate", "--device", "mps"),
    ],
    ids=" ".join,
)
def test_flags_that_do_not_apply(
    flags: tuple[str, ...], zoo: Zoo, exports: dict[str, Path]
) -> None:
    command, *rest = flags
    assert zoo(command, exports["onnx"], *rest).code == 2


def test_what_tells_no_classes_apart_names_commands_that_work(
    zoo: Zoo, trained: Path, in_tmp: Path
) -> None:
    zoo("prune", trained, "--pop", 1, "-o", "popped.safetensors")
    path = write_exports(in_tmp / "popped.safetensors", in_tmp)["onnx"]
    refused = zoo("predict", path, "x.png")
    assert refused.code == 2
    assert "zoo train MODEL puts a new head on the model that it was" in refused.stderr
    shown = zoo("show", path).stdout
    assert "zoo explain layers" in shown
    assert "zoo predict" not in shown


def test_a_foreign_and_a_truncated_file(zoo: Zoo, exports: dict[str, Path], in_tmp: Path) -> None:
    content = exports["onnx"].read_bytes()
    Path("cut.onnx").write_bytes(content[:-5])
    Path("text.onnx").write_text("this is no ONNX file")
    Path("cut.pt2").write_bytes(exports["pt2"].read_bytes()[:5000])
    for name in ("cut.onnx", "text.onnx", "cut.pt2"):
        for command in (("evaluate", name), ("predict", name, "a.png"), ("show", name)):
            ended = zoo(*command, "--json")
            assert ended.code == 5
            assert "truncated" in ended.json["error"]["message"]


def test_plain_tensors_are_shown_and_no_more(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    from safetensors.torch import save_file

    description = modelfile.resolve(str(trained)).description
    tensors = modelfile.load(trained).state_dict()
    text = document(description, "safetensors")
    save_file(tensors, "plain.safetensors", {"zoo-export": text})
    assert zoo("show", "plain.safetensors", "--json").json["export"]["kind"] == "safetensors"
    assert zoo("summary", "plain.safetensors").code == 0
    for command in (("evaluate",), ("train",)):
        ended = zoo(*command, "plain.safetensors")
        assert ended.code == 2
        assert "plain tensors" in ended.stderr
    built = zoo("build", "lenet5", "--weights", "plain.safetensors", "-o", "m.safetensors")
    assert built.code == 0


def test_a_file_beside_a_run_is_evaluated_on_the_runs_split(
    zoo: Zoo, trained: Path, exports: dict[str, Path], in_tmp: Path
) -> None:
    shutil.copytree(trained, "run")
    shutil.copy(exports["onnx"], "run/model.onnx")
    beside, alone = zoo("show", "run/model.onnx", "--json"), zoo("show", exports["onnx"], "--json")
    assert (beside.json["run_status"], alone.json["run_status"]) == ("finished", None)
    assert zoo("evaluate", "run/model.onnx").code == 0
