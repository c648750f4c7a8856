"""A run's `results.csv` as a table of pandas."""

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "epoch", "seconds", "images_per_second", "lr", "train_loss", "train_top1", "val_loss",
    "val_top1",
)  # fmt: skip


def read(path: Path) -> "tuple[pd.DataFrame, str]":
    """A row per finished epoch, and what is wrong with the file.

    The table has `COLUMNS`, NaN where the file lacks one, and whatever other columns there are. A
    last line without an end is left out: half a number looks like a number.
    """
    import pandas as pd

    nothing = pd.DataFrame({name: pd.Series(dtype="float64") for name in COLUMNS})
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return nothing, ""
    except (OSError, ValueError) as error:
        return nothing, f"{path} can't be read: {error}."
    whole, _, half = text.rpartition("\n")
    if not whole:
        return nothing, f"{path} is empty or breaks off in its first line."
    try:
        frame = pd.read_csv(io.StringIO(whole), dtype=str, keep_default_na=False)
    except ValueError:  # all of pandas's own are, in words of its parser
        return nothing, f"{path} is no table of epochs: its lines are no CSV of one width."
    if "epoch" not in frame.columns:
        return nothing, f"{path} is no table of epochs: it has no column epoch."
    others = [name for name in frame.columns if name not in COLUMNS]
    frame = frame.reindex(columns=[*COLUMNS, *others])
    for name in COLUMNS:
        frame[name] = pd.to_numeric(frame[name], errors="coerce").astype("float64")
    usable = frame["epoch"].map(math.isfinite).astype(bool)
    frame = frame[usable].astype({"epoch": "int64"}).reset_index(drop=True)
    if not usable.all():
        return frame, f"{path}: lines without an epoch are left out."
    return frame, f"{path} breaks off: its last line is left out." if half else ""


def to_rows(epochs: "pd.DataFrame") -> list[dict[str, Any]]:
    """The table as plain values, None where a number is missing."""
    plain = epochs.astype(object).where(epochs.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]
