"""`zoo data`: the group of commands about pictures."""

from zoo.cli.app import group

data = group(
    "data",
    help="Pictures: look them over, see them as a network will, download named sets.",
    example="zoo data check --data ~/my-pictures",
)
