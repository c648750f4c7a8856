"""Which layers to freeze: what the user asks for as exact layers, and a model file with them."""

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from torch import nn

from zoo import frozen, layers, modelfile
from zoo.description import Description
from zoo.errors import UsageError, did_you_mean
from zoo.files import check_output_file
from zoo.heads import find_head
from zoo.layers import Layer
from zoo.summary import Summary, summarize
from zoo.surgery import Freeze

ALL_BUT_HEAD = "all-but-head"


@dataclass(frozen=True)
class Choice:
    """Layers by position, by name or all; `unfreeze` takes some out again."""

    first: int | None = None
    """The first so many rows of the summary."""
    until: str | None = None
    """All up to this layer, or to the end of this block, included."""
    everything: bool = False
    all_but_head: bool = False
    globs: tuple[str, ...] = ()
    """Of names of layers or of blocks that hold them."""
    unfreeze: tuple[str, ...] = ()

    @property
    def _given(self) -> list[str]:
        flags = {
            "--first": self.first is not None,
            "--until": self.until is not None,
            "--all": self.everything,
            "--all-but-head": self.all_but_head,
        }
        return [flag for flag, is_given in flags.items() if is_given]

    def check(self) -> None:
        """Refuses what is empty or contradicts itself.

        Raises:
            UsageError: names the flags.
        """
        given = self._given
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude one another.")
        if self.globs and (self.everything or self.all_but_head):
            raise UsageError(f"--layers can't go with {given[0]}, which has them already.")
        if not (given or self.globs or self.unfreeze):
            raise UsageError(
                "Which layers?",
                hint="--first N, --until NAME, --layers GLOB, --all, --all-but-head or "
                "--unfreeze GLOB",
            )


