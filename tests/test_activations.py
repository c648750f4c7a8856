"""Which activation `zoo summary` shows for a layer."""

import weakref
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
import torchvision
from torch import Tensor, nn

from zoo import modelfile
from zoo.description import describe
from zoo.layers import ordered


def shown(network: nn.Module, input_shape: tuple[int, ...]) -> dict[str, str | None]:
    channels, height, width = input_shape
    rows = ordered(network, (channels, height, width)).layers
    return {row.name: row.activation for row in rows}


def of_torchvision(name: str) -> dict[str, str | None]:
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        network = torchvision.models.get_model(name, **options)
    return shown(network, (3, 299, 299))


class Between(nn.Module):
    """Something between two layers."""

    def __init__(self, between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.between = between  # a module becomes a child
        self.last = nn.LazyLinear(4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.between(self.first(x)))
        return out


def between(function: Callable[[Tensor], Tensor]) -> str | None:
    found = shown(Between(function), (1, 4, 4))
    assert found["last"] is None
    return found["first"]


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_batch_norms_before_a_functional_relu(name: str) -> None:
    found = of_torchvision(name)
    normalized = {row: found[row] for row in found if row.endswith(".bn")}
    assert len(normalized) > 50
    assert set(normalized.values()) == {"relu"}
    assert {found[row] for row in found if row.endswith(".conv")} == {None}


def test_auxiliary_heads() -> None:
    found = of_torchvision("googlenet")
    assert (found["aux1.fc1"], found["aux1.fc2"]) == ("relu", None)


def test_what_follows_a_residual_sum_belongs_to_no_layer() -> None:
    found = of_torchvision("resnet18")
    assert (found["bn1"], found["layer1.0.bn1"], found["layer1.0.bn2"]) == ("relu", "relu", None)
    assert (found["layer2.0.bn2"], found["layer2.0.downsample.1"]) == (None, None)
    assert sum(name is not None for name in found.values()) == 9


def test_mobilenet_v3() -> None:
    found = of_torchvision("mobilenet_v3_small")
    assert (found["features.0.0"], found["features.0.1"]) == (None, "hardswish")
    assert (found["features.1.block.1.fc1"], found["features.1.block.1.fc2"]) == (
        "relu",
        "hardsigmoid",
    )
    assert found["classifier.0"] == "hardswish"


def test_norms_at_the_end_of_a_container() -> None:
    assert of_torchvision("densenet121")["features.norm5"] == "relu"


def test_softmax_of_attention_belongs_to_no_layer() -> None:
    assert set(of_torchvision("swin_t").values()) == {None, "gelu"}


def test_a_name_of_its_own() -> None:
    found = shown(modelfile.outline(describe("lenet5-1998")), (1, 32, 32))
    assert list(found.values()) == ["scaled tanh"] * 6 + [None]


def test_layers_that_end_with_an_activation_of_their_own() -> None:
    timm = pytest.importorskip("timm")
    found = shown(timm.create_model("efficientnet_b0").to("meta"), (3, 64, 64))
    assert (found["bn1"], found["blocks.0.0.bn1"], found["blocks.0.0.bn2"]) == (
        "silu",
        "silu",
        None,
    )
    assert found["blocks.0.0.se.conv_expand"] == "sigmoid"


def test_identities_have_none() -> None:
    timm = pytest.importorskip("timm")
    found = shown(timm.create_model("resnet18").to("meta"), (3, 64, 64))
    assert (found["layer1.0.bn1"], found["layer1.0.drop_block"]) == ("relu", None)


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("relu", F.relu),
        ("relu", lambda x: F.relu(x, inplace=True)),
        ("relu", lambda x: F.relu(input=x)),
        ("relu", torch.relu),
        ("relu", Tensor.relu_),
        ("relu", nn.ReLU()),
        ("relu", nn.ReLU(inplace=True)),
        ("relu6", F.relu6),
        ("relu6", nn.ReLU6()),
        ("leakyrelu", F.leaky_relu),
        ("leakyrelu", nn.LeakyReLU()),
        ("hardswish", lambda x: F.hardswish(x, inplace=True)),
        ("silu", F.silu),
        ("logsigmoid", F.logsigmoid),
        ("tanhshrink", F.tanhshrink),
        ("softmax", lambda x: x.softmax(1)),
        ("softmax", nn.Softmax(1)),
    ],
)
def test_modules_and_functions_have_one_name(
    name: str, spelling: Callable[[Tensor], Tensor]
) -> None:
    assert between(spelling) == name


@pytest.mark.parametrize(
    ("name", "functions"),
    [
        ("relu", lambda x: x.relu().tanh()),
        ("relu", lambda x: x.relu_().tanh_()),
        ("relu", lambda x: x.flatten(1).relu()),
        ("relu", lambda x: x.transpose(1, 2).relu_()),
        (None, lambda x: x[:, :, :2].relu()),
        (None, lambda x: x.view(-1, 2).softmax(1)),
        (None, lambda x: (x + x).relu()),
        (None, lambda x: x.add_(1).relu()),
        (None, lambda x: x.add_(1).flatten(1).relu()),
    ],
)
def test_only_what_is_applied_to_the_output_itself(
    name: str | None, functions: Callable[[Tensor], Tensor]
) -> None:
    assert between(functions) == name


def test_an_activation_with_parameters_is_a_layer() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.PReLU())
    assert shown(network, (1, 2, 2)) == {"0": None, "1": None, "2": None}


def test_one_activation_used_everywhere() -> None:
    relu = nn.ReLU()
    found = shown(nn.Sequential(nn.Linear(4, 4), relu, nn.Linear(4, 4), relu), (1, 4, 4))
    assert found == {"0": "relu", "2": "relu"}


class Discarding(nn.Module):
    """Lets go of each output at once, so that others come to lie where it was."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(20))
        self.alive: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for layer in self.layers:
            outputs.append(weakref.ref(layer(x)))
            x = (x + 1).relu()
            self.alive.append(sum(output() is not None for output in outputs))
        return x


def test_outputs_are_neither_kept_nor_mistaken() -> None:
    network = Discarding()
    assert set(shown(network, (1, 4, 4)).values()) == {None}
    assert max(network.alive) == 0


def test_in_inference_mode() -> None:
    with torch.inference_mode():
        assert shown(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), (1, 4, 4)) == {"0": "relu"}
