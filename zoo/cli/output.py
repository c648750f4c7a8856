"""What a command prints: results on stdout, everything else on stderr."""

import csv
import io
import json
import math
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from zoo.errors import InterruptionError, ZooError
from zoo.wording import compact as compact
from zoo.wording import count as count
from zoo.wording import figure as figure
from zoo.wording import percent as percent
from zoo.wording import plural as plural
from zoo.wording import shape as shape
from zoo.wording import shortened as shortened
from zoo.wording import speed as speed

if TYPE_CHECKING:
    from rich.console import JustifyMethod

SCHEMA = 1
_GAP = "   "  # between columns, as rich has it
_LEAST_NAME, _LEAST_TEXT = 24, 12  # folded to less than this they are hard to read


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    key: str
    """The key in each row; the head of the CSV."""
    title: str
    """The head for people."""
    text: Callable[[Any], str] = lambda value: "" if value is None else str(value)
    """How people read a value; the CSV holds it as it is."""
    right: bool = False


@dataclass(frozen=True)
class Table:
    """Rows for the terminal, Markdown or CSV."""

    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    shade: Callable[[int, str], str] | None = None
    """For a terminal with colours: the escape code that a row's cell of that key begins with."""
    spares: Sequence[str] = ()
    """Keys of columns that a narrow terminal does without, the first to go first."""

    def to_csv(self) -> str:
        """Values as they are; a shape as 6×28×28."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([column.key for column in self.columns])
        writer.writerows(
            [_csv_value(row.get(column.key)) for column in self.columns] for row in self.rows
        )
        return text.getvalue().rstrip("\n")

    def to_markdown(self) -> str:
        """A GitHub table."""
        lines = [
            " | ".join(column.title for column in self.columns),
            " | ".join("---:" if column.right else "---" for column in self.columns),
            *(" | ".join(cell.replace("|", "\\|") for cell in cells) for cells in self._cells()),
        ]
        return "\n".join(f"| {line} |" for line in lines)

    def fitting(self, width: int | None) -> "tuple[Table, str]":
        """The table with as many columns as a terminal has room for, and which are left out."""
        table, left_out = self, list[str]()
        for key in self.spares:
            if table._rooms(width) is not None:
                break
            left_out += [column.title for column in self.columns if column.key == key]
            kept = [column for column in table.columns if column.key != key]
            table = replace(table, columns=kept)
        note = f"left out, for the terminal is narrow: {', '.join(left_out)} (--csv has all)"
        return table, note if left_out else ""

    def to_text(self, width: int | None) -> str:
        """Aligned columns under a ruled head.

        Where the terminal is too narrow, texts and heads fold, numbers never: one that is cut off
        would be read as another number. Where that is not enough, each row becomes a paragraph.

        Args:
            width: of the terminal; None is as wide as needed.
        """
        from rich.cells import cell_len

        rows, widths = self._measured()
        rooms = self._rooms(width)
        if rooms is None:
            return self._listed()
        if rooms != widths or any("\n" in cell for row in rows for cell in row):
            return self._folded(rooms)
        lines = [
            _GAP.join(
                self._shaded(
                    " " * (room - cell_len(cell)) + cell
                    if column.right
                    else cell + " " * (room - cell_len(cell)),
                    index - 1,
                    column.key,
                )
                for column, cell, room in zip(self.columns, row, widths, strict=True)
            ).rstrip()
            for index, row in enumerate(rows)
        ]
        return "\n".join((lines[0], "─" * self.width(), *lines[1:]))

    def width(self) -> int:
        """Columns of a terminal that the aligned rows take."""
        return _breadth(self._measured()[1])

    def _measured(self) -> tuple[list[list[str]], list[int]]:
        """The cells, the head's first, and each column's width."""
        rows = [[printable(column.title) for column in self.columns], *self._cells()]
        widths = [max(_longest(row[at], "\n") for row in rows) for at in range(len(self.columns))]
        return rows, widths

    def _rooms(self, width: int | None) -> list[int] | None:
        """Each column's width, so that the rows fit a terminal; None where they can't."""
        (head, *rows), rooms = self._measured()
        least = [
            max([_longest(head[at], None), *(_longest(row[at], "\n") for row in rows)])
            if column.right
            else min(rooms[at], _LEAST_TEXT if at else _LEAST_NAME)
            for at, column in enumerate(self.columns)
        ]
        if width is not None and _breadth(least) > width:
            return None
        while width is not None and _breadth(rooms) > width:
            widest = max(range(len(rooms)), key=lambda at: (rooms[at] > least[at], rooms[at]))
            rooms[widest] -= 1
        return rooms

    def _shaded(self, cell: str, row: int, key: str) -> str:
        code = self.shade(row, key) if self.shade is not None and row >= 0 else ""
        return f"{code}{cell}\033[0m" if code else cell

    def _folded(self, rooms: Sequence[int]) -> str:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="")
        for column, room in zip(self.columns, rooms, strict=True):
            justify: JustifyMethod = "right" if column.right else "left"
            title = Text(printable(column.title))
            table.add_column(title, justify=justify, width=room, overflow="fold")
        for cells in self._cells():
            table.add_row(*(Text(cell) for cell in cells))
        console = Console(file=io.StringIO(), width=_breadth(rooms), no_color=True)
        with console.capture() as capture:
            console.print(table)
        return "\n".join(line.rstrip() for line in capture.get().splitlines()).strip("\n")

    def _listed(self) -> str:
        """A paragraph for each row: its first cell, and below it the others that hold anything."""
        first, *titles = (printable(column.title) for column in self.columns)
        room = max(map(len, titles), default=0)
        paragraphs = [
            [
                f"{first} {name}".strip(),
                *(
                    f"  {title:<{room}}  {cell}"
                    for title, cell in zip(titles, cells, strict=True)
                    if cell
                ),
            ]
            for name, *cells in self._cells()
        ]
        return "\n\n".join("\n".join(lines) for lines in paragraphs)

    def _cells(self) -> list[list[str]]:
        """What people read; printable before it is aligned, for that changes its width."""
        return [
            [printable(column.text(row.get(column.key))) for column in self.columns]
            for row in self.rows
        ]


@dataclass
class Result:
    """What a command found."""

    document: dict[str, Any]
    """The JSON, less schema, ok and notes."""
    text: str = ""
    """For people; follows the table."""
    table: Table | None = None
    drawing: str = ""
    """For people, between the two; printable already, for it may hold colours."""
    failure: ZooError | None = None
    """Raised after the result is out, such as a missed threshold."""


@dataclass
class Output:
    """Where and how the running command prints."""

    json: bool = False
    csv: bool = False
    markdown: bool = False
    quiet: bool = False
    debug: bool = False
    notes: list[str] = field(default_factory=list)
    rank: int = 0
    """Of several processes that train together, only the first prints results and progress."""

    @property
    def animated(self) -> bool:
        """Whether a progress bar may move: stderr is a terminal that can."""
        plain = self.quiet or self.rank > 0 or os.environ.get("TERM") == "dumb"
        return sys.stderr.isatty() and not plain

    @property
    def colored(self) -> bool:
        """Whether stderr may hold colours."""
        return self.animated and not os.environ.get("NO_COLOR")

    @property
    def paints(self) -> bool:
        """Whether results on stdout may hold colours."""
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return sys.stdout.isatty() and not plain

    def note(self, message: str) -> None:
        """Something the user should know; stands in the JSON too."""
        self.notes.append(message)
        self.progress(f"note: {message}")

    def progress(self, line: str) -> None:
        """A line on how far it is."""
        if not self.quiet and self.rank == 0:
            try:
                print(printable(line), file=sys.stderr, flush=True)  # noqa: T201
            except OSError:  # nobody reads stderr any more: the work goes on
                self.quiet = True

    def emit(self, result: Result) -> None:
        """Prints a result in the form that was asked for."""
        if self.rank > 0:
            pass
        elif self.json:
            if result.failure is None:
                self._print_json({"ok": True, "notes": self.notes, **result.document})
            else:
                result.failure.results = {**result.document, **result.failure.results}
        elif self.csv and result.table is not None:
            self._print(result.table.to_csv())
        elif self.markdown and result.table is not None:
            self._print(result.table.to_markdown())
        else:
            width = terminal_width()
            table, left_out = (result.table or Table((), ())).fitting(width)
            rows = table.to_text(width) if table.columns else ""
            parts = (printable(rows), left_out, result.drawing, printable(result.text))
            self._print("\n\n".join(part for part in parts if part))
        if result.failure is not None:
            raise result.failure

    def emit_error(self, error: ZooError) -> None:
        """Prints an error: JSON on stdout, words on stderr (also when quiet)."""
        if self.rank > 0 and isinstance(error, InterruptionError):
            return  # the first process says it
        if self.json and self.rank == 0:
            document = {"ok": False, "notes": self.notes, "error": error.to_json()}
            self._print_json({**document, **error.results})
            return
        self.complain(f"process {self.rank}: {error.message}" if self.rank else error.message)
        if error.hint:
            print(f"hint: {printable(error.hint)}", file=sys.stderr)  # noqa: T201

    def complain(self, message: str) -> None:
        """A line on what failed, also when quiet."""
        red, plain = ("\033[31m", "\033[0m") if self.colored else ("", "")
        print(f"{red}error:{plain} {printable(message)}", file=sys.stderr)  # noqa: T201

    def line(self, document: Mapping[str, Any]) -> None:
        r"""One line of JSON, as soon as it is known.

        All of JSON is ASCII. A byte of a file's name that is no UTF-8 becomes an escape such as
        `\udcff`, from which Python's `os.fsencode` has the name again; a form for people would
        name another file.
        """
        self._print(json.dumps(_finite(document)))

    def _print_json(self, document: Mapping[str, Any]) -> None:
        self._print(json.dumps({"schema": SCHEMA, **_finite(document)}, indent=2))

    def _print(self, text: str) -> None:
        if text:
            print(text, flush=True)  # noqa: T201


def printable(text: str) -> str:
    r"""Text with what a file's name may hold besides letters written as \xNN.

    These are control characters, which would steer a terminal, and bytes that are no UTF-8, which
    Python keeps as U+DC80 to U+DCFF.
    """
    odd = r"[\x00-\x08\x0b-\x1f\x7f\x9b\udc80-\udcff]"
    return re.sub(odd, lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", text)


def terminal_width() -> int | None:
    """Columns of the terminal on stdout; None where stdout is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _longest(text: str, separator: str | None) -> int:
    """Columns of a terminal that the longest part of a text takes; None separates words."""
    from rich.cells import cell_len

    return max((cell_len(part) for part in text.split(separator)), default=0)


def _breadth(rooms: Sequence[int]) -> int:
    """Columns of a terminal that the columns of a table and the gaps between them take."""
    return sum(rooms) + len(_GAP) * (len(rooms) - 1)


def _csv_value(value: Any) -> Any:
    return shape(value) if isinstance(value, tuple | list) else value


def _finite(value: Any) -> Any:
    """NaN and infinity as null, which JSON lacks words for."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
