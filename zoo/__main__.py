"""The entry point: `zoo`, and `python -m zoo`."""

import sys


def run() -> None:
    """The `zoo` command; an interrupt while it is still being imported is silent."""
    try:
        from zoo.cli.main import run as run_command
    except KeyboardInterrupt:
        sys.exit(130)
    run_command()


if __name__ == "__main__":
    run()
