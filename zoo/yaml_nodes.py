"""YAML as plain data with the place of every key, and nothing else of YAML.

Recipes come from strangers, so what makes YAML dangerous is refused at the door: tags, anchors and
aliases, duplicate keys, deep nesting, large files.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from zoo.errors import Detail, RecipeError, UsageError
from zoo.files import disk_errors

MAX_BYTES = 1_000_000
MAX_DEPTH = 20

_AS_WRITTEN = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge", "tag:yaml.org,2002:value")

Place = tuple[str | int, ...]


@dataclass
class Document:
    """A recipe's data and where each key stands."""

    data: dict[str, Any]
    positions: dict[Place, tuple[int, int]]
    """Line and column, both from 1."""

    def has(self, place: Place) -> bool:
        """Whether the data holds that place."""
        value: Any = self.data
        for part in place:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return False
        return True

    def position(self, place: Place) -> tuple[int | None, int | None]:
        """Line and column of a place, or of the nearest key around it."""
        while place and place not in self.positions:
            place = place[:-1]
        return self.positions.get(place, (None, None))


def read(path: Path) -> Document:
    """The one mapping in a YAML file.

    Raises:
        RecipeError: the file is no YAML mapping, or uses what is refused.
        DiskError: it can't be read.
    """
    return _parse(_text(path), str(path))


def read_json(path: Path) -> Document:
    """The one object in a JSON file, with JSON's own values.

    Nearly all JSON is YAML too, whose reader knows the places; where it is not, there are none.

    Raises:
        RecipeError: the file is no JSON object.
        DiskError: it can't be read.
    """
    text = _text(path)
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        detail = Detail(str(path), f"is no valid JSON: {error.msg}.", error.lineno, error.colno)
        raise RecipeError(str(detail), details=[detail]) from error
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{path} is no valid JSON: {error}.") from error
    if not isinstance(data, dict):
        raise RecipeError(f"{path} is no JSON object.")
    with suppress(RecipeError):  # such as a key that stands twice
        return Document(data, _parse(text, str(path)).positions)
    return Document(data, {})


def _text(path: Path) -> str:
    with disk_errors("read", path), path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise RecipeError(f"{path} is larger than {MAX_BYTES:,} bytes, so it is no recipe.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is not UTF-8 text (byte {error.start}).") from error


def parse_assignment(assignment: str) -> tuple[tuple[str, ...], Any]:
    """`train.lr=1e-3` as `(("train", "lr"), 0.001)`, the value read as YAML.

    Raises:
        UsageError: there is no `=`, no key before it, or no value that YAML can read.
    """
    key, equals, text = assignment.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {assignment}: expected KEY=VALUE.")
    try:
        value = _parse(f"value: {text}", f"--set {assignment}").data["value"]
    except (RecipeError, KeyError) as error:
        raise UsageError(f"--set {assignment}: {text!r} is no value that YAML can read.") from error
    return tuple(key.strip().split(".")), value


def _parse(text: str, file: str) -> Document:
    yaml = YAML(typ="safe", pure=True)
    try:
        _check_events(yaml, text, file)
        yaml = YAML(typ="safe", pure=True)
        root = yaml.compose(text)
        if root is None:
            return Document({}, {})
        if not isinstance(root, MappingNode):
            raise _error(file, root.start_mark, "expected keys such as `dataset:` and `train:`.")
        positions: dict[Place, tuple[int, int]] = {}
        return Document(_construct(yaml, root, (), file, positions), positions)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        raise _error(file, mark, f"is no valid YAML: {error.problem}.") from error
    except (YAMLError, ValueError) as error:
        raise RecipeError(f"{file} is no valid YAML: {str(error).splitlines()[0]}.") from error


def _check_events(yaml: YAML, text: str, file: str) -> None:
    depth = 0
    for event in yaml.parse(text):
        kind = type(event).__name__
        if kind == "AliasEvent" or getattr(event, "anchor", None):
            raise _error(file, event.start_mark, "anchors and aliases are refused in a recipe.")
        if getattr(event, "tag", None):
            raise _error(file, event.start_mark, "tags are refused in a recipe.")
        depth += kind.endswith("StartEvent") and kind.startswith(("Mapping", "Sequence"))
        depth -= kind.endswith("EndEvent") and kind.startswith(("Mapping", "Sequence"))
        if depth > MAX_DEPTH:
            raise _error(file, event.start_mark, f"nested deeper than {MAX_DEPTH} levels.")


def _construct(
    yaml: YAML, node: Node, place: Place, file: str, positions: dict[Place, tuple[int, int]]
) -> Any:
    if isinstance(node, SequenceNode):
        for index, child in enumerate(node.value):
            positions[(*place, index)] = _line_column(child)
        return [
            _construct(yaml, child, (*place, index), file, positions)
            for index, child in enumerate(node.value)
        ]
    if isinstance(node, MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise _error(file, key_node.start_mark, "a key must be a word.")
            key = str(key_node.value)
            if key in mapping:
                raise _error(file, key_node.start_mark, f"the key {key!r} stands here twice.")
            positions[(*place, key)] = _line_column(key_node)
            mapping[key] = _construct(yaml, value_node, (*place, key), file, positions)
        return mapping
    # A date is a string here: no key of a recipe is one, and 2001-99-99 would raise.
    return node.value if node.tag in _AS_WRITTEN else yaml.constructor.construct_object(node)


def _line_column(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _error(file: str, mark: Any, message: str) -> RecipeError:
    detail = (
        Detail(file, message, mark.line + 1, mark.column + 1) if mark else Detail(file, message)
    )
    return RecipeError(str(detail), details=[detail])
