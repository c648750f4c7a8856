"""GoogLeNet against table 1 of its paper (Szegedy et al. 2014)."""

import pytest
import torch

from zoo import modelfile
from zoo.architectures.googlenet_2014 import Auxiliary
from zoo.description import describe
from zoo.summary import LayerSummary, summarize

# Type, output size, parameters in thousands, operations in millions, as the table prints them.
TABLE_1 = {
    "conv1": ((64, 112, 112), 2.7, 34),
    "pool1": ((64, 56, 56), 0, 0),
    "conv2": ((192, 56, 56), 112, 360),
    "pool2": ((192, 28, 28), 0, 0),
    "inception_3a": ((256, 28, 28), 159, 128),
    "inception_3b": ((480, 28, 28), 380, 304),
    "pool3": ((480, 14, 14), 0, 0),
    "inception_4a": ((512, 14, 14), 364, 73),
    "inception_4b": ((512, 14, 14), 437, 88),
    "inception_4c": ((512, 14, 14), 463, 100),
    "inception_4d": ((528, 14, 14), 580, 119),
    "inception_4e": ((832, 14, 14), 840, 170),
    "pool4": ((832, 7, 7), 0, 0),
    "inception_5a": ((832, 7, 7), 1072, 54),
    "inception_5b": ((1024, 7, 7), 1388, 71),
    "pool5": ((1024, 1, 1), 0, 0),
    "out": ((1000,), 1000, 1),
}
# Where the table does not follow from its own columns of filters, the true figure. Its parameters
# of 4a to 5b are off by up to 8 %, though all but one of its operations are those of these
# filters; its 7×7 convolution has 7 · 7 · 3 · 64 = 9,408 weights.
PARAMETERS_MISPRINTED = {
    "conv1": 9.2, "inception_4a": 367, "inception_4b": 438, "inception_4c": 498,
    "inception_4d": 591, "inception_4e": 847, "inception_5a": 1018, "inception_5b": 1409,
}  # fmt: skip
OPERATIONS_MISPRINTED = {"conv1": 118, "inception_5a": 51}


@pytest.fixture(scope="module")
def rows() -> dict[str, LayerSummary]:
    network = modelfile.outline(describe("googlenet-2014"))
    return {row.name: row for row in summarize(network, (3, 224, 224), depth=1).layers}


def test_output_sizes(rows: dict[str, LayerSummary]) -> None:
    assert {name: rows[name].output_shape for name in TABLE_1} == {
        name: shape for name, (shape, _, _) in TABLE_1.items()
    }


@pytest.mark.parametrize("name", TABLE_1)
def test_parameters_and_operations(name: str, rows: dict[str, LayerSummary]) -> None:
    # The table's row of conv2 holds the 1×1 before it; a thousand is 1,024; biases are left out.
    parts = [rows[name], *([rows["conv2_reduce"]] if name == "conv2" else [])]
    network = modelfile.outline(describe("googlenet-2014"))
    weights = sum(
        parameter.numel()
        for part in parts
        for parameter in network.get_submodule(part.name).parameters()
        if parameter.ndim > 1
    )
    _, thousands, millions = TABLE_1[name]
    # Printed figures are rounded, some down and some up.
    assert abs(weights / 1024 - PARAMETERS_MISPRINTED.get(name, thousands)) <= 1
    operations = sum(part.mult_adds for part in parts) / 1e6
    assert abs(operations - OPERATIONS_MISPRINTED.get(name, millions)) < 1
    if name in PARAMETERS_MISPRINTED:
        assert abs(PARAMETERS_MISPRINTED[name] / thousands - 1) > 0.002


def test_twenty_two_layers_have_parameters(rows: dict[str, LayerSummary]) -> None:
    # Section 5: "22 layers deep when counting only layers with parameters"; an inception is two.
    depth = sum(
        2 if row.type == "Inception" else 1
        for row in rows.values()
        if row.params and row.type != "Auxiliary"
    )
    assert depth == 22


def test_auxiliary_classifiers_are_section_5s() -> None:
    # "An average pooling layer with 5×5 filter size and stride 3, resulting in an 4×4×512 output
    # for the (4a), and 4×4×528 for the (4d) stage"
    for channels in (512, 528):
        head = Auxiliary(channels, (14, 14), 10)
        x = torch.zeros(2, channels, 14, 14)
        shapes = {name: (x := layer(x)).shape[1:] for name, layer in head.named_children()}
        assert shapes["pool"] == (channels, 4, 4)
        assert shapes["conv"] == (128, 4, 4)
        assert shapes["fc"] == (1024,)
        assert shapes["out"] == (10,)
        assert head.get_submodule("dropout").p == 0.7


def test_they_are_rows_where_they_branch_off() -> None:
    network = modelfile.outline(describe("googlenet-2014"))
    names = [row.name for row in summarize(network, (3, 224, 224)).layers]
    for head, before, after in (
        ("auxiliary1", "inception_4a.", "inception_4b."),
        ("auxiliary2", "inception_4d.", "inception_4e."),
    ):
        places = [place for place, name in enumerate(names) if name.startswith(head)]
        assert names[places[0] - 1].startswith(before)
        assert names[places[-1] + 1].startswith(after)
    assert names[-1] == "out"
