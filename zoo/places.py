"""Where zoo looks for data and keeps downloads. Imports nothing heavy."""

import os
from pathlib import Path

from platformdirs import user_cache_path

SYSTEM_DATA = Path("/usr/share/datasets")
"""Where Debian's dataset packages lie."""


def cache_directory() -> Path:
    """Where downloads go: `ZOO_CACHE`, else the platform's cache directory."""
    return Path(os.environ.get("ZOO_CACHE") or user_cache_path("zoo"))


def search_path(name: str, given: Path | None, root: str | None) -> list[Path]:
    """Directories that may hold a named set, the first to look in first.

    Args:
        name: of the set, such as `fashion-mnist`.
        given: `--data`: the set's own directory, or the one around it.
        root: the recipe's `dataset.root`, likewise.
    """
    around = [given, Path(root).expanduser() if root else None]
    if os.environ.get("ZOO_DATA"):
        around.append(Path(os.environ["ZOO_DATA"]))
    around += [cache_directory() / "data"]
    nested = [place for base in around if base is not None for place in (base / name, base)]
    return [*nested, SYSTEM_DATA / name]
