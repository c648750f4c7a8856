"""The Typer application: what every command shares, and the list of commands."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from zoo.cli.output import Output, Result
from zoo.errors import (
    ExitCode,
    InterruptionError,
    SigtermInterrupt,
    TerminationError,
    UsageError,
)

OUTPUT = Output()
"""How the running command prints. One process runs one command; `main` starts it afresh."""

Json = Annotated[
    bool, typer.Option("--json", help="Exactly one JSON document on stdout, errors included.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Nothing on stderr but errors.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

_COMMON = {"json": Json, "quiet": Quiet, "debug": Debug}
_TABLE = {
    "csv": Annotated[bool, typer.Option("--csv", help="The table as CSV.")],
    "markdown": Annotated[bool, typer.Option("--markdown", help="The table as Markdown.")],
}

_EXIT_CODES = "\n".join(f"  {code.value:>3}  {code.meaning}" for code in ExitCode)

app = typer.Typer(
    name="zoo",
    help="A model zoo for convolutional networks: summarize, build, train, evaluate.",
    epilog=f"\b\nExit codes:\n{_EXIT_CODES}\n\n\b\nExample:\n  zoo train lenet5",
    # Plain help: quick, and without escape codes when piped, also under CI.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def command(
    group: typer.Typer, name: str, *, example: str, table: bool = False
) -> Callable[[Callable[..., Result]], Callable[..., None]]:
    """Registers a function that returns a Result as a command with the shared options.

    Args:
        group: the application or a sub-application.
        name: what the user types.
        example: command lines for the help, one a line.
        table: whether the result has a table, so that --csv and --markdown apply.
    """
    shared = {**_COMMON, **(_TABLE if table else {})}
    epilog = "\b\nExample:\n" + "\n".join(f"  {line}" for line in example.splitlines())

    def register(function: Callable[..., Result]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(**values: Any) -> None:
            configure({option: values.pop(option) for option in shared})
            try:
                OUTPUT.emit(function(**values))
            except SigtermInterrupt as signal:  # Typer would make both an exit without a word
                raise TerminationError("Terminated.") from signal
            except KeyboardInterrupt as signal:
                raise InterruptionError("Interrupted.") from signal

        signature = inspect.signature(function)
        options = [
            inspect.Parameter(
                option, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation
            )
            for option, annotation in shared.items()
        ]
        parameters = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in signature.parameters.values()
        ]
        run.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*parameters, *options], return_annotation=None
        )
        run.__annotations__ = {**function.__annotations__, **shared, "return": None}
        group.command(name, epilog=epilog)(run)
        return run

    return register


def group(name: str, *, help: str, example: str) -> typer.Typer:  # noqa: A002 (Typer's word)
    """Adds a group of commands, before whose names the shared switches work too."""
    made = typer.Typer(
        name=name,
        help=help,
        epilog=f"\b\nExample:\n  {example}",
        rich_markup_mode=None,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.add_typer(made, name=name)

    @made.callback()
    def _switches(json: Json = False, quiet: Quiet = False, debug: Debug = False) -> None:
        configure({"json": json, "quiet": quiet, "debug": debug})

    return made


def configure(switches: dict[str, bool]) -> None:
    """Applies the switches given after the command to those given before it.

    Raises:
        UsageError: two forms of output are asked for.
    """
    for option, value in switches.items():
        setattr(OUTPUT, option, getattr(OUTPUT, option) or value)
    check_forms()


def check_forms(*further: str) -> None:
    """Refuses several forms of output.

    Args:
        further: forms that the command itself was asked for, such as `--jsonl`.

    Raises:
        UsageError: two or more are asked for.
    """
    forms = [f"--{form}" for form in ("json", "csv", "markdown") if getattr(OUTPUT, form)]
    forms += further
    if len(forms) > 1:
        raise UsageError(f"{' and '.join(forms)} exclude one another.")


def _show_version(wanted: bool) -> None:
    if wanted:
        from zoo import __version__

        OUTPUT.emit(Result({"version": __version__}, text=f"zoo {__version__}"))
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    configure({"json": json, "quiet": quiet, "debug": debug})
    if context.invoked_subcommand is None:
        if OUTPUT.json:
            raise UsageError("A command is missing.", hint="zoo --help lists them.")
        print(context.get_help())  # noqa: T201


def register_commands() -> None:
    """Imports every command; a new one is a file and a line here."""
    from zoo.cli import list as list_command  # isort: skip
    from zoo.cli import show, summary, build, train, evaluate, predict, recipes  # isort: skip
    from zoo.cli import benchmark, export, freeze, import_, prune  # isort: skip
    from zoo.cli import data_check, data_fetch, data_preview, doctor, runs  # isort: skip
    from zoo.cli import explain, explain_learn, explain_layers, explain_drawings  # isort: skip
    from zoo.cli import report  # isort: skip

    _ = (list_command, show, summary, build, train, evaluate, predict, recipes)
    _ = (benchmark, export, freeze, import_, prune)
    _ = (data_check, data_fetch, data_preview, doctor, runs)
    _ = (explain, explain_learn, explain_layers, explain_drawings)
    _ = (report,)
