"""What is frozen in a network."""

import copy

import pytest
import torch
from torch import nn

from zoo import frozen
from zoo.errors import ExitCode, ZooError


def small() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Dropout(), nn.Conv2d(2, 2, 1))


def test_a_held_batch_norm_stays_in_evaluation_mode() -> None:
    network = small()
    for module in network:
        frozen.hold(module)
    network.train()
    # Keras's trainable = False leaves dropout active.
    assert [module.training for module in network] == [True, False, True, True]
    network(torch.randn(4, 1, 3, 3))
    assert network[1].num_batches_tracked == 0
    frozen.release(network[1])
    network.train()
    network(torch.randn(4, 1, 3, 3))
    assert network[1].num_batches_tracked == 1


def test_a_copy_holds_its_own_batch_norms() -> None:
    network = small()
    frozen.hold(network[1])
    copied = copy.deepcopy(network)
    frozen.release(network[1])
    assert [copied.train()[1].training, network.train()[1].training] == [False, True]


def test_the_mode_of_what_lies_inside_a_batch_norm_changes() -> None:
    class NormAct(nn.BatchNorm2d):
        def __init__(self) -> None:
            super().__init__(2)
            self.drop = nn.Dropout()

    network = nn.Sequential(NormAct())
    frozen.hold(network[0])
    network.train()
    assert [network[0].training, network[0].drop.training] == [False, True]


def test_frozen_tensors_are_parameters_and_statistics() -> None:
    network = small()
    assert frozen.tensors(network) == {}
    network[1].requires_grad_(False)
    frozen.hold(network[1])
    network[3].bias.requires_grad_(False)
    names = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    assert set(frozen.digests(network)) == {"3.bias", *(f"1.{name}" for name in names)}


def test_digests_see_every_bit_and_no_layout() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3)).requires_grad_(False)
    before = frozen.digests(network)
    network.to(memory_format=torch.channels_last)
    frozen.check_unchanged(network.state_dict(), before)
    network[0].bias.data[0] = 0.0
    zero = frozen.digests(network)
    network[0].bias.data[0] = -0.0
    with pytest.raises(ZooError, match=r"Frozen tensors changed while training: 0\.bias\.") as said:
        frozen.check_unchanged(network.state_dict(), zero)
    assert said.value.code is ExitCode.BUG
