"""`zoo data`: the group of commands about pictures."""

import typer

from zoo.cli.app import Debug, Json, Quiet, app, configure

data = typer.Typer(
    name="data",
    help="Pictures: look them over, see them as a network will, download named sets.",
    epilog="\b\nExample:\n  zoo data check --data ~/my-pictures",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)
app.add_typer(data, name="data")


@data.callback()
def _group(json: Json = False, quiet: Quiet = False, debug: Debug = False) -> None:
    configure({"json": json, "quiet": quiet, "debug": debug})
