"""`zoo explain`."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from torch import Tensor

from tests.conftest import Ended
from tests.pictures import gradient
from zoo import modelfile
from zoo.explain import drawing
from zoo.explain.cam import look

Zoo = Callable[..., Ended]

IMAGE = "1 1 1 0 0; 0 1 1 1 0; 0 0 1 1 1; 0 0 1 1 0; 0 1 1 0 0"
KERNEL = "1 0 1; 0 1 0; 1 0 1"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    gradient("RGB", (60, 40)).save(path)
    return path


def test_the_slides_convolution(zoo: Zoo) -> None:
    text = zoo("explain", "conv", "--image", IMAGE, "--kernel", KERNEL).stdout
    assert "(5 − 3)/1 + 1 = 3" in text
    for row in ("4 3 4", "2 4 3", "2 3 4"):
        assert any(line.endswith(row) for line in text.splitlines())


def test_the_convolutions_json(zoo: Zoo) -> None:
    flags = ("--image", IMAGE, "--kernel", KERNEL, "--steps", "--json")
    document = zoo("explain", "conv", *flags).json
    assert document["output"] == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]
    assert len(document["steps"]) == 9
    assert document["steps"][1] == {
        "row": 0,
        "column": 1,
        "window": [[1, 1, 0], [1, 1, 1], [0, 1, 1]],
        "products": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        "value": 3,
    }
    assert "steps" not in zoo("explain", "conv", *flags[:4], "--json").json
    strided = zoo("explain", "conv", *flags[:4], "--stride", 2, "--padding", "same", "--json").json
    assert strided["output_size"] == [3, 3]
    assert strided["padding"] == {"top": 1, "bottom": 1, "left": 1, "right": 1}


def test_negative_numbers_are_no_options(zoo: Zoo) -> None:
    document = zoo("explain", "conv", "--image", "-1 1; 1 -1", "--kernel", "-1", "--json").json
    assert document["output"] == [[1, -1], [-1, 1]]


def test_pooling(zoo: Zoo) -> None:
    flags = ("--image", "1 3 2 1; 4 6 5 0; 7 2 9 8; 1 0 3 4")
    assert zoo("explain", "pool", *flags, "--json").json["output"] == [[6, 5], [7, 9]]
    mean = zoo("explain", "pool", *flags, "--kind", "average", "--steps", "--json").json
    assert mean["output"] == [[3.5, 2], [2.5, 6]]
    assert mean["steps"][0] == {"row": 0, "column": 0, "window": [[1, 3], [4, 6]], "value": 3.5}
    ended = zoo("explain", "pool", *flags, "--kind", "sum", "--size", 3)
    assert "the last 1 of 4 rows" in ended.stderr
    assert "⌊(4 − 3)/3⌋ + 1 = 1" in ended.stdout


def test_a_picture_is_shaded_and_written(zoo: Zoo, picture: Path, tmp_path: Path) -> None:
    output = tmp_path / "edges.png"
    flags = ("--picture", picture, "--kernel", "-1 1", "--png", output)
    ended = zoo("explain", "conv", *flags, "--steps")
    assert "feature map 40×59" in ended.stdout
    shaded = ended.stdout.partition(str(output))[0]
    assert max(len(line) for line in shaded.splitlines()) <= 80
    assert "the first 100 of 2,360 steps" in ended.stderr
    assert _size(output) == [59 * 17, 40 * 17]
    again = zoo("explain", "conv", *flags)
    assert (again.code, again.stdout) == (2, "")
    assert "--force" in again.stderr
    assert zoo("explain", "conv", *flags, "--force").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("conv", "--image", "1 2; 3 4", "--kernel", KERNEL), 2, "3×3 does not fit into an image"),
        (("conv", "--image", "1 2; 3", "--kernel", "1"), 2, "--image: row 2 ends at column 1"),
        (("conv", "--image", "1 2; 3 x", "--kernel", "1"), 2, "row 2, column 2: 'x'"),
        (("conv", "--image", "1 nan", "--kernel", "1"), 2, "row 1, column 2: 'nan'"),
        (("conv", "--image", "1", "--kernel", "inf"), 2, "--kernel: row 1, column 1: 'inf'"),
        (("conv", "--image", "", "--kernel", "1"), 2, "--image: row 1 is empty"),
        (
            ("conv", "--image", "1", "--kernel", "1", "--stride", "0"),
            2,
            "greater than or equal to 1",
        ),
        (("conv", "--image", "1", "--kernel", "1", "--padding", "some"), 2, "valid, same, or"),
        (("conv", "--image", "1", "--kernel", "1", "--padding", "3"), 2, "too much for a kernel"),
        (("conv", "--kernel", "1"), 2, "either --image or --picture"),
        (("conv", "--image", "1", "--picture", "a", "--kernel", "1"), 2, "either --image or"),
        (("conv", "--image", "1", "--kernel", "1", "--force"), 2, "does not apply without --png"),
        (("conv", "--picture", "none.png", "--kernel", "1"), 4, "no such file or directory"),
        (("pool", "--image", "1 2; 3 4", "--size", "3"), 2, "3×3 does not fit into an image of"),
        (("pool", "--image", "1", "--kind", "min"), 2, "min"),
        (("learn", "--size", "4"), 2, "less than or equal to 3"),
        (("layers", "lenet6"), 2, "Did you mean lenet5?"),
        (("layers", "lenet5", "--layer", "c33"), 2, "Did you mean c3?"),
        (("layers", "lenet5", "--input-size", "20"), 2, "at least 32×32"),
        (("filters", "lenet6", "-o", "a.png"), 2, "Did you mean lenet5?"),
        (("filters", "lenet5", "-o", "none/a.png"), 2, "does not exist"),
        (("maps", "lenet5", "none.png", "-o", "a.png"), 4, "no such file or directory"),
        (("maps", "lenet6", "none.png", "-o", "a.png"), 2, "Did you mean lenet5?"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: tuple[str, ...], code: int, message: str, zoo: Zoo, in_tmp: Path
) -> None:
    ended = zoo("explain", *arguments)
    assert (ended.code, ended.stdout) == (code, "")
    assert message in ended.stderr
    assert list(in_tmp.iterdir()) == []


def test_learning(zoo: Zoo) -> None:
    text = zoo("explain", "learn").stdout
    assert "Try all 16 filters" in text
    assert "step 50" in text
    document = zoo("explain", "learn", "--size", 3, "--steps", 20, "--seed", 4, "--json").json
    assert len(document["trials"]) == 512
    assert [one["step"] for one in document["history"]] == list(range(21))
    assert document["history"][-1]["error"] < document["history"][0]["error"] / 100
    assert document["patterns"]["X"] == [[1, -1, 1], [-1, 1, -1], [1, -1, 1]]


def test_layers_json(zoo: Zoo) -> None:
    document = zoo("explain", "layers", "keras-mnist-cnn", "--json").json
    first = document["layers"][0]
    assert first["output_formula"] == ["(28 + 2·2 − 5)/1 + 1 = 28"]
    assert first["params_formula"] == "(5·5·1 + 1)·40 = 1,040"
    assert (first["receptive_field"], first["jump"]) == ([5, 5], [1, 1])
    summary = zoo("summary", "keras-mnist-cnn", "--json").json
    for key in ("name", "params", "mult_adds", "output_shape", "activation"):
        assert [one[key] for one in document["layers"]] == [one[key] for one in summary["layers"]]


def test_one_layer_in_depth(zoo: Zoo) -> None:
    text = zoo("explain", "layers", "lenet5", "--layer", "c3").stdout
    for line in ("(5·5·6 + 1)·16 = 2,416", "c3  6 + (5 − 1)·2 = 14", "one value sees 14×14"):
        assert line in text
    document = zoo("explain", "layers", "lenet5", "--layer", "c3", "--json").json
    (layer,) = document["layers"]
    assert [link["layer"] for link in layer["steps"]["receptive_field"]] == ["c1", "s2", "c3"]


def test_layers_of_other_sizes_and_settings(zoo: Zoo) -> None:
    flags = ("--input-size", "64x48", "--in-channels", 3, "--set", "c1.padding=same")
    rows = list(
        csv.DictReader(io.StringIO(zoo("explain", "layers", "lenet5", *flags, "--csv").stdout))
    )
    assert rows[0]["output_size"] == "(64 + 2·2 − 5)/1 + 1 = 64, (48 + 2·2 − 5)/1 + 1 = 48"
    assert rows[0]["params_formula"] == "(5·5·3 + 1)·6 = 456"
    assert "| c1 | Conv2d |" in zoo("explain", "layers", "lenet5", "--markdown").stdout


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_is_wide_enough(width: int, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("grids", "explain_layers", "output"):
        monkeypatch.setattr(f"zoo.cli.{module}.terminal_width", lambda: width)
    for words in (("layers", "lenet5"), ("layers", "lenet5", "--layer", "c5"), ("learn",)):
        text = zoo("explain", *words).stdout
        assert max(len(line) for line in text.splitlines()) <= width
    text = zoo("explain", "layers", "lenet5").stdout
    assert "2,416·10·10 = 241,600" in text


def test_filters_and_maps_of_a_run(zoo: Zoo, trained: Path, picture: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "filters.png"
    ended = zoo("explain", "filters", trained, "-o", sheet, "--json")
    assert (ended.json["filters"], ended.json["shape"], ended.json["layer"]) == (6, [1, 5, 5], "c1")
    assert ended.json["notes"] == []
    assert _size(sheet) == ended.json["size"]
    maps = tmp_path / "maps.png"
    stages = zoo("explain", "maps", trained, picture, "-o", maps, "--json").json["stages"]
    assert stages == [
        {"layer": "c1_tanh", "shape": [6, 28, 28]},
        {"layer": "s2_tanh", "shape": [6, 14, 14]},
        {"layer": "c3_tanh", "shape": [16, 10, 10]},
        {"layer": "s4_tanh", "shape": [16, 5, 5]},
    ]
    before = maps.read_bytes()
    ended = zoo("explain", "maps", trained, picture, "-o", maps)
    assert (ended.code, maps.read_bytes()) == (2, before)
    assert zoo("explain", "maps", trained, picture, "-o", maps, "--force").code == 0
    assert maps.read_bytes() == before  # the same picture, the same sheet


def test_random_weights_and_colours(zoo: Zoo, picture: Path, tmp_path: Path) -> None:
    ended = zoo("explain", "filters", "lenet5", "-o", tmp_path / "a.png")
    assert "note: the weights are random: nothing is trained yet" in ended.stderr
    model = tmp_path / "rgb.safetensors"
    zoo("build", "lenet5", "--in-channels", 3, "-o", model)
    assert zoo("explain", "filters", model, "-o", tmp_path / "b.png").code == 0
    assert _is_gray(tmp_path / "a.png")
    assert not _is_gray(tmp_path / "b.png")
    assert zoo("explain", "maps", model, picture, "-o", tmp_path / "c.png").code == 0
    assert not _is_gray(tmp_path / "c.png")  # the picture itself


def _size(path: Path) -> list[int]:
    with Image.open(path) as picture:
        return list(picture.size)


def _is_gray(path: Path) -> bool:
    with Image.open(path) as picture:
        pixels = picture.convert("RGB").tobytes()
    triples = zip(pixels[::3], pixels[1::3], pixels[2::3], strict=True)
    # Text and frames have a tinge of blue.
    return all(max(triple) - min(triple) < 20 for triple in triples)


def test_a_disk_that_takes_nothing_is_exit_6(
    zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("PIL.Image.Image.save", full)
    ended = zoo("explain", "filters", "lenet5", "-o", tmp_path / "a.png")
    assert ended.code == 6
    assert "No space left on device" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_speaks_for_a_class(zoo: Zoo, trained: Path, picture: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "cam.png"
    found = zoo("explain", "cam", trained, picture, "-o", sheet, "--json").json
    assert found["layer"] == "s4_tanh"
    (predicted,) = zoo("predict", trained, picture, "--json").json["predictions"]
    assert found["label"] == predicted["label"]
    assert found["probability"] == pytest.approx(predicted["probability"], abs=1e-6)
    assert (len(found["map"]), len(found["map"][0])) == (5, 5)
    assert min(min(row) for row in found["map"]) >= 0
    with Image.open(sheet) as drawn:
        assert list(drawn.size) == found["size"]
    other = "3" if found["label"] != "3" else "4"
    again = zoo("explain", "cam", trained, picture, "--label", other, "-o", sheet, "--json")
    assert again.code == 2  # the file exists
    again = zoo("explain", "cam", trained, picture, "--label", other, "-o", sheet, "--force")
    assert f"what speaks for {other} (" in again.stdout
    wrong = zoo("explain", "cam", trained, picture, "--label", "seven", "-o", tmp_path / "a.png")
    assert (wrong.code, "has no class 'seven'" in wrong.stderr) == (2, True)
    assert "hint: Its classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9." in wrong.stderr
    random = zoo("explain", "cam", "lenet5", picture, "-o", tmp_path / "b.png")
    assert (random.code, "the weights are random" in random.stderr) == (0, True)


def test_a_classes_long_name_does_not_widen_the_sheet(
    zoo: Zoo, trained: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, titles = drawing.draw_cam, list[str]()

    def noted(image: Tensor, shares: Tensor, title: str, lines: list[str]) -> Image.Image:
        titles.append(title)
        return original(image, shares, title, lines)

    monkeypatch.setattr("zoo.explain.drawing.draw_cam", noted)
    for number, name in enumerate(("x" * 180, "数字七", "Käfer")):
        found = replace(look(modelfile.resolve(str(trained)), picture), label=name, index=7)
        monkeypatch.setattr("zoo.explain.cam.look", lambda *_, found=found: found)
        sheet = zoo("explain", "cam", trained, picture, "-o", tmp_path / f"{number}.png", "--json")
        assert (sheet.json["label"], sheet.json["size"][0] < 1200) == (name, True)
    assert [title.partition(" for ")[2] for title in titles] == [
        f"{'x' * 20}…{'x' * 19}", "class 7", "Kafer",
    ]  # fmt: skip
