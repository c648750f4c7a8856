"""Whether an exported file answers as the network does, in the runtime that will run it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import ThresholdError
from zoo.exported import Parity
from zoo.wording import percent

TOLERANCE = 1e-4
"""Of the largest output: how far float32 may drift where operations are summed in another order."""
BATCH_SIZES = (1, 5)
IMAGES = 10
"""Pictures that are compared: one batch of five, and five of one."""

Run = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Comparison:
    """The outputs of network and file for the same pictures."""

    ours: Tensor
    """(N, ...), the network's."""
    theirs: Tensor
    """(N, ...), the file's."""
    tells_classes: bool

    @property
    def largest(self) -> float:
        """The largest of the network's outputs, in absolute value."""
        return self.ours.abs().max().item()

    @property
    def tolerance(self) -> float:
        """The difference that is allowed."""
        return TOLERANCE * self.largest

    @property
    def difference(self) -> float:
        """The largest, in absolute value."""
        return (self.ours - self.theirs).abs().max().item()

    @property
    def agreement(self) -> float | None:
        """Share of pictures with the same likeliest class; None for features."""
        if not self.tells_classes:
            return None
        return (self.ours.argmax(dim=1) == self.theirs.argmax(dim=1)).float().mean().item()

    @property
    def flipped(self) -> int:
        """Pictures whose likeliest class differs although it led by more than the tolerance."""
        if not self.tells_classes or self.ours.shape[1] < 2:
            return 0
        first, second = self.ours.topk(2, dim=1).values.unbind(dim=1)  # (N,) each
        is_clear = first - second > self.tolerance
        return int((is_clear & (self.ours.argmax(dim=1) != self.theirs.argmax(dim=1))).sum())

    @property
    def spread(self) -> float:
        """How much the network's outputs differ between pictures, at most."""
        return (self.ours.amax(dim=0) - self.ours.amin(dim=0)).max().item()

    def failure(self, message: str, hint: str = "") -> ThresholdError:
        """The error for a file that is not to be written, with the figures."""
        same_shape = self.theirs.shape == self.ours.shape
        figures = {
            "checked": True,
            "max_abs_diff": self.difference if same_shape else None,
            "top1_agreement": self.agreement if same_shape else None,
            "batches": list(BATCH_SIZES),
        }
        return ThresholdError(message, hint=hint, results={"parity": figures})

    def figures(self, recipe: str | None) -> Parity:
        """What the file says of it.

        Args:
            recipe: whose pictures they were; None where they were random.
        """
        return Parity(
            max_abs_diff=self.difference,
            top1_agreement=self.agreement,
            batches=BATCH_SIZES,
            images=len(self.ours),
            recipe=recipe,
        )


def check_floats(comparison: Comparison, what: str, runtime: str) -> None:
    """Refuses a file that differs, and a comparison that shows nothing.

    Args:
        comparison: of its outputs.
        what: the file's name.
        runtime: that ran it.

    Raises:
        ThresholdError: says in what; the figures are in its results.
    """
    _check_comparable(comparison, what, runtime)
    # Also where the file gives a NaN, with which every comparison is false.
    if not comparison.difference <= comparison.tolerance:
        raise comparison.failure(
            f"{what} differs from the network in {runtime}: by {comparison.difference:.3g}, where "
            f"{comparison.tolerance:.3g} is allowed, 1e-4 of the largest output."
        )
    if comparison.flipped:
        raise comparison.failure(
            f"{what} names another class than the network in {runtime}, for "
            f"{comparison.flipped} of {len(comparison.ours)} pictures."
        )


def _check_comparable(comparison: Comparison, what: str, runtime: str) -> None:
    """Refuses outputs that can't be compared, or whose agreement would show nothing."""
    if comparison.theirs.shape != comparison.ours.shape:
        raise comparison.failure(
            f"{what} gives {tuple(comparison.theirs.shape)} numbers in {runtime}, the network "
            f"{tuple(comparison.ours.shape)}."
        )
    if not comparison.ours.isfinite().all():
        raise comparison.failure(
            f"{what} can't be checked: the network itself gives numbers that are not finite.",
            hint="--no-check writes it unchecked.",
        )
    if comparison.spread <= comparison.tolerance:
        raise comparison.failure(
            f"{what} can't be checked: the network gives the same output for every picture, but "
            f"for {comparison.spread:.1g} of {comparison.largest:.3g}, so agreeing with it shows "
            "nothing.",
            hint="Train it first, or --no-check writes it unchecked.",
        )


def check_agreement(comparison: Comparison, what: str, runtime: str, least: float) -> None:
    """Refuses a file that names another class too often, and a comparison that shows nothing.

    Args:
        comparison: of its outputs.
        what: the file's name.
        runtime: that ran it.
        least: share of pictures for which both must name the same class.

    Raises:
        ThresholdError: says how often; the figures are in its results.
    """
    _check_comparable(comparison, what, runtime)
    theirs = comparison.theirs
    if not theirs.isfinite().all():
        raise comparison.failure(f"{what} gives numbers that are not finite in {runtime}.")
    if torch.equal(theirs.amin(dim=0), theirs.amax(dim=0)):
        raise comparison.failure(f"{what} gives the same output for every picture in {runtime}.")
    found = comparison.agreement or 0.0
    if found < least:
        raise comparison.failure(
            f"{what} names the network's class for {percent(found)} of {len(theirs)} pictures in "
            f"{runtime}, where {percent(least)} is asked for.",
            hint="More pictures to calibrate on may help: --calibration-images N.",
        )


def compare(
    network: Run, file: Run, batches: Sequence[Tensor], *, tells_classes: bool
) -> Comparison:
    """Runs network and file on the same batches.

    Args:
        network: float32 outputs of a batch.
        file: the same, in the file's own runtime.
        batches: as the file takes them.
        tells_classes: whether the outputs are of classes.
    """
    with torch.inference_mode():
        ours = torch.cat([network(batch).float() for batch in batches])
        theirs = torch.cat([file(batch).float() for batch in batches])
    return Comparison(ours, theirs, tells_classes)
