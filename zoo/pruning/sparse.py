"""Unstructured pruning: the smallest single weights become zero."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from zoo.errors import StructureError, UsageError
from zoo.pruning.choosing import kept_by
from zoo.surgery import Sparsity


@torch.no_grad()
def prune_weights(
    network: nn.Module, *, ratio: float, is_global: bool = False, keep: Sequence[str] = ()
) -> Sparsity:
    """Sets the weights of least magnitude to zero, in place (Han et al. 2015).

    Biases and normalizations stay, and so do tensors that a container owns.

    Args:
        network: with weights.
        ratio: share of each layer's weights, in (0, 1); globally of all; those that are zero
            already count.
        is_global: compare the weights of all layers.
        keep: globs of layers that keep their weights.

    Returns:
        What a model file records.

    Raises:
        UsageError: a glob matches nothing, or the ratio is not between 0 and 1.
        StructureError: no further weight would go, or a whole layer's.
    """
    if not 0 < ratio < 1:
        raise UsageError(f"A share of {ratio:g} is not between 0 and 1.")
    weights = _weights(network, kept_by(keep, network))
    if not weights:
        raise StructureError("No layer is left whose weights could be pruned.")
    before = _zeros(weights)
    groups = [list(weights)] if is_global else [[name] for name in weights]
    for names in groups:
        _zero_smallest([weights[name] for name in names], ratio)
    empty = [name for name, weight in weights.items() if not weight.any()]
    if empty:
        raise StructureError(
            f"This would set all of {empty[0]} to zero.",
            hint=f"Ask for less, or leave it out: --keep {empty[0].rpartition('.')[0]}",
        )
    zeros, total = _zeros(weights), sum(weight.numel() for weight in weights.values())
    if zeros == before:
        raise StructureError(
            f"No further weight would become zero: {zeros:,} of {total:,} are.",
            hint="Ask for more: --sparsity RATIO counts those that are zero already.",
        )
    return Sparsity(tensors=tuple(weights), ratio=ratio, share=zeros / total)


def _zeros(weights: Mapping[str, Tensor]) -> int:
    return sum(int((weight == 0).sum()) for weight in weights.values())


def _weights(network: nn.Module, kept: set[str]) -> dict[str, Tensor]:
    """The weights of layers: not of normalizations, and no tensors that a container owns."""
    found: dict[str, Tensor] = {}
    for path, module in network.named_modules():
        is_layer = isinstance(module, nn.MultiheadAttention) or not any(module.children())
        if not is_layer or path in kept:
            continue
        for name, parameter in module.named_parameters(path, recurse=False):
            if parameter.ndim > 1 and name.endswith("weight"):
                found[name] = parameter
    return found


def _zero_smallest(weights: Sequence[Tensor], ratio: float) -> None:
    magnitudes = torch.cat([weight.abs().flatten() for weight in weights])
    count = int(ratio * len(magnitudes) + 1e-9)
    chosen = magnitudes.argsort(stable=True)[:count]
    magnitudes.fill_(1)
    magnitudes[chosen] = 0
    parts = torch.split(magnitudes, [weight.numel() for weight in weights])
    for weight, part in zip(weights, parts, strict=True):
        weight.masked_fill_(part.view_as(weight) == 0, 0)
