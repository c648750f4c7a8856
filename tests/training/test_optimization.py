"""Optimizers and schedules."""

import pytest
import torch
from torch import nn

from zoo.schema import Train
from zoo.training.optimization import learning_rate, make_optimizer


def test_weight_decay_spares_norms_and_biases() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 3))
    decayed, spared = make_optimizer(network, Train(weight_decay=0.1)).param_groups
    assert decayed["weight_decay"] == 0.1
    assert spared["weight_decay"] == 0
    assert [p.ndim for p in decayed["params"]] == [4, 2]
    assert [p.ndim for p in spared["params"]] == [1, 1, 1, 1]


def test_frozen_parameters_are_left_out() -> None:
    network = nn.Linear(2, 3)
    network.weight.requires_grad_(False)
    (spared,) = make_optimizer(network, Train(weight_decay=0.1)).param_groups
    assert len(spared["params"]) == 1
    assert spared["params"][0] is network.bias
    assert spared["weight_decay"] == 0


def test_the_head_has_groups_of_its_own() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    groups = make_optimizer(network, Train(backbone_lr=0.1), network[1]).param_groups
    factors = {id(parameter): group["factor"] for group in groups for parameter in group["params"]}
    assert [factors[id(p)] for p in network[0].parameters()] == [0.1, 0.1]
    assert [factors[id(p)] for p in network[1].parameters()] == [1.0, 1.0]


def test_adam_takes_adams_steps() -> None:
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    one = make_optimizer(ours, Train(optimizer="adam", lr=0.01))
    two = torch.optim.Adam(theirs.parameters(), lr=0.01)
    for _ in range(3):
        for network, optimizer in ((ours, one), (theirs, two)):
            optimizer.zero_grad()
            network(torch.ones(4, 3)).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_sgd_has_nesterov_momentum() -> None:
    optimizer = make_optimizer(nn.Linear(2, 2), Train(optimizer="sgd"))
    assert isinstance(optimizer, torch.optim.SGD)
    assert all(g["nesterov"] and g["momentum"] == 0.9 for g in optimizer.param_groups)


def test_cosine_falls_from_the_rate_to_nearly_nothing() -> None:
    rates = [learning_rate(Train(lr=0.1), step, 100) for step in range(100)]
    assert rates[0] == 0.1
    assert rates[50] == pytest.approx(0.05)
    assert 0 < rates[99] < 1e-4
    assert rates == sorted(rates, reverse=True)
    assert learning_rate(Train(lr=0.1, schedule="constant"), 99, 100) == 0.1
