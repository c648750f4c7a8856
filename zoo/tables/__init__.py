"""The networks of libraries: a table for each, written by `python -m tests.make_tables`.

Reading one imports neither torch nor the library, so `zoo list --all` is as quick as `zoo list`.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

LIBRARIES = ("torchvision", "timm")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is known of a library's network; None where nobody counted."""

    name: str
    """The library's."""
    family: str
    """The library's file that it is written in."""
    year: int | None = None
    input_shape: tuple[int, int, int]
    """Channels, height, width."""
    smallest_px: int | None = None
    """Shortest side of a picture that can pass."""
    auxiliary_from: int | None = None
    """Smallest side in pixels that auxiliary classifiers can see."""
    num_classes: int
    params: int | None = None
    total_params: int | None = None
    mult_adds: int | None = None
    weights: tuple[str, ...] = ()
    """timm's tags of pretrained weights, its own choice first; torchvision's have their table."""

    def cells(self) -> dict[str, str]:
        """The row as the table's file has it."""
        texts = {key: "" if value is None else str(value) for key, value in vars(self).items()}
        texts["input_shape"] = "x".join(str(side) for side in self.input_shape)
        texts["weights"] = " ".join(self.weights)
        return texts

    @classmethod
    def of_cells(cls, cells: dict[str, str]) -> "Row":
        """The other way round."""

        def number(key: str) -> int | None:
            return int(cells[key]) if cells[key] else None

        channels, height, width = (int(side) for side in cells["input_shape"].split("x"))
        return cls(
            name=cells["name"],
            family=cells["family"],
            year=number("year"),
            input_shape=(channels, height, width),
            smallest_px=number("smallest_px"),
            auxiliary_from=number("auxiliary_from"),
            num_classes=int(cells["num_classes"]),
            params=number("params"),
            total_params=number("total_params"),
            mult_adds=number("mult_adds"),
            weights=tuple(cells["weights"].split()),
        )


def path_of(library: str) -> Path:
    """The file of a library's table: a line with the library's version, then CSV."""
    return Path(__file__).with_name(f"{library}.csv")


@cache
def version_of(library: str) -> str:
    """The version of the library that the table lists."""
    with path_of(library).open(encoding="utf-8") as file:
        return file.readline().split()[-1]


@cache
def rows_of(library: str) -> tuple[Row, ...]:
    """Every network of a library, by name."""
    with path_of(library).open(encoding="utf-8", newline="") as file:
        file.readline()
        return tuple(Row.of_cells(cells) for cells in csv.DictReader(file))


def count_of(library: str) -> int:
    """How many networks a library has; nothing is parsed."""
    with path_of(library).open("rb") as file:
        return sum(1 for _ in file) - 2


def installed_version(library: str) -> str | None:
    """The version that is installed here, without importing it; None where none is."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def write(library: str, version: str, rows: list[Row]) -> None:
    """Writes a library's table."""
    with path_of(library).open("w", encoding="utf-8", newline="") as file:
        file.write(f"# {library} {version}\n")
        cells = [row.cells() for row in sorted(rows, key=lambda row: row.name)]
        writer = csv.DictWriter(file, list(cells[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(cells)
