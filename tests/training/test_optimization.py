"""Optimizers."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import nn, optim

from zoo.schema import Train
from zoo.training.optimization import make_optimizer


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
    groups = make_optimizer(network, Train(backbone_lr_scale=0.1), network[1]).param_groups
    factors = {id(parameter): group["factor"] for group in groups for parameter in group["params"]}
    assert [factors[id(p)] for p in network[0].parameters()] == [0.1, 0.1]
    assert [factors[id(p)] for p in network[1].parameters()] == [1.0, 1.0]


def test_a_norms_weight_is_spared_whatever_its_dimensions() -> None:
    network = nn.Sequential(nn.LayerNorm((2, 3)), nn.Flatten(), nn.Linear(6, 2))
    decayed, spared = make_optimizer(network, Train(weight_decay=0.1)).param_groups
    assert [p is network[2].weight for p in decayed["params"]] == [True]
    assert [p.ndim for p in spared["params"]] == [2, 2, 1]


def test_a_class_token_is_decayed() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.class_token = nn.Parameter(torch.zeros(1, 1, 4))

    (decayed,) = make_optimizer(Tokens(), Train(weight_decay=0.1)).param_groups
    assert decayed["weight_decay"] == 0.1


def test_every_trainable_parameter_is_in_one_group_in_the_networks_order() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.GroupNorm(1, 2), nn.Conv2d(2, 2, 3), nn.Linear(2, 3), nn.Linear(3, 3)
    )
    network[0].weight.requires_grad_(False)
    network[4].weight = network[3].weight = nn.Parameter(torch.zeros(3, 3))  # tied
    groups = make_optimizer(network, Train(weight_decay=0.1), network[4]).param_groups
    places = {id(p): place for place, p in enumerate(network.parameters())}
    found = [[places[id(p)] for p in group["params"]] for group in groups]
    assert all(group == sorted(group) for group in found)
    assert sorted(place for group in found for place in group) == [
        p for p in places.values() if p != 0
    ]


Make = Callable[[Iterable[nn.Parameter]], optim.Optimizer]


@pytest.mark.parametrize(
    ("config", "theirs"),
    [
        ({"optimizer": "adam"}, lambda p: optim.Adam(p, lr=0.01, weight_decay=0.3)),
        ({"optimizer": "adamw"}, lambda p: optim.AdamW(p, lr=0.01, weight_decay=0.3)),
        (
            {"optimizer": "sgd"},
            lambda p: optim.SGD(p, lr=0.01, weight_decay=0.3, momentum=0.9, nesterov=True),
        ),
        (
            {"optimizer": "sgd", "nesterov": False, "momentum": 0.5},
            lambda p: optim.SGD(p, lr=0.01, weight_decay=0.3, momentum=0.5),
        ),
        (
            {"optimizer": "sgd", "momentum": 0},
            lambda p: optim.SGD(p, lr=0.01, weight_decay=0.3),
        ),
        ({"optimizer": "rmsprop"}, lambda p: optim.RMSprop(p, lr=0.01, weight_decay=0.3)),
        (
            {"optimizer": "rmsprop", "momentum": 0.9},
            lambda p: optim.RMSprop(p, lr=0.01, weight_decay=0.3, momentum=0.9),
        ),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_it_takes_the_steps_of_torchs_own(config: dict[str, Any], theirs: Make) -> None:
    torch.manual_seed(0)
    ours, reference = nn.Linear(3, 2, bias=False), nn.Linear(3, 2, bias=False)
    reference.load_state_dict(ours.state_dict())
    one = make_optimizer(ours, Train(lr=0.01, weight_decay=0.3, **config))
    two = theirs(reference.parameters())
    for _ in range(4):
        for network, optimizer in ((ours, one), (reference, two)):
            optimizer.zero_grad()
            network(torch.ones(4, 3)).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, reference.weight)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_a_processors_steps_are_fused(name: str) -> None:
    optimizer = make_optimizer(nn.Linear(2, 2), Train.model_validate({"optimizer": name}))
    assert all(group["fused"] for group in optimizer.param_groups)
