"""`zoo summary`."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ended

Zoo = Callable[..., Ended]


def test_json_keys(zoo: Zoo) -> None:
    document = zoo("summary", "keras-mnist-cnn", "--json").json
    assert {
        key: document[key]
        for key in (
            "model", "input_shape", "total_params", "trainable_params", "non_trainable_params",
            "torch_params", "mult_adds",
        )
    } == {
        "model": "keras-mnist-cnn", "input_shape": [1, 28, 28], "total_params": 87_290,
        "trainable_params": 87_162, "non_trainable_params": 128, "torch_params": 87_162,
        "mult_adds": 2_553_418,
    }  # fmt: skip
    first, second = document["layers"][:2]
    assert {k: first[k] for k in ("name", "type", "activation", "output_shape", "params")} == {
        "name": "conv1_1",
        "type": "Conv2d",
        "activation": "relu",
        "output_shape": [40, 28, 28],
        "params": 1040,
    }
    assert (first["trainable"], second["trainable"]) == (True, None)
    assert sum(layer["params"] for layer in document["layers"]) == 87_290


def test_kerass_table(zoo: Zoo) -> None:
    lines = zoo("summary", "keras-mnist-cnn", "--style", "keras").stdout.splitlines()
    assert lines[2].split() == ["conv1_1", "(Conv2D)", "(None,", "28,", "28,", "40)", "1040"]
    assert lines[10].split() == [
        "batch_normalization_1", "(BatchNormalization)", "(None,", "64)", "256",
    ]  # fmt: skip
    assert lines[12].split() == ["dense_2", "(Dense)", "(None,", "10)", "650"]
    assert lines[-3:] == [
        "Total params: 87,290",
        "Trainable params: 87,162",
        "Non-trainable params: 128",
    ]


def test_asserting_counts(zoo: Zoo) -> None:
    good = ("--assert-params", 87_290, "--assert-torch-params", 87_162)
    assert zoo("summary", "keras-mnist-cnn", *good).code == 0
    ended = zoo("summary", "keras-mnist-cnn", "--assert-params", 87_162)
    assert ended.code == 10
    assert "conv1_1" in ended.stdout
    assert "87,290 parameters with batch-norm statistics (Keras)" in ended.stderr
    assert "87,162 without (PyTorch)" in ended.stderr
    missed = zoo("summary", "keras-mnist-cnn", "--assert-torch-params", 87_290, "--json")
    assert missed.code == 10
    assert missed.json["ok"] is False
    assert missed.json["total_params"] == 87_290  # the figures stay beside the error


def test_sizes_channels_classes_and_settings(zoo: Zoo) -> None:
    flags = ("--input-size", "64x48", "--in-channels", 3, "--num-classes", 5)
    document = zoo("summary", "lenet5", *flags, "--set", "c1.kernel_size=3", "--json").json
    assert document["input_shape"] == [3, 64, 48]
    assert document["layers"][0]["params"] == 6 * (9 * 3 + 1)
    assert document["layers"][-1]["output_shape"] == [5]


def test_depth_joins_layers(zoo: Zoo) -> None:
    assert len(zoo("summary", "lenet5", "--depth", 1, "--json").json["layers"]) == 7


def test_csv_and_markdown(zoo: Zoo) -> None:
    rows = list(csv.DictReader(io.StringIO(zoo("summary", "lenet5", "--csv").stdout)))
    assert sum(int(row["params"]) for row in rows) == 61_706
    assert "| c1 | Conv2d | 6×28×28 |" in zoo("summary", "lenet5", "--markdown").stdout


def test_a_run_and_a_file(zoo: Zoo, trained: Path) -> None:
    for model in (trained, trained / "last.safetensors"):
        assert zoo("summary", model, "--json").json["total_params"] == 61_706


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lenet6",), "Did you mean lenet5?"),
        (("lenet5", "--input-size", "20"), "at least 32×32"),
        (("lenet5", "--input-size", "0"), "expected a side of 1 to 4096"),
        (("lenet5", "--input-size", "1000000"), "expected a side of 1 to 4096"),
        (("lenet5", "--num-classes", "100000000"), "less than or equal to 1000000"),
        (("lenet5", "--input-size", "axb"), "expected a side of 1 to 4096"),
        (("lenet5", "--input-size", "3x4x5"), "expected a side of 1 to 4096"),
        (("lenet5", "--set", "c1.out_channel=3"), "Did you mean out_channels?"),
        (("lenet5", "--set", "c1.out_channels=many"), "is no value for out_channels"),
        (("lenet5", "--set", "c1.out_channels=-3"), "is no value for out_channels"),
        (("lenet5", "--set", "train.epochs=3"), "takes no recipe"),
        (("lenet5", "--set", "c1"), "expected KEY=VALUE"),
        (("lenet5", "--num-classes", "0"), "greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple[str, ...], message: str, zoo: Zoo) -> None:
    ended = zoo("summary", *arguments)
    assert ended.code == 2
    assert message in ended.stderr
    assert ended.stdout == ""
