"""Class-activation maps against numbers worked by hand."""

import pytest
import torch
from torch import nn

from zoo import modelfile
from zoo.errors import StructureError
from zoo.explain.cam import enlarged, grad_cam

# A picture of 3x3 and two filters of 2x2, whose maps of 2x2 a linear layer turns into two logits.
PICTURE = torch.tensor([[[[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 1.0, 0.0]]]])
FILTERS = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]], [[[0.0, 1.0], [-1.0, 0.0]]]])
HEAD = torch.tensor(
    [[0.5, -1.0, 2.0, 0.5, 1.0, 0.0, -1.0, -2.0], [-1.0, 0.0, 0.0, 0.0, 3.0, 1.0, 0.0, 0.0]]
)


def tiny() -> nn.Sequential:
    network = nn.Sequential(nn.Conv2d(1, 2, 2, bias=False), nn.Flatten(), nn.Linear(8, 2))
    with torch.no_grad():
        network[0].weight.copy_(FILTERS)
        network[2].weight.copy_(HEAD)
        network[2].bias.zero_()
    return network.eval()


def test_grad_cam_by_hand() -> None:
    # The maps: [[1+1, 2+3], [0+1, 1+0]] and [[2-0, 0-1], [1-2, 3-1]].
    # The logits' gradients are the rows of HEAD; their means for class 0 are 2/4 and -2/4.
    # 0.5 * [[2, 5], [1, 1]] - 0.5 * [[2, -1], [-1, 2]] = [[0, 3], [1, -0.5]], and no negatives.
    network = tiny()
    found = grad_cam(network, PICTURE, torch.tensor([0]))
    assert found.layer == "0"
    assert torch.allclose(found.maps, torch.tensor([[[0.0, 3.0], [1.0, 0.0]]]), atol=1e-5)
    # For class 1 the means are -1/4 and 4/4: -0.25 * maps[0] + maps[1] = [[1.5, -2.25],
    # [-1.25, 1.75]].
    found = grad_cam(network, PICTURE, torch.tensor([1]))
    assert torch.allclose(found.maps, torch.tensor([[[1.5, 0.0], [0.0, 1.75]]]), atol=1e-5)
    # Logits: 0.5*2 - 5 + 2 + 0.5 + 2 + 1 - 4 = -2.5, and -2 + 6 - 1 = 3: class 1 is likelier.
    assert torch.allclose(found.logits, torch.tensor([[-2.5, 3.0]]), atol=1e-5)
    assert grad_cam(network, PICTURE).targets.tolist() == [1]


def test_pictures_do_not_touch_one_another() -> None:
    both = torch.cat([PICTURE, PICTURE.flip(3)])
    targets = torch.tensor([1, 0])
    found = grad_cam(tiny(), both, targets)
    for index in range(2):
        alone = grad_cam(tiny(), both[index : index + 1], targets[index : index + 1])
        assert torch.allclose(found.maps[index], alone.maps[0], atol=1e-6)


def test_a_frozen_network_and_inference_mode_change_nothing() -> None:
    network = tiny().requires_grad_(False).train()
    with torch.inference_mode():
        found = grad_cam(network, PICTURE.clone(), torch.tensor([0]))
    assert torch.allclose(found.maps, torch.tensor([[[0.0, 3.0], [1.0, 0.0]]]), atol=1e-5)
    assert network.training
    assert all(parameter.grad is None for parameter in network.parameters())


def test_enlarged_maps_are_shares_of_their_largest() -> None:
    maps = torch.tensor([[[0.0, 3.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    found = enlarged(maps, (2, 2))
    assert torch.allclose(found[0], maps[0] / 3)
    assert found[1].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert enlarged(maps, (5, 7)).shape == (2, 5, 7)


@pytest.mark.parametrize(
    ("name", "side", "layer"),
    [("lenet5", 32, "s4_tanh"), ("resnet20", 32, "stage3"), ("resnet18", 64, "layer4")],
)
def test_the_last_stage_is_what_runs_before_the_maps_are_averaged(
    name: str, side: int, layer: str
) -> None:
    source = modelfile.resolve(name, input_size=(side, side))
    network = modelfile.instantiate(source).eval()
    images = torch.rand(1, *source.description.input_shape)
    assert grad_cam(network, images).layer == layer


def test_networks_without_such_a_stage_are_refused() -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(9, 2))
    with pytest.raises(StructureError, match="it makes no maps"):
        grad_cam(linear, PICTURE)
    with pytest.raises(StructureError, match="1 mixes all places after it"):
        grad_cam(nn.Sequential(nn.Conv2d(1, 8, 2), Tokens(8), nn.Linear(8, 2)), PICTURE)


class Tokens(nn.MultiheadAttention):
    """Attention over all places, and their mean, as at the end of a vision transformer."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 1, batch_first=True)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        tokens = maps.flatten(2).transpose(1, 2)  # (N, places, channels)
        return super().forward(tokens, tokens, tokens)[0].mean(dim=1)
