"""Which models can be imported: layers in one row, each of a kind that is known."""

import json
from typing import Any

import pytest

from zoo.errors import ModelFileError
from zoo.keras_import.config import SUPPORTED, KerasModel, parse

INPUT = {"class_name": "InputLayer", "config": {"name": "in", "batch_shape": [None, 8, 8, 1]}}


def layer(kind: str, name: str = "", **settings: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name or kind.lower(), **settings}}


def sequential(*layers: dict[str, Any]) -> KerasModel:
    return parse(json.dumps({"class_name": "Sequential", "config": {"layers": [INPUT, *layers]}}))


def functional(*layers: dict[str, Any], end: str, **readers: Any) -> KerasModel:
    """Layers with what they read, as Keras 2 writes it."""
    listed = [
        {**one, "inbound_nodes": [[[s, 0, 0, {}] for s in readers[one["config"]["name"]]]]}
        for one in layers
    ]
    config = {
        "layers": [{**INPUT, "inbound_nodes": []}, *listed],
        "input_layers": [["in", 0, 0]],
        "output_layers": [[end, 0, 0]],
    }
    return parse(json.dumps({"class_name": "Functional", "config": config}))


def test_a_row() -> None:
    found = sequential(layer("Flatten"), layer("Dense"))
    assert [one.name for one in found.layers] == ["flatten", "dense"]
    assert found.input_shape == (8, 8, 1)


def test_a_functional_chain_in_any_order() -> None:
    found = functional(layer("Dense", "b"), layer("Flatten", "a"), end="b", a=["in"], b=["a"])
    assert [one.name for one in found.layers] == ["a", "b"]
    assert [one.name for one in found.stored] == ["b", "a"]


def test_a_branch_is_refused() -> None:
    with pytest.raises(ModelFileError, match=r"b \(ReLU\): the model branches: a reads in too"):
        functional(layer("ReLU", "a"), layer("ReLU", "b"), end="b", a=["in"], b=["in"])


def test_a_sum_is_refused() -> None:
    with pytest.raises(ModelFileError, match=r"add \(Dense\): it has 2 inputs"):
        functional(layer("ReLU", "a"), layer("Dense", "add"), end="add", a=["in"], add=["in", "a"])


def test_a_layer_after_the_output_is_refused() -> None:
    with pytest.raises(ModelFileError, match="do not stand in one row"):
        functional(layer("ReLU", "a"), layer("ReLU", "b"), end="a", a=["in"], b=["a"])


def test_a_circle_is_refused() -> None:
    with pytest.raises(ModelFileError, match="do not stand in one row"):
        functional(layer("ReLU", "a"), layer("ReLU", "b"), end="b", a=["b"], b=["a"])


def test_a_layer_used_twice_is_refused() -> None:
    twice = {**layer("ReLU", "a"), "inbound_nodes": [[["in", 0, 0, {}]], [["a", 0, 0, {}]]]}
    config = {"layers": [{**INPUT, "inbound_nodes": []}, twice], "output_layers": [["a", 1, 0]]}
    with pytest.raises(ModelFileError, match="used several times"):
        parse(json.dumps({"class_name": "Model", "config": config}))


def test_dropout_that_always_runs_is_refused() -> None:
    node = {"args": [{"class_name": "__keras_tensor__", "config": {"keras_history": ["in", 0, 0]}}]}
    for keywords, works in (({"training": True}, False), ({"training": False, "mask": None}, True)):
        one = {**layer("Dropout", "d", rate=0.5), "inbound_nodes": [{**node, "kwargs": keywords}]}
        config = {"layers": [{**INPUT, "inbound_nodes": []}, one], "output_layers": ["d", 0, 0]}
        text = json.dumps({"class_name": "Functional", "config": config})
        if works:
            assert parse(text).layers[0].name == "d"
        else:
            with pytest.raises(ModelFileError, match="called with training"):
                parse(text)


def test_an_unknown_layer_is_named_with_those_that_work() -> None:
    with pytest.raises(ModelFileError, match=r"up \(UpSampling2D\): no such layer") as refused:
        sequential(layer("UpSampling2D", "up"))
    assert all(kind in refused.value.hint for kind in SUPPORTED)


def test_code_is_refused() -> None:
    with pytest.raises(ModelFileError, match=r"mine \(Lambda\): it is code"):
        sequential(layer("Lambda", "mine", function="4wEAAA=="))
    for own in ({"module": "my_code"}, {"registered_name": "mine>Dense"}):
        with pytest.raises(ModelFileError, match="a layer of one's own"):
            sequential({**layer("Dense", "mine"), **own})


def test_a_model_inside_is_refused() -> None:
    inside = {"class_name": "Sequential", "config": {"name": "inside", "layers": [INPUT]}}
    with pytest.raises(ModelFileError, match=r"inside \(Sequential\): it is a model inside"):
        sequential(inside)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"class_name": "Sequential", "config": {"layers": [NaN]}}', "NaN is no number"),
        ("[]", "lacks 'class_name'"),
        ('{"class_name": "MyModel", "config": {}}', "neither a Sequential nor a functional"),
        ('{"class_name": "Sequential", "config": {"layers": []}}', "from 1 to 1,000 layers"),
        ('{"class_name": "Sequential", "config": {"layers": [{}]}}', "lacks 'class_name'"),
        ('{"class_name": "Sequential", "config": [{"class_name": "ReLU", "config": {}}]}',
         "does not say which pictures"),
    ],
)  # fmt: skip
def test_what_is_no_description(text: str, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        parse(text)


def test_names_are_each_layers_own() -> None:
    with pytest.raises(ModelFileError, match="the same name"):
        sequential(layer("ReLU", "a"), layer("ReLU", "a"))
