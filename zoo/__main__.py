"""`python -m zoo` is the `zoo` command."""

from zoo.cli.main import run

if __name__ == "__main__":
    run()
