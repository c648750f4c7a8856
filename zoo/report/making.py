"""From runs to a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.files import write_text
from zoo.report.comparison import comparison_page
from zoo.report.looking import Access, look
from zoo.report.page import check_installed
from zoo.report.single import run_page
from zoo.runs import open_run, open_several
from zoo.wording import plural


@dataclass(frozen=True)
class Made:
    """A page that was written."""

    output: Path
    size_bytes: int
    notes: tuple[str, ...]
    """What the user should know: what is missing on the page, and why."""


def make(runs: Sequence[str], output: Path, access: Access) -> Made:
    """Writes the page of one run, or the one that compares several.

    Args:
        runs: directories that `zoo train` wrote.
        output: the file, which is replaced.
        access: where to compute, and how pictures are reached.

    Raises:
        UsageError: jinja2 or matplotlib is missing, or a run is given twice.
        NotFoundError: one is no run's directory.
        ModelFileError: a `run.json` is damaged.
        DiskError: the page can't be written.
    """
    check_installed()
    notes: list[str] = []
    if len(runs) > 1:
        records = open_several(runs)
        access.say(f"measuring the latency of {plural(len(records), 'run')}")
        page, notes = comparison_page(records, access.arithmetic)
    else:
        records = [open_run(runs[0])]
        found = look(records[0].path, access)
        if found.network_problem:
            notes.append(
                f"the page lacks layers, filters, pictures and their figures: "
                f"{found.network_problem}"
            )
        if found.pictures_problem:
            notes.append(f"the page lacks pictures and their figures: {found.pictures_problem}")
        notes += found.pictures.notes if found.pictures else ()
        access.say("drawing the page")
        page = run_page(records[0], found)
    for record in records:
        notes += [text for text in (record.omission, record.results_problem) if text]
        if record.status != "finished":
            notes.append(f"{record.name} is not finished ({record.status}): the page says so")
    # Whatever a file's name holds, the page is text.
    page = page.encode("utf-8", "backslashreplace").decode("utf-8")
    write_text(output, page)
    return Made(output, output.stat().st_size, tuple(notes))
