"""A network that computes what its pruned version must compute, without being made smaller."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from zoo import description, modelfile
from zoo.catalog import find
from zoo.heads import split_outputs
from zoo.layers import Shape
from zoo.pruning.cutting import Cut


def built(name: str, side: int | None = None, seed: int = 0) -> tuple[nn.Module, Any]:
    """A network with weights and statistics that keep its values near 1; and its description."""
    card = find(name)
    size = None if side is None else (side, side)
    described = description.describe(card, input_size=size)
    network = modelfile.build(described, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = module.weight[0].numel()
            nn.init.normal_(module.weight, 0, (2 / fan_in) ** 0.5, generator=generator)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.1, generator=generator)
            nn.init.normal_(module.bias, 0, 0.1, generator=generator)
    settle(network, described.input_shape, generator)
    return network, described


@torch.no_grad()
def settle(network: nn.Module, input_shape: Shape, generator: torch.Generator) -> None:
    """Gives batch norms the statistics of some pictures; the network is in evaluation mode then.

    Of those pictures alone: where the first 1 of a variance counted, values would vanish on the way
    through many layers, as in an EfficientNet.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all passes
    network.train()
    for _ in range(3):
        network(torch.rand(4, *input_shape, generator=generator))
    network.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def blind_to(network: nn.Module, cut: Cut) -> nn.Module:
    """A copy as wide as before, in which nothing reads the channels that go."""
    dense = copy.deepcopy(network)
    for path, lost in cut.lost.items():
        module = dict(dense.named_modules()).get(path)
        if isinstance(module, nn.Conv2d | nn.Linear):
            width = module.weight.shape[1]
            module.weight.data[:, [place for place in lost.inputs if place < width]] = 0
    return dense


@torch.no_grad()
def outputs(network: nn.Module, pictures: Tensor) -> list[Tensor]:
    """Logits, and those of auxiliary heads; batch norms do not learn."""
    network.training = True
    try:
        logits, auxiliary = split_outputs(network(pictures))
    finally:
        network.training = False
    return [logits, *auxiliary]
