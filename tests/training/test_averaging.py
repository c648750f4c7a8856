"""The average of the weights."""

import copy

import torch
from torch import Tensor, nn

from zoo.training.averaging import Average


class Tied(nn.Module):
    """Channels-last convolutions that share a weight, a batch norm, and buffers of all kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(4, 4, 3, padding=1)
        self.two = nn.Conv2d(4, 4, 3, padding=1)
        self.two.weight = self.one.weight
        self.norm = nn.BatchNorm2d(4)
        self.register_buffer("mask", torch.tensor([0.0, float("-inf")]), persistent=False)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.two(self.one(x)))  # type: ignore[no-any-return]


def step(network: nn.Module, seed: int) -> None:
    """Something like training: every parameter and statistic moves."""
    draws = torch.Generator().manual_seed(seed)
    network.train()(torch.randn(2, 4, 5, 5, generator=draws))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=draws)


def tied() -> Tied:
    torch.manual_seed(0)
    return Tied()


def test_it_is_the_moving_average_of_weights_and_statistics() -> None:
    network = tied()
    average = Average(network, decay=0.4)
    expected = {name: t.double() for name, t in network.state_dict().items()}
    for done in range(6):
        step(network, done)
        average.update(network, done)
        decay = [1 / 10, 2 / 11, 3 / 12, 4 / 13, 5 / 14, 0.4][done]
        for name, tensor in network.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * tensor
    found = average.network.state_dict()
    assert int(found.pop("norm.num_batches_tracked")) == 6
    for name, tensor in found.items():
        torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-5, atol=1e-6)


def test_the_average_is_ready_to_evaluate_and_never_learns() -> None:
    network = tied().train()
    average = Average(network, decay=0.9)
    average.update(network, 0)
    assert not any(module.training for module in average.network.modules())
    assert not any(p.requires_grad for p in average.network.parameters())
    assert all(module.training for module in network.modules())
    assert all(p.requires_grad for p in network.parameters())


def test_layouts_and_ties_are_kept() -> None:
    network = tied()
    average = Average(network, decay=0.9)
    step(network, 0)
    average.update(network, 0)
    assert isinstance(average.network, Tied)
    assert average.network.one.weight is average.network.two.weight
    assert average.network.one.weight.is_contiguous(memory_format=torch.channels_last)
    expected = [p.stride() for p in network.parameters()]
    assert [p.stride() for p in average.network.parameters()] == expected


def test_what_no_saved_state_holds_is_copied() -> None:
    network = tied()
    average = Average(network, decay=0.9)
    network.mask += 1  # type: ignore[operator]
    average.update(network, 0)
    assert average.network.mask.tolist() == [1, float("-inf")]  # type: ignore[union-attr, operator]


def test_other_layouts_and_types_are_averaged_too() -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Linear(3, 2).double())
    average = Average(network, decay=0.9)
    before = copy.deepcopy(average.network.state_dict())
    step_to = {name: tensor + 1 for name, tensor in network.state_dict().items()}
    network.load_state_dict(step_to)
    network.to(memory_format=torch.channels_last)  # the average stays contiguous
    average.update(network, 0)
    for name, tensor in average.network.state_dict().items():
        torch.testing.assert_close(tensor, before[name] + 0.9)


def test_a_resumed_average_continues_with_identical_bits() -> None:
    network = tied()
    through = Average(network, decay=0.9)
    for done in range(5):
        step(network, done)
        through.update(network, done)
    saved = {
        name: tensor.clone(memory_format=torch.contiguous_format)
        for name, tensor in through.network.state_dict().items()
    }
    resumed = Average(tied(), decay=0.9)
    resumed.network.load_state_dict(saved)
    for done in range(5, 20):
        step(network, done)
        through.update(network, done)
        resumed.update(network, done)
    for name, tensor in through.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name
