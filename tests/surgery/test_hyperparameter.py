"""The four hyperparameters of a convolution, and what follows adapts."""

from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from zoo import description, modelfile
from zoo.catalog import find
from zoo.errors import StructureError
from zoo.summary import summarize
from zoo.surgery import SetHyperparameter


def edited(name: str, layer: str, field: str, value: Any) -> nn.Module:
    edit = SetHyperparameter.model_validate({"layer": layer, "field": field, "value": value})
    return modelfile.build(modelfile.with_edits(description.describe(find(name)), [edit])).eval()


@pytest.mark.parametrize(
    ("name", "layer", "field", "value", "params"),
    [
        # by hand: c1 12·26, c3 16·(25·12 + 1), the rest as before
        ("lenet5", "c1", "out_channels", 12, 12 * 26 + 16 * 301 + 48_120 + 10_164 + 850),
        # c1 6·10; 30 → 15 → 11 → 5 → 1, so the rest stays
        ("lenet5", "c1", "kernel_size", 3, 60 + 2_416 + 48_120 + 10_164 + 850),
        # 32 → 16 → 12 → 6 → 2: f6 reads 120·4
        ("lenet5", "c1", "padding", "same", 156 + 2_416 + 48_120 + 84 * 481 + 850),
        ("lenet5", "c1", "padding", [2, 2], 156 + 2_416 + 48_120 + 84 * 481 + 850),
        ("lenet5-1998", "c5", "out_channels", 100, 156 + 12 + 1_516 + 32 + 100 * 401 + 84 * 101),
        # 28 → 14 → 12 → 7 → 5 → 2: dense_1 reads 32·2·2
        (
            "keras-mnist-cnn",
            "conv1_1",
            "stride",
            2,
            1_040 + 11_552 + 64 * (32 * 4 + 1) + 128 + 650,
        ),
    ],
)
def test_what_follows_adapts(name: str, layer: str, field: str, value: Any, params: int) -> None:
    network = edited(name, layer, field, value)
    card = find(name)
    assert summarize(network, card.input_shape).torch_params == params
    assert network(torch.zeros(2, *card.input_shape)).shape == (2, 10)


def test_batch_norms_and_depthwise_convolutions_adapt() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1)
    )
    SetHyperparameter(layer="0", field="out_channels", value=5).apply(network, (3, 9, 9))
    assert network(torch.zeros(2, 3, 9, 9)).shape == (2, 4, 5, 5)
    assert isinstance(network[2], nn.Conv2d)
    assert network[2].groups == 5


def test_a_replaced_layer_keeps_its_papers_first_weights() -> None:
    weight = edited("lenet5-1998", "c5", "out_channels", 64).get_submodule("c5").weight
    assert isinstance(weight, torch.Tensor)
    assert weight.abs().max() <= 2.4 / 400


@pytest.mark.parametrize(
    ("name", "layer", "field", "value", "message"),
    [
        ("lenet5", "c5", "kernel_size", 6, r"c5 \(Conv2d\) got 16×5×5 and needs at least 6×6"),
        ("lenet5", "c1", "stride", 2, r"c5 \(Conv2d\) got 16×1×1 and needs at least 5×5"),
        (
            "lenet5-1998",
            "c1",
            "out_channels",
            8,
            r"s2 \(Subsampling\) got 8×28×28 and needs 6 channels",
        ),
        ("lenet5", "c4", "stride", 2, "No layer is called 'c4'"),
        ("lenet5", "f6", "stride", 2, "f6 is of type Linear"),
        ("lenet5", "c1", "out_channels", [3, 3], "out_channels takes one number"),
        ("lenet5", "c1", "stride", "same", "stride takes a number"),
        ("lenet5", "c1", "stride", 0, "stride must be at least 1"),
    ],
)
def test_what_does_not_fit_is_explained(
    name: str, layer: str, field: str, value: Any, message: str
) -> None:
    with pytest.raises(StructureError, match=message):
        edited(name, layer, field, value)


def resnet(layer: str, field: str, value: Any) -> nn.Module:
    edit = SetHyperparameter.model_validate({"layer": layer, "field": field, "value": value})
    return edit.apply(torchvision.models.resnet18(num_classes=10), (3, 64, 64))


def test_a_branch_that_reads_the_same_tensor_is_named() -> None:
    with pytest.raises(
        StructureError, match=r"add can't take .*layer1\.0\.bn2 gives 64×.*maxpool gives 32×"
    ):
        resnet("conv1", "out_channels", 32)


def test_inside_a_residual_block_it_adapts() -> None:
    network = resnet("layer1.0.conv1", "out_channels", 40).eval()
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 10)


def test_the_head_is_no_hyperparameter() -> None:
    edit = SetHyperparameter(layer="1", field="out_channels", value=7)
    with pytest.raises(StructureError, match="changes the network's output") as caught:
        edit.apply(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 10, 1)), (3, 8, 8))
    assert "--num-classes" in caught.value.hint
