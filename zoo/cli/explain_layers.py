"""`zoo explain layers`: each layer's formulas with its own numbers."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.app import OUTPUT, command
from zoo.cli.explain import explain
from zoo.cli.options import InChannels, InputSize, LayerSettings, LookedAtArg, NoTop, NumClasses
from zoo.cli.outlined import outlined
from zoo.cli.output import Column, Result, Table, shape, terminal_width

if TYPE_CHECKING:
    from zoo.explain.anatomy import Explained
    from zoo.explain.formulas import Formula

COLUMNS = (
    Column("name", "Name"),
    Column("type", "Type"),
    Column("output_shape", "Output", shape),
    Column("output_formula", "Output size", lambda texts: ", ".join(texts)),
    Column("params_formula", "Parameters"),
    Column("mult_adds_formula", "Mult-adds"),
    Column("sees", "Sees"),
)
_CSV_COLUMNS = (
    Column("name", "Name"),
    Column("type", "Type"),
    Column("input_shape", "Input", shape),
    Column("output_shape", "Output", shape),
    Column("output_size", "Output size"),
    Column("params", "Parameters", right=True),
    Column("params_formula", "Parameters' formula"),
    Column("mult_adds", "Mult-adds", right=True),
    Column("mult_adds_formula", "Mult-adds' formula"),
    Column("receptive_field", "Receptive field", shape),
    Column("jump", "Jump", lambda sides: _sides(sides)),
    Column("sees", "Sees"),
)


@command(
    explain,
    "layers",
    example="zoo explain layers lenet5\nzoo explain layers keras-mnist-cnn --layer conv1_1\n"
    "zoo explain layers lenet5 --input-size 64x48 --set c1.padding=same --csv",
    table=True,
)
def layers(
    model: LookedAtArg,
    layer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this layer, step by step.")
    ] = None,
    input_size: InputSize = None,
    num_classes: NumClasses = None,
    in_channels: InChannels = None,
    settings: LayerSettings = None,
    no_top: NoTop = False,
) -> Result:
    """Work out each layer's output size, parameters, multiply-adds and receptive field."""
    from zoo import modelfile
    from zoo.explain.anatomy import explain as explained
    from zoo.explain.anatomy import find

    name, description = outlined(
        model,
        num_classes=num_classes,
        in_channels=in_channels,
        input_size=input_size,
        settings=settings,
        no_top=no_top,
    )
    found = explained(modelfile.outline(description), description.input_shape)
    if found.problem:
        OUTPUT.note(f"no receptive fields: {found.problem}")
    chosen = list(found.layers)
    if layer is not None:
        chosen = [chosen[find(chosen, layer)]]
    rows = [_row(one) for one in chosen]
    document: dict[str, Any] = {
        "model": name,
        "input_shape": description.input_shape,
        "layers": [{key: row[key] for key in row if key != "output_size"} for row in rows],
    }
    if layer is not None:
        document["layers"][0]["steps"] = _steps(chosen[0])
    if OUTPUT.csv or OUTPUT.markdown:
        return Result(document, table=Table(_CSV_COLUMNS, rows))
    if layer is not None:
        return Result(document, "\n".join(_in_depth(chosen[0])))
    return _all_layers(document, chosen, rows)


def _all_layers(
    document: dict[str, Any], chosen: "list[Explained]", rows: list[dict[str, Any]]
) -> Result:
    """A table where it fits; else some lines for each layer."""
    width = terminal_width()
    table = Table(COLUMNS, rows)
    if width is None or max(map(len, table.to_text(None).splitlines())) <= width:
        return Result(document, _FOOTER, table)
    blocks = ["\n".join(_block(one)) for one in chosen]
    return Result(document, "\n\n".join([*blocks, _FOOTER]))


_FOOTER = (
    "Sees: the pixels of the picture that one output value depends on, and how many\n"
    "pixels its neighbour's lie further on. --layer NAME explains one layer."
)


def _row(one: "Explained") -> dict[str, Any]:
    row = one.row
    return {
        "name": row.name,
        "type": row.type,
        "activation": row.activation,
        "input_shape": row.input_shape,
        "output_shape": row.output_shape,
        "output_formula": [formula.text for formula in one.output_size],
        "output_size": ", ".join(formula.text for formula in one.output_size),
        "params": row.params,
        "params_formula": one.params.text,
        "mult_adds": row.mult_adds,
        "mult_adds_formula": one.mult_adds.text,
        "receptive_field": one.receptive_field,
        "jump": one.jump,
        "whole_picture": one.field is not None and one.field.whole,
        "sees": _sees(one),
    }


def _sees(one: "Explained") -> str:
    """`14×14, 2 apart`, `whole picture`, or nothing."""
    if one.field is not None and one.field.whole:
        return "whole picture"
    if one.field is not None and one.field.unknown:
        return "unknown"
    if one.receptive_field is None:
        return ""
    sides = shape(one.receptive_field)
    if one.jump is None:
        return sides
    height, width = one.jump
    return f"{sides}, {f'{height:g}' if height == width else _sides(one.jump)} apart"


def _sides(sides: tuple[float, ...] | None) -> str:
    return "" if sides is None else "×".join(f"{side:g}" for side in sides)


def _title(one: "Explained") -> str:
    row = one.row
    activation = f" + {row.activation}" if row.activation else ""
    sides = f"  {shape(row.input_shape)} → {shape(row.output_shape)}" if row.output_shape else ""
    return f"{row.name}  {row.type}{activation}{sides}"


def _block(one: "Explained") -> list[str]:
    lines = [_title(one)]
    lines += [f"  size        {formula.text}" for formula in one.output_size]
    lines.append(f"  parameters  {one.params.text}")
    if one.row.output_shape is not None:
        lines.append(f"  mult-adds   {one.mult_adds.text}")
    if sees := _sees(one):
        lines.append(f"  sees        {sees}")
    return lines


def _steps(one: "Explained") -> dict[str, Any]:
    def worded(formula: "Formula") -> dict[str, str]:
        return {"formula": formula.text, "reading": formula.reading}

    links = [] if one.field is None else one.field.chain()
    return {
        "output_size": [worded(formula) for formula in one.output_size],
        "params": worded(one.params),
        "mult_adds": worded(one.mult_adds),
        "receptive_field": [{"layer": link.layer, "formula": link.text} for link in links],
        "unknown": one.field.unknown if one.field is not None else "",
    }


def _in_depth(one: "Explained") -> list[str]:
    lines = [_title(one)]
    if one.output_size:
        lines += ["", "output size", f"  {one.output_size[0].reading}"]
        lines += [f"  {formula.text}" for formula in one.output_size]
    lines += ["", "parameters", f"  {one.params.reading}", f"  {one.params.text}"]
    if one.row.output_shape is None:
        return lines
    lines += ["", "multiply-adds for one picture", f"  {one.mult_adds.reading}"]
    lines.append(f"  {one.mult_adds.text}")
    if one.field is None:
        return lines
    lines += [
        "",
        "receptive field",
        "  seen before + (kernel − 1)·jump; a stride multiplies the jump",
    ]
    links = one.field.chain()
    width = max((len(link.layer) for link in links), default=0)
    lines += [f"  {link.layer:<{width}}  {link.text}" for link in links]
    if one.field.unknown:
        lines.append(f"  not known: {one.field.unknown}")
    elif sees := _sees(one):
        lines.append(f"  one value sees {sees}")
    return lines
