"""What `zoo summary` counts."""

import subprocess
import sys

import pytest
import torch
import torchvision
from torch import nn

from tests.cards import SMALL_CARDS
from zoo import description, modelfile
from zoo.catalog import Architecture, find
from zoo.summary import Summary, summarize

# Published counts in PyTorch's convention (torchvision's own `num_params`).
TORCHVISION = {
    "alexnet": 61_100_840,
    "convnext_tiny": 28_589_128,
    "densenet121": 7_978_856,
    "efficientnet_b0": 5_288_548,
    "googlenet": 13_004_888,
    "inception_v3": 27_161_264,
    "mobilenet_v3_small": 2_542_856,
    "resnet18": 11_689_512,
    "shufflenet_v2_x1_0": 2_278_604,
    "squeezenet1_1": 1_235_496,
    "swin_t": 28_288_354,
    "vgg16": 138_357_544,
    "vit_b_16": 86_567_656,
}


def torchvision_summary(name: str, depth: int | None = None) -> Summary:
    size = 299 if name == "inception_v3" else 224
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        network = torchvision.models.get_model(name, **options)
    return summarize(network, (3, size, size), name=name, depth=depth)


def assert_rows_add_up(found: Summary) -> None:
    rows = found.layers
    assert sum(row.params for row in rows) == found.total_params
    assert sum(row.torch_params for row in rows) == found.torch_params
    assert sum(row.trainable_params for row in rows) == found.trainable_params
    assert sum(row.mult_adds for row in rows) == found.mult_adds
    assert found.total_params == found.trainable_params + found.non_trainable_params


@SMALL_CARDS  # tests/test_catalog.py has the others
@pytest.mark.parametrize("depth", [None, 1, 2])
def test_rows_add_up_over_the_catalog(card: Architecture, depth: int | None) -> None:
    network = modelfile.outline(description.describe(card))
    assert_rows_add_up(summarize(network, card.input_shape, depth=depth))


@pytest.mark.parametrize("name", TORCHVISION)
def test_rows_add_up_for_networks_of_every_kind(name: str) -> None:
    found = torchvision_summary(name)
    assert_rows_add_up(found)
    assert found.torch_params == TORCHVISION[name]


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("name", ["googlenet", "resnet18", "vit_b_16", "convnext_tiny", "swin_t"])
def test_depth_joins_what_is_deeper(name: str, depth: int) -> None:
    found = torchvision_summary(name, depth)
    assert_rows_add_up(found)
    assert all(row.name.count(".") <= depth for row in found.layers)
    assert len(found.layers) < len(torchvision_summary(name).layers)


def test_a_joined_row_has_its_containers_shape() -> None:
    rows = {row.name: row for row in torchvision_summary("googlenet", 1).layers}
    assert rows["inception3a"].output_shape == (256, 28, 28)
    assert rows["inception3a"].type == "Inception"
    assert rows["fc"].output_shape == (1000,)


def test_the_lectures_table() -> None:
    card = find("keras-mnist-cnn")
    found = summarize(modelfile.outline(description.describe(card)), card.input_shape)
    assert [(row.name, row.output_shape, row.params) for row in found.layers] == [
        ("conv1_1", (40, 28, 28), 1040),
        ("max_pooling2d_1", (40, 14, 14), 0),
        ("dropout_1", (40, 14, 14), 0),
        ("conv1_2", (32, 12, 12), 11552),
        ("max_pooling2d_2", (32, 6, 6), 0),
        ("dropout_2", (32, 6, 6), 0),
        ("flatten_1", (1152,), 0),
        ("dense_1", (64,), 73792),
        ("batch_normalization_1", (64,), 256),
        ("dropout_3", (64,), 0),
        ("dense_2", (10,), 650),
    ]
    assert (found.total_params, found.trainable_params, found.non_trainable_params) == (
        87_290,
        87_162,
        128,
    )


def test_multiply_adds_of_a_convolution_count_each_output_pixel() -> None:
    found = torchvision_summary("vgg16")
    first = found.layers[0]
    assert first.mult_adds == (3 * 3 * 3 + 1) * 64 * 224 * 224
    assert round(found.mult_adds / 1e9, 2) == 15.48  # torchinfo's and the literature's figure


def test_a_linear_layer_over_tokens_counts_every_token() -> None:
    found = torchvision_summary("vit_b_16")
    row = next(row for row in found.layers if row.name == "encoder.layers.encoder_layer_0.mlp.0")
    assert row.mult_adds == 197 * (768 * 3072 + 3072)


def test_tensors_that_a_container_owns_are_a_row() -> None:
    names = [row.name for row in torchvision_summary("vit_b_16").layers]
    assert names.index("class_token") < names.index("conv_proj")
    assert names.index("encoder.pos_embedding") < names.index("encoder.dropout")


def test_auxiliary_heads_have_rows() -> None:
    names = [row.name for row in torchvision_summary("googlenet").layers]
    assert "aux1.fc2" in names
    assert names.index("aux1.fc2") < names.index("inception4e.branch1.conv")
    assert names[-1] == "fc"


class Tied(nn.Module):
    """Two layers that share their weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4, bias=False)
        self.second = nn.Linear(4, 4, bias=False)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.second(self.first(x.flatten(1)))
        return out


class Reused(nn.Module):
    """One layer that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.never = nn.Linear(2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layer(self.layer(x.flatten(1)))
        return out


def test_a_shared_tensor_counts_once() -> None:
    found = summarize(Tied(), (1, 2, 2))
    assert_rows_add_up(found)
    assert found.torch_params == 16
    assert [row.params for row in found.layers] == [16, 0]


def test_a_layer_that_runs_twice_is_one_row_with_both_runs_work() -> None:
    found = summarize(Reused(), (1, 2, 2))
    assert_rows_add_up(found)
    assert [(row.name, row.params, row.mult_adds) for row in found.layers] == [
        ("layer", 20, 40),
        ("never", 9, 0),
    ]
    assert found.layers[1].output_shape is None


def test_frozen_parameters_are_not_trainable() -> None:
    network = Reused()
    network.layer.requires_grad_(False)
    found = summarize(network, (1, 2, 2))
    assert (found.trainable_params, found.layers[0].trainable, found.layers[1].trainable) == (
        9,
        False,
        True,
    )


def test_summarizing_changes_nothing() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten())
    network[0].eval()
    network.train()
    network[1].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    summarize(network, (1, 5, 5))
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    assert [module.training for module in network] == [True, False, True]
    assert not network._forward_pre_hooks


MEMORY_PROBE = """
import resource, torch, torchvision, torchinfo
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
bare = peak()
from zoo.summary import summarize
with torch.device("meta"):
    network = torchvision.models.vgg16()
summarize(network, (3, 224, 224))
print(peak() - bare)
"""


def test_vgg16_takes_no_memory() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", MEMORY_PROBE], capture_output=True, text=True, check=True
    )
    assert float(ended.stdout) <= 60
