"""An average of a network's weights over the steps, often better than the last ones."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from zoo import frozen


class Average:
    """Exponential moving average of weights (Polyak and Juditsky 1992).

    The decay rises to its full value, so that the first weights are soon forgotten; batch-norm
    statistics are averaged too, as in timm.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Starts from the network's weights.

        Args:
            network: is copied; not wrapped for several processes.
            decay: per step, of the average.
        """
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        still = {id(tensor) for tensor in frozen.tensors(network).values()}
        self._is_frozen = [id(tensor) in still for tensor in _tensors(network)]
        """Of each tensor: such a one stays the copy it is."""
        kept = {id(tensor) for tensor in self.network.state_dict(keep_vars=True).values()}
        self._is_averaged = [
            tensor.is_floating_point() and id(tensor) in kept for tensor in _tensors(self.network)
        ]
        """Of each tensor. Counts are copied, and so is what no saved state could restore."""

    @torch.no_grad()
    def update(self, network: nn.Module, done: int) -> None:
        """Takes in the weights after a step.

        Args:
            network: the one that learns.
            done: steps before this one.
        """
        averages: list[Tensor] = []
        latest: list[Tensor] = []
        kinds = zip(self._is_averaged, self._is_frozen, strict=True)
        pairs = zip(_tensors(self.network), _tensors(network), kinds, strict=True)
        for average, tensor, (is_averaged, is_frozen) in pairs:
            if is_frozen:
                continue
            if is_averaged:
                averages.append(average)
                latest.append(tensor)
            else:
                average.copy_(tensor)
        decay = min(self.decay, (1 + done) / (10 + done))
        if averages:  # torch loops by itself where dtypes or layouts differ
            torch._foreach_lerp_(averages, latest, 1 - decay)


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    """Parameters and buffers, tied ones once."""
    yield from network.parameters()
    yield from network.buffers()
