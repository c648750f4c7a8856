"""`zoo freeze`: layers that training leaves alone, or that learn again."""

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.app import OUTPUT, app, command
from zoo.cli.following import on_model
from zoo.cli.options import DryRun, Force, ModelArg, OutputUnlessDry
from zoo.cli.output import Column, Result, Table, count, plural

if TYPE_CHECKING:
    from zoo.freezing import Frozen, Plan
    from zoo.summary import Summary

COLUMNS = (
    Column("name", "Name"),
    Column("type", "Type"),
    Column("params", "Parameters", count, right=True),
    Column("trainable", "Change", lambda learns: "unfrozen" if learns else "frozen"),
)


@command(
    app,
    "freeze",
    example="zoo freeze runs/lenet5-digits --first 3 -o frozen.safetensors\n"
    "zoo freeze r50.safetensors --all-but-head -o frozen.safetensors\n"
    "zoo freeze r50.safetensors --until layer3 --unfreeze '*.bn*' -o frozen.safetensors\n"
    "zoo freeze frozen.safetensors --unfreeze layer4 --dry-run",
    table=True,
)
def freeze(
    model: ModelArg,
    output: OutputUnlessDry = None,
    first: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Freeze the first N rows of `zoo summary`."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Freeze all up to this layer or block, included."),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Freeze these layers or blocks. Repeatable."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Freeze every layer.")] = False,
    all_but_head: Annotated[
        bool,
        typer.Option("--all-but-head", help="Freeze all but the last layer with parameters."),
    ] = False,
    unfreeze: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Leave these out, or let them learn again. Repeatable."),
    ] = None,
    dry_run: DryRun = False,
    force: Force = False,
) -> Result:
    """Freeze layers, batch-norm statistics included, or let them learn again."""
    from zoo.freezing import Choice, freeze_file

    choice = Choice(
        first=first,
        until=until,
        everything=everything,
        all_but_head=all_but_head,
        globs=tuple(layers or ()),
        unfreeze=tuple(unfreeze or ()),
    )
    made = freeze_file(model, choice, output, dry_run=dry_run, force=force)
    for note in made.notes:
        OUTPUT.note(note)
    rows = _rows(made.plan)
    document = {
        "output": None if made.path is None else str(made.path),
        "edits": list(made.description.edits),
        "before": _counts(made.before),
        "after": _counts(made.after),
        "layers": rows,
    }
    return Result(document, _text(made), Table(COLUMNS, rows) if rows else None)


def _rows(plan: "Plan") -> list[dict[str, Any]]:
    return [
        {"name": row.name, "type": row.type, "params": row.params, "trainable": learns}
        for rows, learns in ((plan.freeze, False), (plan.unfreeze, True))
        for row in rows
    ]


def _counts(summary: "Summary") -> dict[str, int]:
    return {
        "total_params": summary.total_params,
        "trainable_params": summary.trainable_params,
        "non_trainable_params": summary.non_trainable_params,
        "torch_params": summary.torch_params,
    }


def _text(made: "Frozen") -> str:
    before, after, plan = made.before, made.after, made.plan
    changes = [
        f"{plural(len(rows), 'layer')} {word}"
        for rows, word in ((plan.freeze, "frozen"), (plan.unfreeze, "unfrozen"))
        if rows
    ]
    lines = [
        f"{', '.join(changes) or 'nothing changes'}; parameters with batch-norm statistics:",
        f"  trainable      {count(before.trainable_params)} before, "
        f"{count(after.trainable_params)} after",
        f"  not trainable  {count(before.non_trainable_params)} before, "
        f"{count(after.non_trainable_params)} after",
        "",
    ]
    if made.path is None:
        return "\n".join((*lines, "nothing is written: --dry-run"))
    path = shlex.quote(str(made.path))
    following = [f"  zoo summary {path}"]
    if after.trainable_params or made.description.is_headless:  # a new head always learns
        following.append(f"  {on_model('train', made.path, made.description)}")
    return "\n".join((*lines, str(made.path), "", "next:", *following))
