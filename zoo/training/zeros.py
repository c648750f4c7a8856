"""Weights that were pruned one by one and stay zero while the others learn."""

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn


class Zeros:
    """Which weights of some tensors are zero; taken from the weights that a training starts from.

    An average of the weights that starts from the same zeros keeps them by itself.
    """

    def __init__(self, network: nn.Module, names: Iterable[str]) -> None:
        """Looks where the tensors are zero.

        Args:
            network: placed where it is trained.
            names: of parameters; one that it has no more is passed over.
        """
        parameters = dict(network.named_parameters())
        self._parameters = {name: parameters[name] for name in names if name in parameters}
        self._masks = {name: (p.detach() != 0).to(p) for name, p in self._parameters.items()}

    @torch.no_grad()
    def put_back(self) -> None:
        """Sets them to zero again, whatever the step made of them."""
        torch._foreach_mul_(list(self._parameters.values()), list(self._masks.values()))

    def state(self) -> Iterator[tuple[str, Tensor]]:
        """What a checkpoint holds: by name, what is not zero."""
        for name, mask in self._masks.items():
            yield name, mask.bool()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes what `state` gave; a weight that only became zero by learning is not held.

        Raises:
            KeyError: a tensor is missing.
        """
        for name, mask in self._masks.items():
            mask.copy_(state[name])
