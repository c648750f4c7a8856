"""Layers in a row are checked before anything is made of them."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from zoo import description, modelfile, tensorfile
from zoo.description import Arguments, Description
from zoo.errors import ModelFileError, UsageError
from zoo.keras_import import import_keras
from zoo.summary import summarize

DENSE: dict[str, Any] = {"type": "linear", "name": "out", "in_features": 16, "out_features": 3}
FLATTEN: dict[str, Any] = {"type": "flatten", "name": "flatten"}


def arguments(*layers: dict[str, Any], size: int = 4) -> Arguments:
    return Arguments.model_validate(
        {"num_classes": 3, "in_channels": 1, "input_size": [size, size], "layers": list(layers)}
    )


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "at least 1"),
        ([DENSE], "out does not fit: it takes a vector"),
        ([FLATTEN, {**DENSE, "in_features": 15}], "takes 15 values, and gets 16"),
        ([FLATTEN, {**FLATTEN}], "the same name"),
        ([FLATTEN, {**DENSE, "name": "a.b"}], "pattern"),
        ([FLATTEN, {**DENSE, "out_features": 2**27}], "more than 500,000,000"),
        ([FLATTEN, {**DENSE, "shell": "rm"}], "Extra inputs"),
        ([{"type": "lambda", "name": "a"}], "does not match any of the expected tags"),
    ],
)
def test_what_does_not_fit_is_refused(layers: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        arguments(*layers)


def test_other_architectures_say_nothing_of_layers() -> None:
    described = description.describe("lenet5")
    assert "layers" not in described.model_dump()["arguments"]
    assert "layers" not in described.model_dump(mode="json")["arguments"]


def test_counts_are_those_of_the_network(keras_files: Path, tmp_path: Path) -> None:
    for path in keras_files.glob("*.keras"):
        imported = import_keras(path, tmp_path / "out.safetensors", force=True)
        layers = imported.description.arguments.layers
        assert layers is not None
        assert [layer.params for layer in layers] == [row.params for row in imported.after.layers]


def test_a_file_whose_layers_are_another_networks(keras_files: Path, tmp_path: Path) -> None:
    """The architecture and its layers must belong together."""
    path = tmp_path / "out.safetensors"
    import_keras(keras_files / "binary.h5", path)
    made = description.read_description(path)
    network = modelfile.load(path)

    def written(changed: Description) -> Path:
        tensorfile.write(path, changed.model_dump(mode="json"), network.state_dict())
        return path

    with pytest.raises(ModelFileError, match="no lenet5 has such layers"):
        description.read_description(written(made.model_copy(update={"architecture": "lenet5"})))
    bare = made.arguments.model_copy(update={"layers": None})
    with pytest.raises(ModelFileError, match="no keras-sequential has such layers"):
        description.read_description(written(made.model_copy(update={"arguments": bare})))


def test_a_name_that_no_module_can_have(keras_files: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.safetensors"
    import_keras(keras_files / "binary.h5", path)
    made, network = description.read_description(path), modelfile.load(path)
    layers = made.arguments.layers
    assert layers is not None
    named = layers[0].model_copy(update={"name": "forward"})
    spoiled = made.arguments.model_copy(update={"layers": (named, *layers[1:])})
    document = made.model_copy(update={"arguments": spoiled}).model_dump(mode="json")
    tensorfile.write(path, document, network.state_dict())
    with pytest.raises(ModelFileError, match="No layer can be called 'forward'"):
        modelfile.load(path)


@pytest.mark.parametrize(
    "layers",
    [
        [{"type": "activation", "name": "a", "function": {"name": "relu"}}],
        [FLATTEN, {**DENSE, "out_features": 1}],
    ],
)
def test_maps_or_a_number_are_no_classes(layers: list[dict[str, Any]]) -> None:
    described = description.describe("keras-sequential", 1, 1, (4, 4))
    given = arguments(*layers).model_copy(update={"num_classes": 1})
    described = described.model_copy(update={"arguments": given})
    assert described.is_headless
    with pytest.raises(UsageError, match="imported without a classifier"):
        modelfile.check_has_head(modelfile.Source("it", Path("it"), described))
    assert not arguments(FLATTEN, DENSE).tells_no_classes


def test_layers_of_their_own_are_rows() -> None:
    layers = (
        {"type": "activation", "name": "first", "function": {"name": "exponential"}},
        FLATTEN,
        {**DENSE, "activation": {"name": "relu"}},
        {"type": "activation", "name": "last", "function": {"name": "tanh"}},
    )
    described = description.describe("keras-sequential", 3, 1, (4, 4))
    described = described.model_copy(update={"arguments": arguments(*layers)})
    rows = summarize(modelfile.outline(described), described.input_shape).layers
    assert [(row.name, row.activation) for row in rows] == [
        ("first", None), ("flatten", None), ("out", "relu"), ("last", None),
    ]  # fmt: skip
