"""Layers and blocks taken out."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from zoo import modelfile
from zoo.architectures.sequential import Sequential
from zoo.description import describe
from zoo.errors import StructureError
from zoo.layers import Shape, ordered
from zoo.surgery import Pop, Remove
from zoo.surgery.remove import Removals, matching, removals


def without(network: nn.Module, shape: Shape, *globs: str) -> Removals:
    """Takes out in place what globs mean."""
    found = removals(network, shape, globs)
    for edit in found.edits:
        assert edit.apply(network, shape) is network
    return found


def rows_of(network: nn.Module, shape: Shape) -> list[tuple[str, str | None]]:
    return [(row.name, row.activation) for row in ordered(network, shape).layers]


def test_a_block_is_passed_over() -> None:
    shape = (3, 32, 32)
    network = modelfile.build(describe("resnet20")).eval()
    picture = torch.rand(2, *shape)
    given: list[torch.Tensor] = []
    read: list[torch.Tensor] = []
    without(network, shape, "stage3.2")
    network.get_submodule("stage3.1").register_forward_hook(lambda *all_: given.append(all_[2]))
    network.get_submodule("pool").register_forward_pre_hook(lambda _, args: read.append(args[0]))
    network(picture)
    assert torch.equal(given[0], read[0])
    rows = [name for name, _ in rows_of(network, shape)]
    assert [name for name in rows if name.startswith("stage3.2")] == []
    assert "stage3.1.conv1" in rows


def convolution(name: str, activation: str) -> dict[str, Any]:
    return {
        "type": "conv2d", "name": name, "in_channels": 3, "out_channels": 3, "kernel_size": (3, 3),
        "stride": (1, 1), "dilation": (1, 1), "groups": 1, "bias": True, "padding": "same",
        "activation": {"name": activation, "value": 1.0},
    }  # fmt: skip


FLATTEN = {"type": "flatten", "name": "flat", "channels_last": True}


@pytest.mark.parametrize("globs", [("c2",), ("c2*",), ("c2_sigmoid", "c2")])
def test_a_layer_goes_with_its_activation(globs: tuple[str, ...]) -> None:
    network = Sequential([convolution("c1", "elu"), convolution("c2", "sigmoid"), FLATTEN])
    never_had_it = Sequential([convolution("c1", "elu"), FLATTEN])
    never_had_it.load_state_dict(
        {key: value for key, value in network.state_dict().items() if key.startswith("c1")}
    )
    picture = torch.rand(2, 3, 8, 8)
    found = without(network, (3, 8, 8), *globs)
    assert found == Removals((Remove(layer="c2", activations=("c2_sigmoid",)),), {})
    assert torch.equal(network(picture), never_had_it(picture))
    assert network.state_dict().keys() == never_had_it.state_dict().keys()
    assert rows_of(network, (3, 8, 8)) == [("c1", "elu"), ("flat", None)]


def test_an_activation_that_is_named_goes_alone() -> None:
    network = Sequential([convolution("c1", "elu"), convolution("c2", "sigmoid"), FLATTEN])
    found = without(network, (3, 8, 8), "c1_*")
    assert found == Removals((Remove(layer="c1_elu", activations=()),), {})
    assert rows_of(network, (3, 8, 8)) == [("c1", None), ("c2", "sigmoid"), ("flat", None)]


@pytest.mark.parametrize(
    ("name", "layer", "goes", "stays"),
    [
        ("resnet18", "bn1", ("relu",), None),
        ("resnet18", "layer1.0.bn1", (), "layer1.0.relu, which works elsewhere too"),
        ("resnet18", "layer1.0.conv1", (), None),
        ("resnet18", "layer3.1", (), None),
        ("googlenet", "conv1.bn", (), "relu, which is no module of its own"),
        ("googlenet", "inception3a.branch1.bn", (), "relu, which is no module of its own"),
        ("vgg11", "classifier.3", ("classifier.4",), None),
        ("vgg11", "classifier.2", (), None),
        ("alexnet", "c6", ("c6_relu",), None),
    ],
)
def test_which_activation_goes(
    name: str, layer: str, goes: tuple[str, ...], stays: str | None
) -> None:
    described = describe(name)
    found = removals(modelfile.outline(described), described.input_shape, [layer])
    assert found.edits == (Remove(layer=layer, activations=goes),)
    assert found.stay == ({} if stays is None else {layer: stays})


def test_an_activation_of_several_layers_goes_with_the_last() -> None:
    class Shares(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.three = (nn.Conv2d(1, 1, 1) for _ in range(3))
            self.act = nn.Tanh()

        def forward(self, x: Tensor) -> Tensor:
            return torch.flatten(self.act(self.two(self.act(self.one(self.three(x))))), 1)

    assert removals(Shares(), (1, 4, 4), ["two"]).stay == {"two": "act, which works elsewhere too"}
    network = Shares()
    without(network, (1, 4, 4), "one", "two")
    assert rows_of(network, (1, 4, 4)) == [("three", None)]


def test_of_a_part_of_a_layer_nothing_else_goes() -> None:
    class Normed(nn.BatchNorm2d):
        def __init__(self) -> None:
            super().__init__(1)
            self.drop, self.act = nn.Identity(), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.act(self.drop(super().forward(x)))
            return out

    network = nn.Sequential(nn.Conv2d(1, 1, 1), Normed())
    assert without(network, (1, 4, 4), "1.drop").edits == (Remove(layer="1.drop", activations=()),)
    assert rows_of(network, (1, 4, 4)) == [("0", None), ("1", "relu")]


def test_what_stays_and_works_in_place_changes_no_other_branch() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.tanh(self.before(x))
            return x + F.relu(self.norm(x), inplace=True)

    network, picture = Residual().eval(), torch.randn(2, 1, 4, 4)
    without(network, (1, 4, 4), "norm")
    x = torch.tanh(network.before(picture))
    found = network(picture)
    assert torch.equal(found, x + x.clamp(min=0))
    found.sum().backward()  # which needs the tanh's output as it was
    assert network.before.weight.grad is not None


OLD: dict[str, Any] = {"edit": "remove", "layer": "dropout_3"}


@pytest.mark.parametrize(
    ("remove", "last"),
    [(OLD, "batch_normalization_1"), (OLD | {"activations": []}, "dense_1")],
)
def test_files_of_older_versions_count_what_was_removed(remove: dict[str, Any], last: str) -> None:
    edits = (remove, {"edit": "pop", "layers": 2})
    described = describe("keras-mnist-cnn").model_copy(update={"edits": edits})
    rows = rows_of(modelfile.outline(described), described.input_shape)
    assert rows[-1][0] == last


def test_what_an_older_version_removed_keeps_its_activation() -> None:
    network = Sequential([convolution("c1", "elu"), convolution("c2", "sigmoid"), FLATTEN])
    Remove(layer="c2").apply(network, (3, 8, 8))
    assert [type(module).__name__ for module in network] == [
        "SameConv2d", "ELU", "Identity", "Sigmoid", "ChannelsLastFlatten",
    ]  # fmt: skip


def test_what_is_gone_is_found_no_more() -> None:
    network = modelfile.outline(describe("resnet18"))
    without(network, (3, 224, 224), "layer3.1")
    with pytest.raises(StructureError, match=r"No layer matches 'layer3\.1'"):
        matching(network, ["layer3.1"])


def test_layers_after_what_is_gone_are_followed() -> None:
    shape = (3, 224, 224)
    network = modelfile.outline(describe("vgg11"))
    without(network, shape, "classifier.2", "classifier.5")
    rows = [name for name, _ in rows_of(network, shape)]
    popped = Pop(layers=1).apply(network, shape)
    assert [name for name, _ in rows_of(popped, shape)] == rows[:-1]
    assert rows[-2:] == ["classifier.3", "classifier.6"]


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
