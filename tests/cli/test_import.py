"""`zoo import keras`: what comes of it is a MODEL for every command."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ended
from tests.pictures import encoded, gradient

Zoo = Callable[..., Ended]


@pytest.fixture
def imported(keras_files: Path, tmp_path: Path, zoo: Zoo) -> Path:
    path = tmp_path / "previous.safetensors"
    assert zoo("import", "keras", keras_files / "lecture.h5", "-o", path).code == 0
    return path


def test_the_json(keras_files: Path, tmp_path: Path, zoo: Zoo) -> None:
    out = tmp_path / "out.safetensors"
    found = zoo("import", "keras", keras_files / "lecture.h5", "-o", out, "--json").json
    assert (found["output"], found["edits"], found["before"]) == (str(out), [], None)
    assert found["after"] == {
        "total_params": 87_290, "torch_params": 87_162, "mult_adds": 2_553_418,
    }  # fmt: skip
    assert found["layers"][:3] == ["conv1_1", "max_pooling2d", "dropout"]
    assert len(found["notes"]) == 2


def test_summary_and_show(imported: Path, zoo: Zoo) -> None:
    ours = zoo("summary", imported, "--style", "keras").stdout
    assert "conv1_1 (Conv2D)" in ours
    assert "batch_normalization (BatchNormalization)" in ours
    assert "Total params: 87,290" in ours
    shown = zoo("show", imported).stdout
    assert "keras-sequential" in shown
    assert "started from   Keras file, SHA-256 " in shown
    assert "10, without names" in shown


def test_predict(imported: Path, tmp_path: Path, zoo: Zoo) -> None:
    picture = tmp_path / "seven.png"
    picture.write_bytes(encoded(gradient("L"), "PNG"))
    ended = zoo("predict", imported, picture, "--top", "10", "--json")
    assert ended.code == 0
    (found,) = ended.json["predictions"]
    assert sum(one["probability"] for one in found["top"]) == pytest.approx(1)
    assert any("names no classes" in note for note in ended.json["notes"])


def test_two_classes_of_one_output(keras_files: Path, tmp_path: Path, zoo: Zoo) -> None:
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\n")
    out, picture = tmp_path / "out.safetensors", tmp_path / "cat.png"
    picture.write_bytes(encoded(gradient("RGB"), "PNG"))
    file = keras_files / "binary.keras"
    assert zoo("import", "keras", file, "-o", out, "--classes", names).code == 0
    (found,) = zoo("predict", out, picture, "--top", "2", "--json").json["predictions"]
    assert {one["label"] for one in found["top"]} == {"cat", "dog"}
    assert sum(one["probability"] for one in found["top"]) == pytest.approx(1)


def test_it_trains_on(imported: Path, tmp_path: Path, zoo: Zoo) -> None:
    run = tmp_path / "run"
    ended = zoo("train", imported, "--recipe", "digits", "--max-steps", "3", "-o", run)
    assert ended.code == 0, ended.stderr
    assert zoo("evaluate", run, "--json").json["images"] == 359


def test_every_layer_is_explained(keras_files: Path, tmp_path: Path, zoo: Zoo) -> None:
    for name in ("convolutional.keras", "fully_convolutional.keras", "features.keras"):
        out = tmp_path / f"{name}.safetensors"
        assert zoo("import", "keras", keras_files / name, "-o", out).code == 0
        ended = zoo("explain", "layers", out, "--csv")
        assert ended.code == 0
        assert "unknown" not in ended.stdout
        assert "does not follow" not in ended.stdout


def test_edits_go_on_top(imported: Path, tmp_path: Path, zoo: Zoo) -> None:
    bare, wide = tmp_path / "bare.safetensors", tmp_path / "wide.safetensors"
    assert zoo("build", imported, "--no-top", "-o", bare).code == 0
    assert zoo("summary", bare, "--json").json["layers"][-1]["output_shape"] == [32, 6, 6]
    assert zoo("build", imported, "--set", "conv1_1.stride=2", "-o", wide).code == 0
    assert zoo("summary", wide, "--json").json["layers"][0]["output_shape"] == [40, 14, 14]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--classes", "a,b,c"), "--classes needs 10 different names; these are 3"),
        (("--input-size", "32"), "--input-size does not apply: the model takes 28×28"),
        (("--rescale", "1/0"), "expected numbers"),
        (("--rescale", "-1"), "above 0"),
        (("--std", "0"), "above 0"),
        (("--mean", "nan"), "expected numbers"),
        (("--mean", "0,1"), "2 values, but the network 1 channels"),
    ],
)
def test_options_that_can_not_be(
    options: tuple[str, str], message: str, keras_files: Path, tmp_path: Path, zoo: Zoo
) -> None:
    out = tmp_path / "out.safetensors"
    ended = zoo("import", "keras", keras_files / "lecture.h5", "-o", out, *options)
    assert ended.code == 2
    assert message in ended.stderr
    assert not out.exists()


def test_a_refused_file_is_exit_5(tmp_path: Path, zoo: Zoo) -> None:
    path = tmp_path / "model.h5"
    path.write_text("no HDF5")
    ended = zoo("import", "keras", path, "-o", tmp_path / "out.safetensors", "--json")
    assert ended.code == 5
    assert ended.json["error"]["kind"] == "ModelFileError"
