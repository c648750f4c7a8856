"""The residual networks for CIFAR-10 against section 4.2 and table 6 of He et al. 2015."""

from itertools import groupby

import pytest
import torch
from torch import nn

from zoo import modelfile
from zoo.architectures.resnet_cifar import Block, ResNetOfCifar, Shortcut
from zoo.catalog import find
from zoo.description import describe
from zoo.summary import summarize

DEPTHS = (20, 32, 44, 56, 110)


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_papers_table_of_layers(depth: int) -> None:
    # "output map size 32×32 16×16 8×8, # layers 1+2n 2n 2n, # filters 16 32 64"
    n = (depth - 2) // 6
    layers = summarize(modelfile.outline(describe(f"resnet{depth}")), (3, 32, 32)).layers
    convolutions = [layer.output_shape for layer in layers if layer.type == "Conv2d"]
    assert [(shape, len(list(same))) for shape, same in groupby(convolutions)] == [
        ((16, 32, 32), 1 + 2 * n),
        ((32, 16, 16), 2 * n),
        ((64, 8, 8), 2 * n),
    ]
    assert len(convolutions) + 1 == depth  # 6n + 2 with the fully connected one
    assert {layer.kernel_size for layer in layers if layer.type == "Conv2d"} == {(3, 3)}


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_table_6(depth: int, millions: float) -> None:
    assert round(find(f"resnet{depth}").params / 1e6, 1 if depth == 110 else 2) == millions


def test_shortcuts_have_no_parameters() -> None:
    shortcut = Shortcut(16, 32, stride=2)
    assert not list(shortcut.parameters())
    x = torch.randn(2, 16, 8, 8)
    found = shortcut(x)
    assert torch.equal(found[:, 8:24], x[:, :, ::2, ::2])
    assert not found[:, :8].any()
    assert not found[:, 24:].any()


def test_a_block_whose_convolutions_are_zero_is_its_shortcut() -> None:
    block = Block(16, 32, stride=2).eval()
    nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 16, 9, 9)
    torch.testing.assert_close(block(x), block.shortcut(x).relu())


def test_signals_keep_their_size_at_first() -> None:
    torch.manual_seed(0)
    network = ResNetOfCifar(depth=56).train()
    logits = network(torch.randn(16, 3, 32, 32))
    assert 0.1 < logits.std() < 10
