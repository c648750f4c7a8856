"""An imported network gives what Keras gives, layer for layer."""

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zoo import modelfile
from zoo.architectures.sequential import OutputSigmoid, OutputSoftmax
from zoo.description import read_description
from zoo.errors import ModelFileError, NotFoundError, OutputExistsError, UsageError
from zoo.keras_import import Imported, Scale, import_keras
from zoo.layer_specs import Activation
from zoo.summary import summarize
from zoo.surgery.head import replacing

FILES = (
    "lecture.h5", "convolutional.h5", "convolutional.keras", "functional.h5", "functional.keras",
    "fully_convolutional.h5", "fully_convolutional.keras", "binary.h5", "binary.keras",
    "perceptron.keras", "features.keras", "keras2_convolutional.h5", "keras2_convolutional.keras",
    "keras2_functional.h5", "keras2_functional.keras", "keras2_list.h5", "kept_sides.h5",
    "kept_sides.keras", "kept_sides_flat.keras",
)  # fmt: skip
MADE_FROM = {"keras2_list": "keras2_convolutional"}

EVERY_FILE = pytest.mark.parametrize("name", FILES)


def config_of(path: Path) -> Any:
    """What the file says of its layers."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as packed:
            return json.loads(packed.read("config.json"))
    with h5py.File(path) as file:
        return json.loads(file.attrs["model_config"])


def weights_of(path: Path) -> int:
    """How many numbers an .h5 holds as weights."""
    sizes = []
    with h5py.File(path) as file:
        file["model_weights"].visititems(
            lambda _, item: sizes.append(item.size) if isinstance(item, h5py.Dataset) else None
        )
    return sum(sizes)


def known(keras_files: Path, name: str) -> tuple[Tensor, Tensor]:
    """Pictures, channels first, and what Keras makes of them."""
    stem = name.partition(".")[0]
    stem = MADE_FROM.get(stem, stem)
    with np.load(keras_files / "outputs.npz") as outputs:
        pictures, expected = outputs[f"{stem}.input"], outputs[f"{stem}.output"]
    if pictures.ndim == 3:
        pictures = pictures[..., None]
    return torch.from_numpy(pictures).permute(0, 3, 1, 2), torch.from_numpy(expected)


def imported(keras_files: Path, name: str, tmp_path: Path, **options: Any) -> Imported:
    return import_keras(keras_files / name, tmp_path / "out.safetensors", **options)


@torch.no_grad()
def outputs(network: nn.Module, pictures: Tensor) -> Tensor:
    """What Keras's model would give: its output's activation is taken here."""
    logits: Tensor = network(pictures)
    kinds = {type(module) for module in network.children()}
    if OutputSoftmax in kinds:
        return logits.softmax(dim=1)
    return logits.softmax(dim=1)[:, 1:] if OutputSigmoid in kinds else logits


@EVERY_FILE
def test_the_outputs_are_kerass(name: str, keras_files: Path, tmp_path: Path) -> None:
    imported(keras_files, name, tmp_path)
    pictures, expected = known(keras_files, name)
    found = outputs(modelfile.load(tmp_path / "out.safetensors"), pictures)
    assert expected.std(dim=0).max() > 1e-4  # they depend on the picture
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@EVERY_FILE
def test_a_row_is_a_layer(name: str, keras_files: Path, tmp_path: Path) -> None:
    found = imported(keras_files, name, tmp_path).after
    config = config_of(keras_files / name)["config"]
    layers = config if isinstance(config, list) else config["layers"]
    theirs = [layer["config"]["name"] for layer in layers if layer["class_name"] != "InputLayer"]
    replaced = {
        "block 1-conv": "block_1_conv", "block1/conv": "block1_conv", "norm.1": "norm_1",
        "train": "train_",
    }  # fmt: skip
    assert [row.name for row in found.layers] == [replaced.get(one, one) for one in theirs]
    if name.endswith(".h5"):
        assert found.total_params == weights_of(keras_files / name)


def test_the_lectures_figures(keras_files: Path, tmp_path: Path) -> None:
    found = imported(keras_files, "lecture.h5", tmp_path).after
    assert (found.total_params, found.trainable_params, found.non_trainable_params) == (
        87_290, 87_162, 128,
    )  # fmt: skip
    assert [row.activation for row in found.layers if row.params] == [
        "relu", "relu", "relu", None, "softmax",
    ]  # fmt: skip


def test_no_softmax_is_trained_twice(keras_files: Path, tmp_path: Path) -> None:
    imported(keras_files, "lecture.h5", tmp_path)
    network = modelfile.load(tmp_path / "out.safetensors")
    pictures, probabilities = known(keras_files, "lecture.h5")
    targets = torch.tensor([3, 1, 7])
    loss = nn.functional.cross_entropy(network(pictures), targets)
    expected = -probabilities[range(3), targets].log().mean()
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=0)


def test_what_the_file_says_of_itself(keras_files: Path, tmp_path: Path) -> None:
    found = imported(keras_files, "lecture.h5", tmp_path)
    description = read_description(tmp_path / "out.safetensors")
    assert description == found.description.model_copy(update={"versions": description.versions})
    assert description.origin.startswith("Keras file, SHA-256 ")
    assert description.is_trained
    assert not description.knows_scale
    assert description.input_shape == (1, 28, 28)
    assert any("does not say how pictures were scaled" in note for note in found.notes)
    assert any("names no classes" in note for note in found.notes)


def test_the_same_file_makes_the_same_bytes(keras_files: Path, tmp_path: Path) -> None:
    imported(keras_files, "binary.keras", tmp_path)
    first = (tmp_path / "out.safetensors").read_bytes()
    with pytest.raises(OutputExistsError):
        imported(keras_files, "binary.keras", tmp_path)
    imported(keras_files, "binary.keras", tmp_path, force=True)
    assert (tmp_path / "out.safetensors").read_bytes() == first


def test_class_names(keras_files: Path, tmp_path: Path) -> None:
    found = imported(keras_files, "binary.h5", tmp_path, classes=("cat", "dog"))
    assert found.description.classes == ("cat", "dog")
    assert not any("names no classes" in note for note in found.notes)
    for wrong in (("cat",), ("cat", "cat"), ("cat", ""), ("a", "b", "c")):
        with pytest.raises(UsageError, match="--classes needs 2 different names"):
            imported(keras_files, "binary.h5", tmp_path, classes=wrong, force=True)


def test_a_first_rescaling_stays_a_layer(keras_files: Path, tmp_path: Path) -> None:
    found = imported(keras_files, "convolutional.keras", tmp_path)
    assert found.description.preprocessing.rescale == 1
    assert found.description.knows_scale
    assert any("pictures stay in 0 to 255: rescaling scales" in note for note in found.notes)
    with pytest.raises(UsageError, match="first layer scales"):
        imported(keras_files, "convolutional.keras", tmp_path, scale=Scale(rescale=0.1), force=True)


def test_the_scale_can_be_told(keras_files: Path, tmp_path: Path) -> None:
    scale = Scale(1 / 127.5, mean=(1.0,), std=(0.5, 0.25, 0.125))
    found = imported(keras_files, "binary.h5", tmp_path, scale=scale)
    kept = found.description.preprocessing
    assert (kept.rescale, kept.mean, kept.std) == (1 / 127.5, (1.0,) * 3, (0.5, 0.25, 0.125))
    assert found.description.knows_scale
    assert not any("does not say how" in note for note in found.notes)


def test_a_softmax_below_a_flatten_of_1x1_maps_is_the_output(
    keras_files: Path, tmp_path: Path
) -> None:
    found = imported(keras_files, "kept_sides.keras", tmp_path, classes="abcd")
    assert [row.type for row in found.after.layers if row.name.startswith("dense")] == [
        "Conv2d"
    ] * 2
    assert [row.activation for row in found.after.layers][-2:] == ["softmax", None]
    assert not any("softmax" in note for note in found.notes)
    assert "a Dense that reads 1×1 maps is a 1×1 convolution here: dense, dense_1" in found.notes


def test_a_new_head_of_several_classes_in_place_of_a_sigmoid(
    keras_files: Path, tmp_path: Path
) -> None:
    described = imported(keras_files, "binary.h5", tmp_path).description
    layers = described.arguments.layers
    assert layers is not None
    bare = layers[-1].model_copy(update={"activation": None})
    function = {"name": "output-sigmoid", "value": None}
    own = Activation.model_validate({"name": "last", "function": function})
    as_layer = described.arguments.model_copy(update={"layers": (*layers[:-1], bare, own)})
    pictures = torch.rand(2, *described.input_shape)
    for arguments, column in ((described.arguments, "softmax"), (as_layer, None)):
        made = described.model_copy(update={"arguments": arguments})
        network = modelfile.build(made)
        assert network(pictures).shape == (2, 2)
        head = replacing(network, described.input_shape, 10)
        found = summarize(modelfile.outline(modelfile.with_edits(made, [head])), (3, 12, 12))
        rows = {row.name: (row.type, row.activation) for row in found.layers}
        assert rows["dense"] == ("Linear", column)
        assert rows.get("last", ("Softmax", None)) == ("Softmax", None)
        assert len(rows) == len(arguments.layers or ())
        assert head.apply(network, described.input_shape)(pictures).shape == (2, 10)


def test_a_last_sigmoid_of_several_outputs_stays(keras_files: Path, tmp_path: Path) -> None:
    found = imported(keras_files, "perceptron.keras", tmp_path)
    assert any("ends in sigmoid, not in a softmax" in note for note in found.notes)
    assert found.description.arguments.num_classes == 3


def test_what_is_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.h5"):
        with pytest.raises(NotFoundError, match="is no file"):
            import_keras(path, tmp_path / "out.safetensors")


def test_without_h5py(keras_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(UsageError, match="need h5py") as refused:
        imported(keras_files, "binary.h5", tmp_path)
    assert refused.value.hint == "pip install 'cnn-zoo[keras]'"


def test_every_damaged_file_has_one_message(keras_files: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    for name in ("binary.h5", "binary.keras"):
        whole = (keras_files / name).read_bytes()
        messages = []
        for _ in range(30):
            content = bytearray(whole)
            for place in random.integers(0, len(content), 5):
                content[place] ^= int(random.integers(1, 256))
            damaged = tmp_path / name
            damaged.write_bytes(content[: random.integers(len(content) // 2, 2 * len(content))])
            try:
                import_keras(damaged, tmp_path / "out.safetensors", force=True)
            except ModelFileError as error:
                messages.append(error.message)
        assert len(messages) >= 20
        assert not any("\n" in message for message in messages)
