"""Layers with fewer channels: recorded sizes, replayed without looking at tensors."""

from typing import Any

import pytest
import torch
from torch import nn

from zoo import description, modelfile
from zoo.catalog import find
from zoo.errors import ModelFileError, StructureError
from zoo.summary import summarize
from zoo.surgery import Channels

LENET5 = description.describe(find("lenet5"))
C1 = {
    "c1": {"in_channels": 1, "out_channels": 4},
    "c3": {"in_channels": 4, "out_channels": 16},
}


def edit(layers: dict[str, Any]) -> Channels:
    return Channels.model_validate({"layers": layers})


def test_sizes_are_counted_by_hand() -> None:
    narrow = modelfile.with_edits(LENET5, [edit(C1)])
    found = summarize(modelfile.outline(narrow), narrow.input_shape)
    assert found.torch_params == 4 * 26 + 16 * 101 + 48_120 + 10_164 + 850


def test_it_keeps_the_first_channels_their_modes_and_what_is_frozen() -> None:
    network = modelfile.build(LENET5)
    before = network.get_parameter("c1.weight").detach().clone()
    network.get_parameter("c1.weight").requires_grad_(False)
    assert edit(C1).apply(network, (1, 32, 32)) is network
    assert torch.equal(network.get_parameter("c1.weight"), before[:4])
    frozen = [name for name, p in network.named_parameters() if not p.requires_grad]
    assert frozen == ["c1.weight"]
    assert network(torch.rand(2, 1, 32, 32)).shape == (2, 10)


def test_every_kind_of_layer() -> None:
    network = nn.Sequential(
        nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8), nn.LayerNorm([8]), nn.Linear(8, 4)
    )
    network.register_parameter("scale", nn.Parameter(torch.ones(8, 1)))
    edit({
        "0": {"in_channels": 6, "out_channels": 6, "groups": 6},
        "1": {"num_features": 6},
        "2": {"normalized_shape": [6]},
        "3": {"in_features": 6, "out_features": 2},
        "scale": {"shape": [6, 1]},
    }).apply(network, (8, 4, 4))  # fmt: skip
    fresh = nn.Sequential(
        nn.Conv2d(6, 6, 3, groups=6), nn.BatchNorm2d(6), nn.LayerNorm([6]), nn.Linear(6, 2)
    )
    fresh.register_parameter("scale", nn.Parameter(torch.ones(6, 1)))
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in fresh.state_dict().items()}
    assert network[:2](torch.rand(2, 6, 4, 4)).shape == (2, 6, 2, 2)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"c9": {"in_channels": 1, "out_channels": 4}}, "c9"),
        ({"c1": {"num_features": 4}}, "c1 is no batch norm"),
        ({"f6": {"in_channels": 1, "out_channels": 4}}, "f6 is no convolution"),
        ({"c1": {"in_channels": 1, "out_channels": 7}}, "would become 7×1×5×5, but is 6×1×5×5"),
        ({"c3": {"in_channels": 6, "out_channels": 16, "groups": 4}}, "4 groups don't divide"),
        ({"c1": {"shape": [4]}}, "c1 is no parameter"),
    ],
)
def test_what_does_not_fit_is_refused(layers: dict[str, Any], message: str) -> None:
    with pytest.raises(StructureError, match=message):
        edit(layers).apply(modelfile.outline(LENET5), (1, 32, 32))


def test_sizes_never_come_from_the_tensors() -> None:
    narrow = modelfile.with_edits(LENET5, [edit(C1)])
    tensors = modelfile.build(narrow).state_dict()
    modelfile.assign(modelfile.skeleton(narrow), tensors, "good")
    tensors["c1.weight"], tensors["c1.bias"] = torch.zeros(5, 1, 5, 5), torch.zeros(5)
    with pytest.raises(ModelFileError, match=r"c1\.bias is 5 float32 where the network has 4"):
        modelfile.assign(modelfile.skeleton(narrow), tensors, "bad")
