"""Which channels of each group go."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch_pruning.pruner import importance

from zoo.errors import StructureError
from zoo.layers import containers, paths_matching
from zoo.pruning.dependencies import Group

Importance = Literal["l1", "l2", "taylor", "random"]


@dataclass(frozen=True)
class Policy:
    """How channels are chosen."""

    importance: Importance = "l2"
    """l1, l2: norm of all weights that make or read a channel; taylor: of weight times gradient
    (Molchanov et al. 2019); random: drawn from the seed."""
    is_global: bool = False
    """Rank the channels of all layers together, each by its share of its layer's mean."""
    round_to: int = 1
    """What is left of a layer is a multiple of this, where it has as many."""
    seed: int = 0


@dataclass(frozen=True)
class Scored:
    """A group with the importance of its places: channels that must go together."""

    group: Group
    scores: Tensor
    """(size / grouped,), mean 1."""

    def channels(self, places: Sequence[int]) -> list[int]:
        """The channels at some places of every one of the convolution's groups."""
        per_group = len(self.scores)
        return sorted(part * per_group + p for part in range(self.group.grouped) for p in places)


def kept_by(globs: Sequence[str], network: nn.Module) -> set[str]:
    """The layers that globs mean; one that means a container means all in it.

    Raises:
        StructureError: a glob matches nothing.
    """
    tops = {path for glob in globs for path in paths_matching(network, glob)}
    names = [name for name, _ in network.named_modules() if name]
    return {name for name in names if not tops.isdisjoint((name, *containers(name)))}


def scored(groups: Sequence[Group], policy: Policy) -> list[Scored]:
    """The groups with the importance of their channels.

    Args:
        groups: of a network whose weights have gradients where the importance is taylor.
        policy: how they are chosen.
    """
    measure = _measure(policy)
    return [
        Scored(group, measure(group).reshape(group.grouped, -1).mean(dim=0)) for group in groups
    ]


def _measure(policy: Policy) -> Callable[[Group], Tensor]:
    if policy.importance == "random":
        generator = torch.Generator().manual_seed(policy.seed)
        return lambda group: torch.rand(group.size, generator=generator)
    if policy.importance == "taylor":
        norm = importance.GroupTaylorImportance()
    else:
        norm = importance.GroupMagnitudeImportance(p=1 if policy.importance == "l1" else 2)

    def measure(group: Group) -> Tensor:
        scores: Tensor = norm(group.found).double().cpu()
        return torch.nan_to_num(scores, nan=1.0)  # all weights are zero: none is less than others

    return measure


def chosen(
    groups: Sequence[Scored],
    ratio: float,
    policy: Policy,
    widths: Mapping[str, int] | None = None,
) -> list[tuple[Group, list[int]]]:
    """The channels that go, least important first; of equal ones the earlier.

    Args:
        groups: of one network.
        ratio: share of the channels to take, in [0, 1).
        policy: how they are chosen.
        widths: the channels, by the group's root, that it is a share of, where some are gone
            already; None where all are there.

    Raises:
        StructureError: a whole layer would go.
    """
    sizes = [(widths or {}).get(one.group.root, one.group.size) for one in groups]
    find = _global_counts if policy.is_global else _local_counts
    counts = find(groups, sizes, ratio)
    taken = []
    for scored_group, count in zip(groups, counts, strict=True):
        count = _rounded(scored_group, count, policy.round_to)
        places = scored_group.scores.argsort(stable=True)[:count].tolist()
        taken.append((scored_group.group, scored_group.channels(places)))
    whole = [group.root for group, channels in taken if len(channels) == group.size]
    if whole:
        raise StructureError(
            f"This would remove all channels of {', '.join(whole[:3])}"
            + (f" and {len(whole) - 3} more layers." if len(whole) > 3 else "."),
            hint=f"Ask for less, or leave it out: --keep {whole[0]}",
        )
    return taken


def _local_counts(groups: Sequence[Scored], sizes: Sequence[int], ratio: float) -> list[int]:
    counts = []
    for group, size in zip(groups, sizes, strict=True):
        places = size // group.group.grouped
        left = places - int(ratio * places + 1e-9)
        counts.append(max(0, len(group.scores) - left))
    return counts


def _global_counts(groups: Sequence[Scored], sizes: Sequence[int], ratio: float) -> list[int]:
    scores = torch.cat([group.scores for group in groups])
    owners = [place for place, group in enumerate(groups) for _ in range(len(group.scores))]
    gone = sum(sizes) - sum(group.group.size for group in groups)
    left = ratio * sum(sizes) - gone + 1e-9
    counts = [0] * len(groups)
    for index in scores.argsort(stable=True).tolist():
        owner = owners[index]
        left -= groups[owner].group.grouped
        if left < 0:
            break
        counts[owner] += 1
    return counts


def _rounded(group: Scored, count: int, round_to: int) -> int:
    """How many places go so that the nearest multiple is left; in a small layer all stay."""
    step = round_to // math.gcd(round_to, group.group.grouped)
    size = len(group.scores)
    if step <= 1 or count == size:  # of which the latter is refused
        return count
    left = max(step, (size - count + step // 2) // step * step)
    return max(0, size - left)
