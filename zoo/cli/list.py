"""`zoo list`: the architectures of the catalog."""

from enum import StrEnum
from typing import Annotated

import typer

from zoo import catalog, tables
from zoo.cli.app import OUTPUT, app, command
from zoo.cli.output import Column, Result, Table, compact, count, percent, shape
from zoo.errors import UsageError

KEYS = (
    "name", "family", "year", "input_shape", "params", "total_params", "mult_adds", "top1",
    "weights", "paper",
)  # fmt: skip

COLUMNS = (
    Column("name", "Name"),
    Column("family", "Family"),
    Column("year", "Year", right=True),
    Column("input_shape", "Input", shape),
    Column("params", "Parameters", count, right=True),
    Column("mult_adds", "Mult-adds", compact, right=True),
    Column("top1", "Top-1", percent, right=True),
    Column("paper", "Paper", lambda paper: paper.partition(",")[0]),
)
SPARES = ("family", "paper", "year", "input_shape", "mult_adds")
"""Columns that a narrow terminal does without, the first to go first."""


class SortKey(StrEnum):
    """What the list can be sorted by."""

    name = "name"
    family = "family"
    year = "year"
    params = "params"
    mult_adds = "mult_adds"
    top1 = "top1"


@command(
    app, "list", example="zoo list\nzoo list --search convnext --sort params --json", table=True
)
def list_architectures(
    family: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this family, such as lenet.")
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            metavar="WORDS",
            help="Only those whose name or paper holds all words, torchvision's and timm's too.",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every network of torchvision and timm too.")
    ] = False,
    max_params: Annotated[
        str | None,
        typer.Option(metavar="N", help="At most this many parameters, such as 6M or 100k."),
    ] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Only those with published weights.")
    ] = False,
    sort: Annotated[SortKey, typer.Option(help="Order of the rows.")] = SortKey.name,
) -> Result:
    """List the architectures, those of torchvision and timm with --all or --search."""
    libraries = everything or search is not None
    cards = catalog.select(
        family=family,
        search=search,
        max_params=None if max_params is None else parse_count(max_params),
        pretrained=pretrained,
        sort=sort.value,
        libraries=libraries,
    )
    if not libraries:
        more = " and ".join(f"{tables.count_of(name):,} of {name}" for name in tables.LIBRARIES)
        OUTPUT.note(f"{more} besides: --all shows them, --search WORDS finds them")
    rows = [{key: getattr(card, key) for key in KEYS} for card in cards]
    text = "" if rows else "No architecture meets these conditions."
    return Result({"architectures": rows}, text, Table(COLUMNS, rows, spares=SPARES))


def parse_count(text: str) -> int:
    """`6M` as 6,000,000.

    Raises:
        UsageError: it is no number.
    """
    factors = {"k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9}
    digits, unit = (text[:-1], text[-1].lower()) if text[-1:].lower() in factors else (text, "")
    try:
        number = int(float(digits.replace(",", "").replace("_", "")) * factors.get(unit, 1))
    except (ValueError, OverflowError):
        number = -1
    if number < 0:
        raise UsageError(f"{text!r} is no number of parameters such as 6M or 87,290.")
    return number
