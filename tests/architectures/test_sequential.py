"""Layers in a row: Keras's padding, and training them."""

import math

import pytest
import torch
from torch import nn

from zoo.architectures.sequential import (
    SameAvgPool2d,
    SameConv2d,
    SameMaxPool2d,
    Sequential,
    zeros_around,
)


@pytest.mark.parametrize("side", range(1, 12))
def test_as_many_zeros_as_an_output_for_each_stride_takes(side: int) -> None:
    for kernel in range(1, 6):
        for stride in range(1, 4):
            for dilation in (1, 2):
                before, after = zeros_around(side, kernel, stride, dilation)
                reach = dilation * (kernel - 1) + 1
                outputs = (side + before + after - reach) // stride + 1
                assert outputs == math.ceil(side / stride)
                assert after - before in (0, 1)


def test_the_zero_more_comes_last() -> None:
    convolution = SameConv2d(in_channels=1, out_channels=1, kernel_size=2, stride=2, bias=False)
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor([[1.0, 10.0], [100.0, 1000.0]]))
        found = convolution(torch.ones(1, 1, 3, 3))
    assert found[0, 0].tolist() == [[1111, 101], [11, 1]]


def test_zeros_around_do_not_count_in_pooling() -> None:
    x = -torch.arange(1.0, 10).reshape(1, 1, 3, 3)
    assert SameMaxPool2d((2, 2), (2, 2))(x)[0, 0].tolist() == [[-1, -3], [-7, -9]]
    assert SameAvgPool2d((2, 2), (2, 2))(x)[0, 0].tolist() == [[-3, -4.5], [-7.5, -9]]


@pytest.mark.parametrize("scales", [True, False])
@pytest.mark.parametrize("shifts", [True, False])
def test_a_batch_norm_without_scale_or_shift_trains(scales: bool, shifts: bool) -> None:
    network = Sequential([
        {"type": "batch-norm", "name": "norm", "num_features": 3, "of_maps": True, "eps": 1e-3,
         "momentum": 0.1, "scales": scales, "shifts": shifts},
    ])  # fmt: skip
    assert {name for name, _ in network.named_parameters()} == {
        name for name, has in (("norm.weight", scales), ("norm.bias", shifts)) if has
    }
    x = torch.randn(4, 3, 5, 5, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        network(x).square().sum().backward()
    assert x.grad is not None
    assert all(p.grad is not None for p in network.parameters())
    fresh = nn.BatchNorm2d(3, eps=1e-3)
    torch.testing.assert_close(network.train()(x), fresh(x))


def test_names_of_activations_make_way() -> None:
    layers = [
        {"type": "linear", "name": "a", "in_features": 2, "out_features": 2, "bias": True,
         "activation": {"name": "relu", "value": None}},
        {"type": "activation", "name": "a_relu", "function": {"name": "tanh", "value": None}},
    ]  # fmt: skip
    assert [name for name, _ in Sequential(layers).named_children()] == ["a", "a_relu_", "a_relu"]
