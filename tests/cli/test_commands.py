"""`list`, `show`, `recipes` and `doctor`."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ended
from zoo import catalog

Zoo = Callable[..., Ended]


def test_lists_json_keys(zoo: Zoo) -> None:
    architectures = zoo("list", "--json").json["architectures"]
    assert [row["name"] for row in architectures] == sorted(card.name for card in catalog.CARDS)
    (lenet5,) = (row for row in architectures if row["name"] == "lenet5")
    assert lenet5 == {
        "name": "lenet5",
        "family": "lenet",
        "year": 1998,
        "input_shape": [1, 32, 32],
        "params": 61_706,
        "total_params": 61_706,
        "mult_adds": 423_038,
        "top1": None,
        "weights": [],
        "paper": "LeCun et al. 1998, Gradient-based learning applied to document recognition",
    }


def test_list_filters(zoo: Zoo) -> None:
    def names(*flags: str) -> list[str]:
        return [row["name"] for row in zoo("list", *flags, "--json").json["architectures"]]

    assert names("--family", "keras") == ["keras-mnist-cnn"]
    assert names("--search", "sparse") == ["lenet5-1998"]
    assert names("--max-params", "61k") == ["lenet5-1998"]
    assert names("--max-params", "61,706") == ["lenet5", "lenet5-1998"]
    assert names("--max-params", "6M", "--sort", "params")[0] == "lenet5-1998"
    assert {"resnet50", "vgg16"} <= {*names("--pretrained")}
    assert "No architecture meets" in zoo("list", "--pretrained", "--family", "lenet").stdout
    for wrong in ("many", "", "M", "inf", "nan"):
        assert zoo("list", "--max-params", wrong).code == 2
    assert "keras, lenet, mobilenet" in zoo("list", "--family", "lennet").stderr


def test_list_says_how_many_more_there_are_and_shows_them(zoo: Zoo) -> None:
    listed = zoo("list", "--json").json
    everything = zoo("list", "--all", "--json").json
    (note,) = listed["notes"]
    more = [int(word.replace(",", "")) for word in note.split() if word[0].isdigit()]
    assert len(listed["architectures"]) + sum(more) == len(everything["architectures"])
    assert everything["notes"] == []
    found = zoo("list", "--search", "swin v2 t", "--json").json["architectures"]
    assert "torchvision/swin_v2_t" in [row["name"] for row in found]
    text = zoo("show", "timm/test_vit").stdout
    assert "vision_transformer.py" in text
    assert "departures" not in text


def test_the_table_flags(zoo: Zoo) -> None:
    rows = list(csv.DictReader(io.StringIO(zoo("list", "--csv").stdout)))
    cards = catalog.select()
    assert [row["params"] for row in rows] == [str(card.params) for card in cards]
    assert rows[0]["input_shape"] == "3×227×227"
    markdown = zoo("list", "--markdown").stdout.splitlines()
    assert markdown[0].startswith("| Name | Family |")
    assert markdown[1].startswith("| --- | --- | ---: |")
    assert all(line.count("|") == markdown[0].count("|") for line in markdown)


def test_show_an_architecture(zoo: Zoo) -> None:
    text = zoo("show", "LeNet5_1998").stdout
    card = catalog.find("lenet5-1998")
    for part in (card.paper, "60,000", *card.departures, "zoo train lenet5-1998"):
        assert part in text
    assert zoo("show", "lenet5", "--json").json["card"]["recipe"] == "digits"


def test_show_a_file(zoo: Zoo, trained: Path, tmp_path: Path) -> None:
    text = zoo("show", trained).stdout
    for part in ("0, 1, 2, 3, 4, 5, 6, 7, 8, 9", "28×28", "digits", "edits: none", "epoch "):
        assert part in text
    document = zoo("show", trained, "--json").json
    assert document["architecture"] == "lenet5"
    assert document["classes"] == list("0123456789")
    edited = tmp_path / "e.safetensors"
    zoo("build", "lenet5", "--set", "c1.out_channels=9", "-o", edited)
    assert "1. set c1.out_channels = 9" in zoo("show", edited).stdout


def test_show_refuses_what_is_no_model(zoo: Zoo, tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"\xff\xd8\xff\xe0 picture")
    ended = zoo("show", tmp_path / "cat.jpg", "--json")
    assert (ended.code, ended.json["error"]["kind"]) == (5, "ModelFileError")


def test_recipes(zoo: Zoo, tmp_path: Path) -> None:
    listed = zoo("recipes", "list", "--json").json["recipes"]
    assert {"name", "source", "description"} == set(listed[0])
    assert {"digits", "shapes", "fashion-mnist", "folder"} <= {row["name"] for row in listed}
    assert "# 1,797 real handwritten digits" in zoo("recipes", "show", "digits").stdout
    shown = zoo("recipes", "show", "digits", "--json").json["recipe"]
    assert shown["dataset"]["source"] == "digits"
    assert zoo("recipes", "show", "digitz").code == 3
    bad = tmp_path / "bad.yaml"
    bad.write_text("train: {epohs: 3}\naugment: {rotation_range: -1}\n")
    ended = zoo("recipes", "validate", "digits", bad, "--json")
    assert ended.code == 3
    assert ended.json["files"] == [{"file": "digits", "ok": True}, {"file": str(bad), "ok": False}]
    assert ended.json["error"]["details"][0] == {
        "file": str(bad),
        "line": 1,
        "column": 9,
        "path": "train.epohs",
        "message": "train.epohs is no option.",
        "suggestion": "Did you mean epochs?",
    }
    text = zoo("recipes", "validate", "digits", bad)
    assert text.stdout == "digits: ok\n"
    assert f"{bad}:2:11: augment.rotation_range must be" in text.stderr


def test_doctor(zoo: Zoo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    document = zoo("doctor", "--json").json
    assert document["versions"]["torch"]
    assert "cpu" in document["devices"]
    assert document["directories"]["cache"] == str(tmp_path / "cache")
    assert set(document["arithmetic"]) == {"avx2", "avx512_bf16", "amx_bf16", "cuda_bf16"}
    assert {extra["name"] for extra in document["extras"]} == {
        "export", "keras", "report", "tensorboard", "timm",
    }  # fmt: skip
    assert not (tmp_path / "cache").exists()


def test_doctor_names_what_to_install(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError, version

    def lacking(name: str) -> str:
        if name == "onnx":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr("zoo.doctor.version", lacking)
    assert "missing onnx: pip install 'cnn-zoo[export]'" in zoo("doctor").stdout
