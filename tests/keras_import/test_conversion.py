"""Settings that change what a layer computes are followed, and those that can't be are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from zoo.architectures.sequential import Sequential
from zoo.errors import ModelFileError
from zoo.keras_import.config import KerasLayer
from zoo.keras_import.conversion import Conversion, Converted, check_output

NAMES = (
    "relu", "relu6", "leaky_relu", "elu", "selu", "sigmoid", "hard_sigmoid", "tanh", "softplus",
    "softsign", "silu", "hard_silu", "gelu", "mish", "exponential", "linear", "softmax",
    "log_softmax",
)  # fmt: skip


def convert(
    kind: str, shape: tuple[int, ...] = (4, 8, 8), keras_major: int = 3, **settings: Any
) -> Converted:
    layer = KerasLayer(kind, "it", {"name": "it", **settings})
    return Conversion(shape, keras_major, denses=1).convert(layer, "it")


def run(converted: Converted, x: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = Sequential([converted.spec.model_dump()])(x)
    return result


@pytest.mark.parametrize("name", NAMES)
def test_every_activation_computes_what_kerass_does(name: str, keras_files: Path) -> None:
    with np.load(keras_files / "outputs.npz") as known:
        values, expected = (
            torch.from_numpy(known[key]) for key in ("function.values", f"function.{name}")
        )
    found = run(convert("Activation", shape=(73,), activation=name), values)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_relu_of_every_kind() -> None:
    x = torch.tensor([[-2.0, 0.5, 7.0, 9.0]])
    for settings, expected in (
        ({}, [0, 0.5, 7, 9]),
        ({"max_value": 6.0}, [0, 0.5, 6, 6]),
        ({"max_value": 8.0}, [0, 0.5, 7, 8]),
        ({"negative_slope": 0.5}, [-1, 0.5, 7, 9]),
    ):
        found = run(convert("ReLU", shape=(4,), **settings), x)
        assert found.tolist() == [expected]
    for refused in ({"threshold": -1.0}, {"max_value": -6.0}, {"negative_slope": -0.1}):
        with pytest.raises(ModelFileError, match="is below 0"):
            convert("ReLU", shape=(4,), **refused)


# What Keras 3.15 gives for these numbers; one at the threshold counts as below.
NUMBERS = (-7.0, -0.5, 0.0, 0.5, 1.0, 1.5, 4.0, 6.0, 9.0)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"threshold": 1.0}, (0, 0, 0, 0, 0, 1.5, 4, 6, 9)),
        ({"threshold": 1.0, "negative_slope": 0.25},
         (-2, -0.375, -0.25, -0.125, 0, 1.5, 4, 6, 9)),
        ({"threshold": 1.0, "max_value": 6.0}, (0, 0, 0, 0, 0, 1.5, 4, 6, 6)),
        ({"max_value": 6.0, "negative_slope": 0.5}, (-3.5, -0.25, 0, 0.5, 1, 1.5, 4, 6, 6)),
        ({"threshold": 1.5, "negative_slope": 0.5, "max_value": 4.0},
         (-4.25, -1, -0.75, -0.5, -0.25, 0, 4, 4, 4)),
        ({"threshold": 5.0, "max_value": 4.0}, (0, 0, 0, 0, 0, 0, 0, 4, 4)),
        ({"max_value": 0.0}, (0,) * 9),
        ({"max_value": 0.0, "negative_slope": 0.5}, (-3.5, -0.25, 0, 0, 0, 0, 0, 0, 0)),
    ],
)  # fmt: skip
def test_a_relu_with_several_settings(
    settings: dict[str, float], expected: tuple[float, ...]
) -> None:
    found = run(convert("ReLU", shape=(9,), **settings), torch.tensor([NUMBERS]))
    torch.testing.assert_close(found, torch.tensor([expected], dtype=torch.float32))


def test_a_dense_of_1x1_maps_needs_a_flatten_to_end_with() -> None:
    pool = KerasLayer("GlobalMaxPooling2D", "pool", {"keepdims": True})
    dense = KerasLayer("Dense", "dense", {"units": 3})
    conversion = Conversion((4, 8, 8), 3, denses=1)
    layers = [pool, dense, KerasLayer("Softmax", "softmax", {})]
    for layer in layers:
        conversion.convert(layer, layer.name)
    assert conversion.shape == (3, 1, 1)
    with pytest.raises(ModelFileError, match="no Flatten follows") as refused:
        check_output(layers, conversion.shape)
    assert refused.value.message.startswith("dense (Dense): ")
    flatten = KerasLayer("Flatten", "flatten", {})
    conversion.convert(flatten, "flatten")
    check_output([*layers, flatten], conversion.shape)


def test_keras_2_called_the_slope_alpha() -> None:
    x = torch.tensor([[-1.0]])
    assert run(convert("LeakyReLU", shape=(1,), alpha=0.25), x).item() == -0.25
    assert run(convert("LeakyReLU", shape=(1,)), x).item() == pytest.approx(-0.3)


def test_the_momentum_is_the_rest() -> None:
    spec: Any = convert("BatchNormalization", momentum=0.9, epsilon=0.01, axis=[3]).spec
    assert (spec.momentum, spec.eps) == (0.1, 0.01)


def test_a_rescaling_of_each_channel() -> None:
    converted = convert("Rescaling", shape=(2, 1, 1), scale=[2, 4], offset=[0, 1])
    assert run(converted, torch.ones(1, 2, 1, 1)).flatten().tolist() == [2, 5]


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("Conv2D", {"filters": 4, "kernel_size": 3, "data_format": "channels_first"},
         "not channels_last"),
        ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": "causal"}, "'causal'"),
        ("Conv2D", {"filters": 4, "kernel_size": 9}, "larger than the 8×8"),
        ("Conv2D", {"filters": 4, "kernel_size": 3, "groups": 3}, "unevenly"),
        ("Conv2D", {"filters": "4", "kernel_size": 3}, "filters is no whole number"),
        ("Conv2D", {"filters": 10**9, "kernel_size": 3}, "out_channels"),
        ("Conv2D", {"filters": 4, "kernel_size": 3, "lora_rank": 2}, "its setting lora_rank"),
        ("Conv2D", {"filters": 4, "kernel_size": 3, "activation": {"class_name": "function"}},
         "one's own"),
        ("Conv2D", {"filters": 4, "kernel_size": 3, "activation": "quick"}, "'quick'"),
        ("Dense", {"units": 4}, "it gets maps"),
        ("BatchNormalization", {"axis": 1}, "its axis 1 is not"),
        ("BatchNormalization", {"renorm": True}, "its renorm"),
        ("Dropout", {"rate": 0.5, "noise_shape": [None, 1, 1, 4]}, "its setting noise_shape"),
        ("Dropout", {"rate": 2.0}, "rate"),
        ("Softmax", {"axis": 1}, "its axis 1 is not"),
        ("ZeroPadding2D", {"padding": [[-1, 0], [0, 0]]}, "zeros"),
        ("Rescaling", {"scale": [1, 2, 3], "offset": 0}, "3 values for 4 channels"),
    ],
)  # fmt: skip
def test_what_can_not_be_is_refused(kind: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFileError, match=message) as refused:
        convert(kind, **settings)
    assert refused.value.message.startswith(f"it ({kind}): ")


def test_keras_2_computed_another_hard_sigmoid() -> None:
    with pytest.raises(ModelFileError, match="Keras 2's"):
        convert("Activation", keras_major=2, activation="hard_sigmoid")


def test_settings_of_training_alone_do_not_matter() -> None:
    convert(
        "Conv2D", filters=4, kernel_size=3, kernel_initializer={"class_name": "x"}, seed=3,
        kernel_regularizer={"class_name": "L2"}, quantization_config=None, trainable=False,
    )  # fmt: skip
