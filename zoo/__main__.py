"""The entry point: `zoo`, and `python -m zoo`."""

import sys


def run() -> None:
    """The `zoo` command; an interrupt before it can answer, or while it ends, is silent."""
    try:
        from zoo.cli.main import run as run_command

        run_command()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        # CPython notes an interrupt inside exec() of a string, as dataclasses run it, and kills
        # itself at its end even when the interrupt was caught; the next such exec() clears that.
        exec("")  # noqa: S102


if __name__ == "__main__":
    run()
