"""Layers and blocks taken out."""

import pytest
import torch
from torch import nn

from zoo import modelfile
from zoo.description import describe
from zoo.errors import StructureError
from zoo.layers import ordered
from zoo.surgery import Pop, Remove
from zoo.surgery.remove import matching


def test_a_block_is_passed_over() -> None:
    shape = (3, 32, 32)
    network = modelfile.build(describe("resnet20")).eval()
    picture = torch.rand(2, *shape)
    given: list[torch.Tensor] = []
    read: list[torch.Tensor] = []
    assert Remove(layer="stage3.2").apply(network, shape) is network
    network.get_submodule("stage3.1").register_forward_hook(lambda *all_: given.append(all_[2]))
    network.get_submodule("pool").register_forward_pre_hook(lambda _, args: read.append(args[0]))
    network(picture)
    assert torch.equal(given[0], read[0])
    rows = {row.name: row.type for row in ordered(network, shape).layers}
    assert rows["stage3.2"] == "Identity"
    assert "stage3.2.conv1" not in rows


def test_a_glob_means_the_outermost_modules() -> None:
    network = modelfile.outline(describe("resnet18"))
    assert matching(network, ["layer3.*"]) == ["layer3.0", "layer3.1"]
    assert matching(network, ["*.conv2"])[:2] == ["layer1.0.conv2", "layer1.1.conv2"]
    assert matching(network, ["layer4.1", "layer3.1.*", "layer3.1"]) == ["layer3.1", "layer4.1"]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("layer3.0", "makes 256×14×14 of 128×28×28"),
        ("layer3.9", "No layer is called 'layer3.9'. Did you mean layer3"),
        ("", "No layer is called ''"),
    ],
)
def test_what_can_not_go(layer: str, message: str) -> None:
    network = modelfile.outline(describe("resnet18"))
    with pytest.raises(StructureError) as caught:
        Remove(layer=layer).apply(network, (3, 224, 224))
    assert message in caught.value.message


def test_a_glob_that_matches_nothing_suggests_one() -> None:
    with pytest.raises(StructureError, match=r"'lyer3\.1'. Did you mean layer3\.1\?"):
        matching(modelfile.outline(describe("resnet18")), ["layer4.1", "lyer3.1"])


def test_something_that_learns_is_left() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1), nn.Flatten())
    Remove(layer="0").apply(network, (1, 4, 4))
    with pytest.raises(StructureError, match="nothing is left that learns"):
        Remove(layer="1").apply(network, (1, 4, 4))


def test_what_reads_or_gives_several_tensors_stays() -> None:
    network = modelfile.outline(describe("torchvision/vit_b_16"))
    layer = "encoder.layers.encoder_layer_0"
    with pytest.raises(StructureError, match="more than one tensor"):
        Remove(layer=f"{layer}.self_attention").apply(network, (3, 224, 224))
    Remove(layer=layer).apply(network, (3, 224, 224))


def test_blocks_of_a_popped_network_are_single_layers() -> None:
    network = modelfile.outline(describe("resnet18"))
    popped = Pop(layers=1).apply(network, (3, 224, 224))
    with pytest.raises(StructureError, match="does not run by itself"):
        Remove(layer="layer3.1").apply(popped, (3, 224, 224))
