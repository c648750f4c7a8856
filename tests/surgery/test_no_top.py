"""Networks without what tells classes apart."""

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from zoo import description, modelfile
from zoo.building import build_file
from zoo.errors import StructureError, UsageError
from zoo.layers import ordered
from zoo.summary import summarize
from zoo.surgery import NoTop

# Parameters and output below the top, as Keras's include_top=False has it where it has the network.
TORCHVISION = {
    "vgg16": (14_714_688, (512, 4, 4), 150),  # the lecture's VGG16
    "resnet50": (23_508_032, (2048, 7, 7), 224),
    "googlenet": (5_599_904, (1024, 7, 7), 224),
    "inception_v3": (21_785_568, (2048, 8, 8), 299),
    "densenet121": (6_953_856, (1024, 7, 7), 224),
    "mobilenet_v3_small": (927_008, (576, 7, 7), 224),
    "squeezenet1_1": (722_496, (512, 13, 13), 224),
    "shufflenet_v2_x1_0": (1_253_604, (1024, 7, 7), 224),
    "convnext_tiny": (27_818_592, (768, 7, 7), 224),
    "regnet_y_400mf": (3_903_144, (440, 7, 7), 224),
    "vit_b_16": (85_798_656, (768,), 224),  # no maps: what the head reads
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_what_is_left_of_torchvisions_networks(name: str) -> None:
    params, shape, side = TORCHVISION[name]
    without = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("cpu" if name == "regnet_y_400mf" else "meta"):
        network = torchvision.models.get_model(name, **without).to("meta")
    bare = NoTop().apply(network, (3, side, side))
    assert bare(torch.empty(2, 3, side, side, device="meta")).shape == (2, *shape)
    assert summarize(bare, (3, side, side)).torch_params == params


def test_its_layers_keep_their_names_values_and_modes() -> None:
    network = torchvision.models.resnet18().eval()
    picture = torch.rand(2, 3, 64, 64)
    expected: list[torch.Tensor] = []
    network.layer4.register_forward_hook(lambda *inside: expected.append(inside[2]))
    network(picture)
    bare = NoTop().apply(network, (3, 64, 64))
    assert torch.equal(bare(picture), expected[0])
    names = [name for name in network.state_dict() if not name.startswith("fc.")]
    assert list(bare.state_dict()) == names
    assert not bare.training
    assert NoTop().apply(network.train(), (3, 64, 64)).training
    assert ordered(bare, (3, 64, 64)).layers[-1].name == "layer4.1.bn2"


@pytest.mark.parametrize(
    ("name", "shape", "last"),
    [
        ("lenet5", (120, 1, 1), "c5"),
        ("keras-mnist-cnn", (32, 6, 6), "max_pooling2d_2"),  # its dropout goes too
    ],
)
def test_model_files_replay_it(
    name: str, shape: tuple[int, ...], last: str, tmp_path: Path
) -> None:
    path = tmp_path / "bare.safetensors"
    built = build_file(name, path, no_top=True)
    network = modelfile.load(path)
    described = description.read_description(path)
    assert described.edits == ({"edit": "no-top"},)
    assert described.is_headless
    assert network(torch.zeros(1, *described.input_shape)).shape == (1, *shape)
    assert built.after.layers[-1].name == last
    assert built.before.torch_params > built.after.torch_params
    whole = modelfile.build(description.describe(name))
    for key, value in network.state_dict().items():
        assert torch.equal(value, whole.state_dict()[key])
    assert list(modelfile.load(path).state_dict()) == list(network.state_dict())


def test_what_has_no_body_or_no_top(tmp_path: Path) -> None:
    with pytest.raises(StructureError, match="Nothing lies below"):
        NoTop().apply(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), (1, 2, 2))
    path = tmp_path / "bare.safetensors"
    with pytest.raises(UsageError, match="--num-classes does not apply"):
        build_file("lenet5", path, no_top=True, num_classes=3)
    build_file("lenet5", path, no_top=True)
    with pytest.raises(UsageError, match="taken off already"):
        build_file(str(path), tmp_path / "again.safetensors", no_top=True)


def test_weights_of_other_classes_lose_their_head_too(tmp_path: Path) -> None:
    donor, bare = tmp_path / "three.safetensors", tmp_path / "bare.safetensors"
    build_file("lenet5", donor, num_classes=3, seed=5)
    build_file("lenet5", bare, weights=donor, no_top=True)
    theirs, ours = modelfile.load(donor).state_dict(), modelfile.load(bare).state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
