"""`zoo data fetch`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.app import OUTPUT, command
from zoo.cli.data import data
from zoo.cli.options import Offline
from zoo.cli.output import Result
from zoo.cli.watch import watched
from zoo.errors import ZooError

if TYPE_CHECKING:
    from zoo.data.sources.remote import Fetched


@command(
    data, "fetch", example="zoo data fetch fashion-mnist\nzoo data fetch cifar10 torchvision/DTD"
)
def fetch(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Sets, such as cifar10 or torchvision/DTD."),
    ],
    offline: Offline = False,
) -> Result:
    """Download sets into zoo's cache, checked and unpacked; what is there is kept.

    ZOO_CACHE moves the cache. ZOO_MIRROR is a base URL that is tried first: below it, a file lies
    as SET/FILE.
    """
    from zoo.data.sources.named import check_fetchable, fetch_named

    for name in names:  # a misspelt one is told before gigabytes of the others
        check_fetchable(name)
    fetched: list[Fetched] = []
    failure = None
    with watched(offline=offline) as watch:
        for name in names:
            try:
                fetched.append(fetch_named(name, watch.downloads))
            except ZooError as error:
                failure = error
                break
            if not fetched[-1].bytes:
                OUTPUT.progress(f"{fetched[-1].name} is complete: {fetched[-1].path}")
    text = "\n".join(f"{one.name}: {one.path}" for one in fetched)
    return Result({"fetched": [_json(one) for one in fetched]}, text, failure=failure)


def _json(fetched: "Fetched") -> dict[str, Any]:
    return {
        "name": fetched.name,
        "path": str(fetched.path),
        "bytes": fetched.bytes,
        "files": list(fetched.files),
    }
