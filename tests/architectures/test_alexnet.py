"""AlexNet against the lecture's table and its paper."""

import torch
from torch import nn

from zoo import modelfile
from zoo.architectures.alexnet import AlexNet
from zoo.description import describe
from zoo.summary import summarize


def test_the_lectures_table() -> None:
    # Layer, output, kernel, stride, activation, from the bottom of the slide to its top. The slide
    # leaves out the pooling after C7; response norms and dropout are the paper's.
    found = [
        (
            layer.name,
            layer.output_shape,
            layer.kernel_size and layer.kernel_size[0],
            layer.stride and layer.stride[0],
            layer.activation,
        )
        for layer in summarize(modelfile.outline(describe("alexnet")), (3, 227, 227)).layers
        if layer.type in ("Conv2d", "MaxPool2d", "Linear")
    ]
    assert found == [
        ("c1", (96, 55, 55), 11, 4, "relu"),
        ("s2", (96, 27, 27), 3, 2, None),
        ("c3", (256, 27, 27), 5, 1, "relu"),
        ("s4", (256, 13, 13), 3, 2, None),
        ("c5", (384, 13, 13), 3, 1, "relu"),
        ("c6", (384, 13, 13), 3, 1, "relu"),
        ("c7", (256, 13, 13), 3, 1, "relu"),
        ("s7", (256, 6, 6), 3, 2, None),
        ("f8", (4096,), None, None, "relu"),
        ("f9", (4096,), None, None, "relu"),
        ("out", (1000,), None, None, None),
    ]


def test_parameters_layer_by_layer() -> None:
    counts = {
        name: [
            layer.params
            for layer in summarize(modelfile.outline(describe(name)), (3, 227, 227)).layers
            if layer.params
        ]
        for name in ("alexnet", "alexnet-2012")
    }
    connected = [37_752_832, 16_781_312, 4_097_000]
    assert counts["alexnet"] == [34_944, 614_656, 885_120, 1_327_488, 884_992, *connected]
    # Two groups have half of the weights, and all of the biases.
    assert counts["alexnet-2012"] == [34_944, 307_456, 885_120, 663_936, 442_624, *connected]


def test_each_group_sees_half_of_the_maps() -> None:
    layer = modelfile.build(describe("alexnet-2012", num_classes=2)).get_submodule("c3")
    x = torch.zeros(1, 96, 5, 5, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x)[0, :128].sum(), x)
    assert gradient[0, :48].any()
    assert not gradient[0, 48:].any()


def test_response_normalization_is_the_papers_formula() -> None:
    # Section 3.3: b = a / (k + α Σ a²)^β over n = 5 neighbouring maps, k = 2, α = 1e-4, β = 0.75.
    with torch.device("meta"):
        network = AlexNet()
    a = torch.randn(2, 96, 3, 3) * 50
    squares = nn.functional.pad(a**2, (0, 0, 0, 0, 2, 2)).unfold(1, 5, 1).sum(-1)
    for name in ("c1_norm", "c3_norm"):
        found = network.get_submodule(name)(a)
        torch.testing.assert_close(found, a / (2 + 1e-4 * squares) ** 0.75)
