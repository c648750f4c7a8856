"""From MODEL and edits to a smaller model file, and what that cost and gained.

`open_version` gives MODEL's network, `edited` a copy with edits, `compare` the figures of both;
`shrink` does all of it and writes the file.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from zoo import modelfile
from zoo.description import Description
from zoo.errors import UsageError
from zoo.evaluation import Shown
from zoo.files import check_output_file
from zoo.input_sizes import check_takes
from zoo.modelfile import Source
from zoo.precision import Precision, choose
from zoo.summary import LayerSummary, Summary, summarize
from zoo.surgery import Edit
from zoo.surgery.shapes import outline_of
from zoo.timing import Goal, forward_pass, medians_ms

_SPREAD = 0.01
_NOTICEABLE = 0.95
"""A share of the time before above which no speed-up is claimed: medians vary by as much."""


@dataclass(frozen=True)
class Version:
    """A network before or after edits."""

    network: nn.Module
    """In evaluation mode."""
    description: Description

    @cached_property
    def summary(self) -> Summary:
        """Its layers and totals."""
        return summarize(outline_of(self.network), self.description.input_shape)


@dataclass(frozen=True)
class Figures:
    """What a version of a network costs, and how good it is."""

    total_params: int
    """Parameters and batch-norm statistics (Keras's count)."""
    torch_params: int
    mult_adds: int
    """For one picture."""
    file_bytes: int
    """Of the model file."""
    latency_ms: float | None = None
    """Median of forward passes of one picture; None where it was not measured."""
    top1: float | None = None
    """Share of the pictures that it gets right; None where it was not measured."""


@dataclass(frozen=True)
class Change:
    """A row of the summary that is other than before; None where there is none."""

    name: str
    type: str
    before: LayerSummary | None
    after: LayerSummary | None


@dataclass(frozen=True)
class Zeroed:
    """A layer's weights, in which there are more zeros than before."""

    name: str
    """Of the parameter."""
    weights: int
    """So many in all."""
    zeros: int
    zeros_after: int


@dataclass(frozen=True)
class Shrunk:
    """What edits did to a network."""

    model: str
    output: Path | None
    """The model file; None for a trial."""
    description: Description
    """Of the network afterwards."""
    before: Figures
    after: Figures
    changes: tuple[Change, ...]
    zeroed: tuple[Zeroed, ...]
    measured_on: Precision
    threads: int
    split: str | None = None
    """The pictures that the accuracy is of."""
    notes: tuple[str, ...] = ()

    @property
    def speed_up(self) -> float | None:
        """How many times as fast; None where it was not measured, or is none worth the word."""
        if self.before.mult_adds == self.after.mult_adds:
            return None  # what was measured is chance: zeros are multiplied like all else
        before, after = self.before.latency_ms, self.after.latency_ms
        if before is None or after is None or after > _NOTICEABLE * before:
            return None
        return before / after


def shrink(
    model: str,
    change: Callable[[Version], Version],
    output: Path | None,
    *,
    needs_weights: bool,
    dry_run: bool = False,
    force: bool = False,
    shown: Callable[[Source], Shown] | None = None,
    device: str = "cpu",
) -> Shrunk:
    """Makes a smaller version of MODEL, measures both and writes the model file.

    Args:
        model: an architecture, a model file or a run.
        change: makes the smaller version, and leaves the one that it is given as it is.
        output: the model file to write; None only for a trial.
        needs_weights: whether `change` looks at them, so that a trial reads them too.
        dry_run: count, but measure and write nothing.
        force: replaces an existing output.
        shown: opens the pictures to judge both versions by; None judges neither.
        device: such as `cpu` or `cuda:0`.

    Raises:
        NotFoundError: MODEL is nothing.
        OutputExistsError: the output exists and `force` is false.
        UsageError: a network that gives no classes can't be judged.
        StructureError: an edit does not fit.
        ModelFileError: the file is refused or corrupt.
        DiskError: the output can't be written.
    """
    if output is not None:
        check_output_file(output, force=force)
    source = modelfile.resolve(model)
    pictures = None if shown is None else shown(source)
    before = open_version(source, with_weights=needs_weights or not dry_run)
    after = change(before)
    if pictures is not None and after.description.is_headless:
        raise UsageError(
            "--recipe does not apply: what is left gives features and names no class.",
            hint="zoo train FILE attaches a new head.",
        )
    arithmetic = choose("fp32", torch.device(device))
    changed = changes(before.summary.layers, after.summary.layers)
    zeroed = tuple(_more_zeros(before, after)) if needs_weights else ()
    if dry_run:
        counted = counts(before, source.path), counts(after)
    else:
        counted = compare(before, after, source.path, arithmetic, pictures)
    if output is not None and not dry_run:
        modelfile.save(output, after.network, after.description)
    return Shrunk(
        model=source.name,
        output=None if dry_run else output,
        description=after.description,
        before=counted[0],
        after=counted[1],
        changes=changed,
        zeroed=zeroed,
        measured_on=arithmetic,
        threads=torch.get_num_threads(),
        split=None if pictures is None else f"{pictures.split} pictures of {pictures.recipe}",
        notes=(*source.description.all_notes, *(pictures.notes if pictures else ())),
    )


def open_version(source: Source, *, with_weights: bool = True) -> Version:
    """MODEL's network; without weights it lies on meta.

    Raises:
        StructureError: no picture of its size can pass.
        ModelFileError: the file is refused or corrupt.
    """
    if source.path is None:
        check_takes(source.description)
    if with_weights:
        network = modelfile.instantiate(source).eval()
    else:
        network = modelfile.outline(source.description).eval()
    return Version(network, source.description)


def edited(before: Version, edits: Sequence[Edit]) -> Version:
    """A copy with edits; what was measured of the network no longer holds, nor do lost classes.

    Raises:
        StructureError: an edit does not fit.
    """
    network = copy.deepcopy(before.network)
    for edit in edits:
        network = edit.apply(network, before.description.input_shape)
    return Version(network.eval(), described(before.description, edits))


def described(before: Description, edits: Sequence[Edit]) -> Description:
    """The description with further edits, and without what no longer holds."""
    description = modelfile.with_edits(before, edits)
    lost: dict[str, object] = {"metrics": {}}
    if description.is_headless:
        lost |= {"classes": (), "untrained": ()}
    return description.model_copy(update=lost)


def compare(
    before: Version,
    after: Version,
    path: Path | None,
    arithmetic: Precision,
    pictures: Shown | None = None,
) -> tuple[Figures, Figures]:
    """The figures of two versions; their networks are moved to where they compute.

    Args:
        before: as it was.
        after: as it is now.
        path: the model file of `before`; None where there is none.
        arithmetic: of the forward passes.
        pictures: to judge both by.
    """
    found = [counts(before, path), counts(after)]
    networks = [before.network, after.network]
    times = latencies_ms(networks, before.description.input_shape, arithmetic)
    top1 = [None if pictures is None else pictures.figures(n, arithmetic).top1 for n in networks]
    first, second = (
        Figures(**{**vars(figures), "latency_ms": latency_ms, "top1": share})
        for figures, latency_ms, share in zip(found, times, top1, strict=True)
    )
    return first, second


def counts(version: Version, path: Path | None = None) -> Figures:
    """What can be counted without computing anything.

    Args:
        version: of a network; it may lie on meta.
        path: its model file, if it has one.
    """
    summary = version.summary
    size = path.stat().st_size if path else None
    return Figures(
        total_params=summary.total_params,
        torch_params=summary.torch_params,
        mult_adds=summary.mult_adds,
        file_bytes=size or modelfile.file_bytes(version.network, version.description),
    )


def latencies_ms(
    networks: Sequence[nn.Module],
    input_shape: tuple[int, ...],
    arithmetic: Precision,
    *,
    seconds: float = 1.0,
) -> list[float]:
    """The median time of one picture's forward pass of each network, in milliseconds.

    The networks take turns, so that what else the machine does slows them alike.

    Args:
        networks: in evaluation mode; they are placed.
        input_shape: channels, height, width.
        arithmetic: of the passes.
        seconds: to measure for, about.
    """
    passes = [forward_pass(network, input_shape, arithmetic) for network in networks]
    return medians_ms(passes, Goal(spread=_SPREAD, seconds=seconds / len(networks)))


def changes(before: Sequence[LayerSummary], after: Sequence[LayerSummary]) -> tuple[Change, ...]:
    """The rows that are other than before, or gone, in their order.

    One that never runs and has no parameters, such as a dropout that other code stands in for,
    counts on neither side.
    """
    was, now = ({row.name: row for row in side if row.output_shape or row.params}
                for side in (before, after))  # fmt: skip
    found = [
        Change(row.name, row.type, row, now.get(row.name))
        for row in was.values()
        if row.name not in now or _what_counts(row) != _what_counts(now[row.name])
    ]
    new = [Change(row.name, row.type, None, row) for row in now.values() if row.name not in was]
    return (*found, *new)


def _what_counts(row: LayerSummary) -> tuple[object, ...]:
    return row.type, row.activation, row.output_shape, row.params


def _more_zeros(before: Version, after: Version) -> Iterator[Zeroed]:
    """The pruned tensors that have more zeros than before."""
    old = dict(before.network.named_parameters())
    new = dict(after.network.named_parameters())
    for name in after.description.sparse_tensors:
        if name not in new:  # a head that was taken off
            continue
        zeros = [int((parameters[name] == 0).sum()) for parameters in (old, new)]
        if old[name].shape == new[name].shape and zeros[1] > zeros[0]:
            yield Zeroed(name, new[name].numel(), *zeros)
