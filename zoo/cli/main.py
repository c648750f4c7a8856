"""The entry point: runs the application and turns every ending into an exit code."""

import os
import re
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

import typer

from zoo.cli import app as application
from zoo.cli.output import Output
from zoo.errors import (
    DiskError,
    ExitCode,
    InterruptionError,
    OutOfMemoryError,
    SigtermInterrupt,
    TerminationError,
    UsageError,
    ZooError,
    did_you_mean,
    is_out_of_memory,
)


def run() -> None:
    """The `zoo` command."""
    # Python leaves None where a stream was closed before it started (`zoo list >&-`).
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    signal.signal(signal.SIGINT, _on_signal)
    signal.signal(signal.SIGTERM, _on_signal)
    code = main(sys.argv[1:])
    # Nothing is left to interrupt but the interpreter's own end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        _silence()
    sys.exit(code)


def main(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code; prints, never raises."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks must not end in a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    output = application.OUTPUT
    # Usage errors come before any option is parsed, and must obey --json too.
    before_dashes = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    vars(output).update(vars(Output(json="--json" in before_dashes)))
    output.debug = "--debug" in before_dashes
    try:
        return _invoke(arguments)
    except BrokenPipeError:
        _silence()
        return ExitCode.OK
    except (Exception, KeyboardInterrupt) as error:
        known = _translate(error, arguments)
        if output.debug:
            traceback.print_exc()
        try:
            output.emit_error(known)
        except OSError:
            output.json = False  # stdout is full or closed: stderr may still be read
            with suppress(OSError):
                output.emit_error(known)
            _silence()
        return known.code


def _invoke(arguments: Sequence[str]) -> int:
    application.register_commands()
    try:
        code = application.app(list(arguments), standalone_mode=False, prog_name="zoo")
    except SystemExit as ending:
        # Typer turns a closed pipe into exit 1.
        if isinstance(ending.__context__, BrokenPipeError):
            raise ending.__context__ from None
        code = ending.code
    return code if isinstance(code, int) else ExitCode.OK


def _translate(error: BaseException, arguments: Sequence[str]) -> ZooError:
    """Any ending as one of our errors."""
    if isinstance(error, ZooError):
        return error
    if isinstance(error, typer.TyperException):
        return UsageError(
            _reworded(error.format_message()), hint=f"{_command_path(arguments)} --help"
        )
    if isinstance(error, SigtermInterrupt):
        return TerminationError("Terminated.")
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return InterruptionError("Interrupted.")
    if is_out_of_memory(error):
        return OutOfMemoryError("Out of memory.", hint="Try smaller pictures or a smaller batch.")
    if isinstance(error, OSError):
        return DiskError(f"{error.strerror or error}: {error.filename or 'standard output'}.")
    reason = f"{type(error).__name__}: {error}"
    return ZooError(
        f"A bug of ours: {reason}",
        hint="Run it again with --debug and report the traceback.",
    )


def _reworded(message: str) -> str:
    """Typer's words without its validator's, and with a suggestion among an option's choices."""
    message = message.replace("Value error, ", "").replace("Input should be", "must be")
    if choice := re.search(r"'([^']*)' is not one of (.*)\.", message):
        known = re.findall("'([^']*)'", choice[2])
        message = f"{message} {did_you_mean(choice[1], known)}".rstrip()
    return message


def _command_path(arguments: Sequence[str]) -> str:
    """`zoo train` for the hint of a usage error."""
    words, group = ["zoo"], application.app
    for argument in arguments:
        nested = {child.name: child.typer_instance for child in group.registered_groups}
        inner = nested.get(argument)
        if inner is not None:
            words.append(argument)
            group = inner
        elif argument in [command.name for command in group.registered_commands]:
            return " ".join([*words, argument])
    return " ".join(words)


def _on_signal(number: int, frame: FrameType | None) -> None:
    """Raises SIGINT or SIGTERM as an exception, where that can be caught."""
    interrupt = SigtermInterrupt() if number == signal.SIGTERM else KeyboardInterrupt()
    if not _is_importing(frame):
        raise interrupt
    # Libraries turn an exception into another one, or abort, while they are imported; and
    # nothing has begun that would have to be put in order.
    known = _translate(interrupt, [])
    with suppress(OSError):
        application.OUTPUT.emit_error(known)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(known.code)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _silence() -> None:
    """Leaves nothing for the interpreter to flush into a pipe that nobody reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
