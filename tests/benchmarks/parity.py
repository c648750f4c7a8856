"""How near exported files come to their networks: every curated network, and edited ones.

    python -m tests.benchmarks.parity parity.jsonl [NAME...]

Weights are random, with batch-norm statistics of a few passes in training mode, so that values stay
near 1 and outputs differ between pictures. Of each family the smallest network that can be is
exported pruned (30 % of its channels) and popped (its last layer gone) too. Figures are kept in the
file, a line each, and what stands there is not measured again. The table is printed as Markdown.
"""

import argparse
import contextlib
import gc
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.pruning.dense import built, settle
from zoo import modelfile
from zoo.catalog import CARDS, Architecture
from zoo.cli.output import Column, Table, percent
from zoo.description import Description
from zoo.errors import StructureError, ThresholdError, ZooError
from zoo.export import Wishes, export_file
from zoo.exported import Kind
from zoo.pruning.channels import prune_channels
from zoo.surgery import Pop

FORMATS: tuple[Kind, ...] = ("onnx", "pt2")
PLAIN, PRUNED, POPPED = "", "pruned 30 %", "popped"
EDITS = (PRUNED, POPPED)
POPS = (1, 2, 3, 4)

COLUMNS = (
    Column("name", "Network"),
    Column("variant", "Edit"),
    Column("format", "Format"),
    Column("largest", "Largest output", lambda value: f"{value:.3g}", right=True),
    Column("difference", "Largest difference", lambda value: f"{value:.1e}", right=True),
    Column("relative", "Relative", lambda value: f"{value:.1e}", right=True),
    Column("agreement", "Same class", percent, right=True),
    Column("images", "Pictures", right=True),
    Column("embedded", "Preprocessing inside", lambda value: "yes" if value else ""),
)  # fmt: skip


def smallest_first(cards: Iterable[Architecture]) -> list[Architecture]:
    """The quick ones come first."""
    return sorted(cards, key=lambda card: card.mult_adds or 0)


def edited(network: nn.Module, described: Description, variant: str) -> Any:
    """The network with an edit, and its description."""
    if variant == PRUNED:
        edit = prune_channels(network, described.input_shape, ratio=0.3)
        settle(network, described.input_shape, torch.Generator().manual_seed(0))
        return network, modelfile.with_edits(described, [edit])
    if variant == POPPED:
        for layers in POPS:
            with contextlib.suppress(StructureError):
                popped = Pop(layers=layers).apply(network, described.input_shape)
                return popped, modelfile.with_edits(described, [Pop(layers=layers)])
        raise StructureError("none of the last layers can go")
    return network, described


def measured(
    card: Architecture, variant: str, directory: Path, *, embedded: bool
) -> Iterator[dict[str, Any]]:
    """A row for each format, and of ONNX with the preprocessing inside too, where asked for."""
    row = {"name": card.name, "variant": variant}
    try:
        network, described = edited(*built(card.name), variant)
    except ZooError as error:
        yield {**row, "format": "", "error": error.message}
        return
    model = directory / "model.safetensors"
    modelfile.save(model, network, described)
    del network
    gc.collect()
    for kind in FORMATS:
        for inside in (False, True) if embedded and kind == "onnx" else (False,):
            started = time.perf_counter()
            found = {**row, "format": kind, "embedded": inside}
            try:
                made = export_file(
                    str(model), directory / f"out.{kind}", kind,
                    Wishes(embed_preprocess=inside), force=True,
                )  # fmt: skip
            except ThresholdError as error:
                yield {**found, "error": error.message, **error.results["parity"]}
                continue
            except Exception as error:
                yield {**found, "error": f"{type(error).__name__}: {error}"[:500]}
                continue
            parity = made.document.parity
            assert parity is not None
            assert made.largest is not None
            yield {
                **found,
                "largest": made.largest,
                "difference": parity.max_abs_diff,
                "relative": parity.max_abs_diff / made.largest,
                "agreement": parity.top1_agreement,
                "images": parity.images,
                "seconds": round(time.perf_counter() - started, 1),
            }
            gc.collect()


def main() -> None:
    """Measures what is not in the file yet, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    rows = []
    if arguments.file.exists():
        rows = [json.loads(line) for line in arguments.file.read_text().splitlines()]
    families = {card.family: [] for card in CARDS}
    for card in smallest_first(CARDS):
        if not arguments.names or card.name in arguments.names:
            families[card.family].append(card)
    work = [(card, PLAIN) for cards in families.values() for card in cards]
    work = [(card, PLAIN) for card in smallest_first(card for card, _ in work)]
    # The smallest network of a family that can be edited so stands for it.
    work += [(card, edit) for cards in families.values() for edit in EDITS for card in cards]
    for card, variant in work:
        done = [row for row in rows if (row["name"], row["variant"]) == (card.name, variant)]
        family = {one.name for one in families[card.family]}
        is_shown = variant != PLAIN and any(
            row["variant"] == variant and row["name"] in family and row["format"] for row in rows
        )
        if done or is_shown:
            continue
        embedded = variant == PLAIN and card is families[card.family][0]
        with tempfile.TemporaryDirectory() as directory:
            new = list(measured(card, variant, Path(directory), embedded=embedded))
        rows += new
        with arguments.file.open("a") as file:
            file.writelines(f"{json.dumps(row)}\n" for row in new)
        for row in new:
            print(row, file=sys.stderr, flush=True)
    good = [row for row in rows if "error" not in row]
    print(Table(COLUMNS, good).to_markdown())
    for row in rows:
        if "error" in row:
            print(f"- {row['name']} {row['variant']} {row['format']}: {row['error']}")


if __name__ == "__main__":
    main()
