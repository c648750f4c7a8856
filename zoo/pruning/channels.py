"""Structured pruning: channels of low importance go, with all that depends on them."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from zoo.errors import StructureError, UsageError
from zoo.layers import Shape
from zoo.pruning.choosing import Policy, Scored, chosen, kept_by, scored
from zoo.pruning.cutting import Cut
from zoo.pruning.dependencies import find_groups
from zoo.summary import summarize
from zoo.surgery import Channels
from zoo.surgery.shapes import outline_of

Gradients = Callable[[nn.Module], dict[str, Tensor]]
"""Of a network's parameters, by name."""
_HALVINGS = 10
"""Trials for a target of multiply-adds: the ratio is found to a thousandth."""


class NothingToPruneError(StructureError):
    """No layer would lose a channel."""


@dataclass(frozen=True)
class Original:
    """How large a network was before it lost its first channel."""

    widths: Mapping[str, int]
    """Channels of the layers that can lose some; of those tied together, of one."""
    mult_adds: int

    @classmethod
    def of(cls, network: nn.Module, input_shape: Shape) -> "Original":
        """A network as it is.

        Raises:
            StructureError: no layer can lose channels.
        """
        widths = {group.root: group.size for group in find_groups(network, input_shape)}
        return cls(widths, mult_adds(network, input_shape))


def mult_adds(network: nn.Module, input_shape: Shape) -> int:
    """For one picture; nothing is computed."""
    return summarize(outline_of(network), input_shape).mult_adds


def prune_channels(
    network: nn.Module,
    input_shape: Shape,
    *,
    ratio: float | None = None,
    target_mult_adds: float | None = None,
    policy: Policy | None = None,
    keep: Sequence[str] = (),
    gradients: Gradients | None = None,
    original: Original | None = None,
) -> Channels:
    """Takes channels out of a network, in place.

    The classes' layer keeps its outputs, and so does every layer whose channels are tied to an
    operation that would mix them.

    Args:
        network: with weights.
        input_shape: channels, height, width.
        ratio: share of each layer's channels to take, in (0, 1); globally of all channels.
        target_mult_adds: instead, the share of the multiply-adds to keep, in (0, 1).
        policy: how channels are chosen; None is by their l2 norm.
        keep: globs of layers that keep all their channels.
        gradients: for the importance taylor.
        original: what the shares are of, if not of the network as it is.

    Returns:
        What a model file records.

    Raises:
        UsageError: a glob matches nothing, or a share is not between 0 and 1.
        NothingToPruneError: none changes.
        StructureError: no layer can lose channels, or a whole one would go.
    """
    policy = policy or Policy()
    for share in (ratio, target_mult_adds):
        if share is not None and not 0 < share < 1:
            raise UsageError(f"A share of {share:g} is not between 0 and 1.")
    groups = candidates(network, input_shape, policy=policy, keep=keep, gradients=gradients)
    if ratio is None:
        assert target_mult_adds is not None
        total = original.mult_adds if original else mult_adds(network, input_shape)
        cut = _to_target(network, input_shape, groups, target_mult_adds, total, policy)
    else:
        widths = original.widths if original else None
        cut = Cut.of(network, chosen(groups, ratio, policy, widths))
    edit = cut.apply(input_shape)
    if edit is None:
        raise NothingToPruneError(
            "No layer would lose a channel: each has too few for so small a share"
            + (f" in multiples of {policy.round_to}." if policy.round_to > 1 else ".")
        )
    return edit


def candidates(
    network: nn.Module,
    input_shape: Shape,
    *,
    policy: Policy,
    keep: Sequence[str] = (),
    gradients: Gradients | None = None,
) -> list[Scored]:
    """The groups that can lose channels, with their channels' importance.

    Raises:
        UsageError: a glob matches nothing.
        StructureError: there are none.
    """
    kept = kept_by(keep, network)
    groups = [g for g in find_groups(network, input_shape) if not kept.intersection(g.makers)]
    if not groups:
        raise StructureError("--keep leaves no layer that can lose channels.")
    if policy.importance != "taylor":
        return scored(groups, policy)
    assert gradients is not None
    found = gradients(network)
    for name, parameter in network.named_parameters():
        # An auxiliary head that does not run has none.
        parameter.grad = found.get(name, parameter.detach() * 0)
    try:
        return scored(groups, policy)
    finally:
        network.zero_grad(set_to_none=True)


def _to_target(
    network: nn.Module,
    input_shape: Shape,
    groups: Sequence[Scored],
    share: float,
    total: int,
    policy: Policy,
) -> Cut:
    """The smallest cut that leaves at most a share of so many multiply-adds in all.

    Raises:
        StructureError: even the largest leaves more.
    """
    bare = outline_of(network)
    wanted = share * total
    least: float | None = None

    def try_ratio(ratio: float) -> tuple[Cut | None, bool]:
        nonlocal least
        try:
            cut = Cut.of(network, chosen(groups, ratio, policy))
        except StructureError:
            return None, True
        smaller, edit = copy.deepcopy(bare), cut.edit()
        if edit is not None:
            edit.apply(smaller, input_shape)
        left = summarize(smaller, input_shape).mult_adds
        least = left if least is None else min(least, left)
        return cut, left <= wanted

    low, high, best = 0.0, 1.0, None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        cut, is_enough = try_ratio(middle)
        if not is_enough:
            low = middle
            continue
        high = middle
        best = cut or best
    if best is None:
        raise _beyond_reach(share, None if least is None else least / total)
    return best


def _beyond_reach(share: float, least: float | None) -> StructureError:
    smallest = hint = ""
    if least is not None:
        smallest = f"; {100 * least:.3g} % is the least"
        hint = f"--target-mult-adds {math.ceil(1000 * least) / 1000:g}"
    return StructureError(
        f"No choice of channels leaves {100 * share:.3g} % of the multiply-adds{smallest}.",
        hint=hint,
    )
