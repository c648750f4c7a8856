"""The recipes that come with zoo: where they are and what they are called.

Apart from `zoo.recipe`, so that listing them loads no schema.
"""

import re
from pathlib import Path


def recipes_directory() -> Path:
    """Inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


SCHEMA = "recipe.schema.json"
"""The JSON Schema beside the recipes; editors find it by each recipe's first line."""


def schema_path() -> Path:
    """The file of the JSON Schema."""
    return recipes_directory() / SCHEMA


def names() -> list[str]:
    """Names of the recipes, sorted."""
    return sorted(path.stem for path in recipes_directory().glob("*.yaml"))


def path_of(name: str) -> Path:
    """The file of a shipped recipe."""
    return recipes_directory() / f"{name}.yaml"


def headline(name: str) -> tuple[str, str]:
    """Source and description of a shipped recipe.

    Found by eye, so to speak: parsing eleven files of YAML would take a third of the time that
    listing them may take. A test holds that it is what the recipe says.
    """
    text = path_of(name).read_text(encoding="utf-8")
    source = re.search(r"\bsource: ([\w/-]+)", text)
    description = re.search(r"^description: (.+)$", text, re.MULTILINE)
    assert source is not None
    assert description is not None
    return source[1], description[1]
