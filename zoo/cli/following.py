"""The next command to try, so that it works as it is printed."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.values import OF_ONES_OWN

if TYPE_CHECKING:
    from zoo.description import Description


def on_model(command: str, path: Path | str, description: "Description") -> str:
    """`zoo train half.safetensors`, with --data where nothing else says where its pictures are.

    Args:
        command: one that works on the pictures of the model's recipe.
        path: the model file or the run.
        description: of the model.
    """
    line = f"zoo {command} {shlex.quote(str(path))}"
    lies_in_run = any((place / "run.json").is_file() for place in (Path(path), Path(path).parent))
    if description.training is None or lies_in_run:
        return line
    dataset = description.training.content.get("dataset", {})
    is_placed = dataset.get("source") not in OF_ONES_OWN or dataset.get("root")
    return line if is_placed else f"{line} --data DIR"
