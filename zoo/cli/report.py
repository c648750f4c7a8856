"""`zoo report`: one page of a run, or one that compares several."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli.app import OUTPUT, app, command
from zoo.cli.options import DataDirectory, Device, Force, Offline, Threads
from zoo.cli.output import Result, plural
from zoo.cli.watch import watched
from zoo.errors import UsageError
from zoo.files import check_output_file

if TYPE_CHECKING:
    from zoo.report.making import Made

_COMPARISON = Path("comparison.html")


@command(
    app,
    "report",
    example="zoo report runs/lenet5-digits\nzoo report runs/* -o comparison.html",
)
def report(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", help="Directories that zoo train wrote; several are compared."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help=f"The page to write; default RUN/report.html, of several runs {_COMPARISON}.",
        ),
    ] = None,
    data: DataDirectory = None,
    offline: Offline = False,
    device: Device = "auto",
    threads: Threads = None,
    force: Force = False,
) -> Result:
    """Write one HTML page of a run: curves, mistakes, filters, layers; or compare several runs.

    The page holds all that it shows and loads nothing.
    """
    if len(runs) > 1 and data is not None:
        raise UsageError("--data does not apply to several runs: comparing reads no pictures.")
    from zoo.runs import open_run, open_several

    if len(runs) > 1:
        open_several(runs)  # before torch is imported, which takes seconds
    else:
        open_run(runs[0])
    page = output or (Path(runs[0]) / "report.html" if len(runs) == 1 else _COMPARISON)
    check_output_file(page, force=force, suffix=".html")

    made = made_report(runs, page, data=data, offline=offline, device=device, threads=threads)
    document = {"output": str(made.output), "runs": runs, "bytes": made.size_bytes}
    told = plural(len(runs), "run") if len(runs) > 1 else runs[0]
    return Result(document, f"{made.output}: {told}, {_size(made.size_bytes)}")


def made_report(
    runs: Sequence[str],
    page: Path,
    *,
    data: Path | None,
    offline: bool,
    device: str,
    threads: int | None,
) -> "Made":
    """Writes the page, which may replace one, and tells what it lacks."""
    told = plural(len(runs), "run") if len(runs) > 1 else runs[0]
    OUTPUT.progress(f"reading {told}")  # what is imported now takes seconds

    from zoo import devices
    from zoo.precision import Precision
    from zoo.report.looking import Access
    from zoo.report.making import make

    devices.use_threads(threads)
    devices.keep_freed_memory()
    with watched(offline=offline) as watch:
        access = Access(
            Precision("fp32", devices.choose(device)),
            data,
            watch.downloads,
            watch.decoded,
            OUTPUT.progress,
        )
        made = make(runs, page, access)
    for note in made.notes:
        OUTPUT.note(note)
    return made


def _size(size_bytes: int) -> str:
    from zoo.downloads import format_bytes

    return format_bytes(size_bytes)