@dataclass(frozen=True)
class Row:
    """A row of the summary as something to freeze."""

    name: str
    type: str
    params: int
    """Parameters and batch-norm statistics."""
    parts: tuple[str, ...]
    """What an edit calls it: the layer, or each tensor that a container owns itself."""
    blocks: tuple[str, ...]
    """Containers that it lies in, from the inside."""
    module: nn.Module | None
    can_be_frozen: bool
    """Whether it has anything that learns when nothing is frozen."""
    is_frozen: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that a glob may match."""
        return (self.name, *self.parts, *self.blocks)


@dataclass(frozen=True)
class Plan:
    """What changes."""

    freeze: tuple[Row, ...]
    unfreeze: tuple[Row, ...]
    fresh: tuple[Row, ...] = ()
    """Asked for, but never frozen: they start fresh."""

    @cached_property
    def edits(self) -> tuple[Freeze, ...]:
        """What a model file records."""
        sides = ((self.freeze, True), (self.unfreeze, False))
        return tuple(
            Freeze(layers=tuple(part for row in rows for part in row.parts), frozen=is_frozen)
            for rows, is_frozen in sides
            if rows
        )


def plan(name: str, description: Description, choice: Choice, fresh: Collection[str] = ()) -> Plan:
    """Turns a choice into exact layers; nothing is computed and no weights are read.

    Args:
        name: what to call the network.
        description: of the network as it is.
        choice: checked.
        fresh: layers that start fresh, which are never frozen.

    Raises:
        UsageError: a layer is unknown, a glob matches nothing, or nothing of what it matches
            can learn.
    """
    network = modelfile.outline(description)
    rows = _rows(network, description)
    asked = _asked(name, network, description, choice, rows)
    freed = [row for glob in choice.unfreeze for row in _matching(name, glob, rows)]
    wanted = [row for row in rows if row in asked and row not in freed]
    touched = [row for row in (*wanted, *freed) if row.can_be_frozen]
    if not touched:
        raise UsageError(
            f"{', '.join(row.name for row in asked or freed)}: nothing in there can be frozen, for "
            "it has no parameters.",
            hint=_listing(name),
        )
    learning = [row for row in wanted if row.can_be_frozen and not row.is_frozen]
    return Plan(
        freeze=tuple(row for row in learning if row.name not in fresh),
        unfreeze=tuple(row for row in rows if row in freed and row.is_frozen),
        fresh=tuple(row for row in learning if row.name in fresh),
    )


@dataclass(frozen=True)
class Frozen:
    """A model file that was written, or would be."""

    path: Path | None
    """None where nothing was written."""
    description: Description
    plan: Plan
    before: Summary
    after: Summary
    notes: tuple[str, ...]


def freeze_file(
    model: str, choice: Choice, output: Path | None, *, dry_run: bool = False, force: bool = False
) -> Frozen:
    """Writes MODEL with layers frozen or unfrozen; its weights stay as they are.

    Args:
        model: an architecture, a model file or a run.
        choice: of layers.
        output: the model file to write; None only in a dry run.
        dry_run: write nothing.
        force: replaces an existing output.

    Raises:
        NotFoundError: MODEL is nothing.
        OutputExistsError: the output exists and `force` is false.
        UsageError: the choice can't be.
        ModelFileError: the file is refused or corrupt.
        DiskError: the output can't be written.
    """
    choice.check()
    if output is not None:
        check_output_file(output, force=force)
    elif not dry_run:
        raise UsageError("Missing option '--output' / '-o'.", hint="Or --dry-run.")
    source = modelfile.resolve(model)
    planned = plan(source.name, source.description, choice)
    description = modelfile.with_edits(source.description, planned.edits)
    before, after = (
        summarize(modelfile.outline(one), one.input_shape, name=source.name)
        for one in (source.description, description)
    )
    if not dry_run and output is not None:
        modelfile.save(output, modelfile.instantiate(source, planned.edits), description)
    notes = (*description.notes, *_notes(source.description, planned))
    return Frozen(None if dry_run else output, description, planned, before, after, notes)


def _notes(description: Description, planned: Plan) -> list[str]:
    notes = []
    if not planned.edits:
        notes.append("nothing changes: these layers are so already")
    untrained = [row.name for row in planned.freeze if row.name in description.untrained]
    if planned.freeze and description.is_random:
        notes.append("the weights are random: what is frozen will never learn anything")
    elif untrained:
        notes.append(
            f"{' and '.join(untrained)} has fresh weights, which will never learn anything"
        )
    return notes


def _rows(network: nn.Module, description: Description) -> list[Row]:
    """The rows of the summary, in its order."""
    free = dict(modelfile.outline(description.unfrozen).named_parameters())
    learn = {
        id(parameter) for name, parameter in network.named_parameters() if free[name].requires_grad
    }
    return [
        _row(layer, network, learn)
        for layer in layers.ordered(network, description.input_shape).layers
    ]


def _row(layer: Layer, network: nn.Module, learn: Collection[int]) -> Row:
    if layer.module is None:
        parts = tuple(layer.name.split(", "))
        parameters = [network.get_parameter(part) for part in parts]
        norms: list[nn.Module] = []
    else:
        parts = (layer.path,)
        parameters = list(layer.module.parameters())
        norms = [module for module in layer.module.modules() if frozen.has_statistics(module)]
    learning = [parameter for parameter in parameters if id(parameter) in learn]
    return Row(
        name=layer.name,
        type=layer.type,
        params=sum(tensor.numel() for tensor in layer.tensors),
        parts=parts,
        blocks=layers.containers(parts[0]),
        module=layer.module,
        can_be_frozen=bool(learning or norms),
        is_frozen=bool(learning or norms)
        and not any(parameter.requires_grad for parameter in learning)
        and all(frozen.is_held(norm) for norm in norms),
    )


def _asked(
    name: str,
    network: nn.Module,
    description: Description,
    choice: Choice,
    rows: Sequence[Row],
) -> list[Row]:
    """The rows to freeze, before any is taken out again."""
    asked = [row for glob in choice.globs for row in _matching(name, glob, rows)]
    if choice.everything:
        asked += rows
    if choice.all_but_head:
        if description.is_headless:
            raise UsageError(
                f"--all-but-head does not apply: {name} has no head.",
                hint="--all freezes every layer; the head that training brings always learns.",
            )
        head = find_head(network, description.input_shape)
        asked += [row for row in rows if row.module is not head]
    if choice.first is not None:
        if choice.first > len(rows):
            raise UsageError(
                f"{name} has {len(rows)} layers, not {choice.first}.", hint=_listing(name)
            )
        asked += rows[: choice.first]
    if choice.until is not None:
        places = [place for place, row in enumerate(rows) if choice.until in row.names]
        if not places:
            raise _unknown(name, f"No layer is called {choice.until!r}.", choice.until, rows)
        asked += rows[: places[-1] + 1]
    return asked


def _matching(name: str, glob: str, rows: Sequence[Row]) -> list[Row]:
    found = [row for row in rows if any(fnmatchcase(known, glob) for known in row.names)]
    if not found:
        raise _unknown(name, f"No layer matches {glob!r}.", glob, rows)
    return found


def _unknown(name: str, message: str, word: str, rows: Sequence[Row]) -> UsageError:
    known = dict.fromkeys(known for row in rows for known in row.names)
    plain = word.strip("*?[]")
    return UsageError(f"{message} {did_you_mean(plain, known)}".rstrip(), hint=_listing(name))


def _listing(name: str) -> str:
    return f"zoo summary {shlex.quote(name)} lists the layers."
