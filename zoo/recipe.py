"""A recipe: dataset, preprocessing, augmentation and training defaults, in YAML without code."""

import io
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML

from zoo import shipped, yaml_nodes
from zoo.errors import Detail, RecipeError, UsageError, did_you_mean
from zoo.files import check_output_file, disk_errors, write_text
from zoo.schema import SECTIONS, Recipe, Section
from zoo.values import SOURCES

__all__ = [
    "HINT", "Recipe", "copy", "folder_recipe", "from_json", "is_override", "json_schema",
    "load_recipe", "locate", "name_of", "override", "resolved_yaml", "run_of",
]  # fmt: skip

_RUN_FILE = "run.json"
_RESOLVED = "resolved_recipe"
"""The key of a run's `run.json` under which its recipe stands, every default written out."""
_EDITOR_LINE = "# yaml-language-server: $schema="


def locate(name: str) -> Path:
    """The file of a shipped recipe's name, or of a path; of a run's directory its `run.json`.

    Raises:
        RecipeError: there is neither.
    """
    if name in shipped.names():
        return shipped.path_of(name)
    path = Path(name)
    with suppress(OSError):  # such as a name too long
        if path.is_file():
            return path
        if (path / _RUN_FILE).is_file():
            return path / _RUN_FILE
    if name in SOURCES:
        raise RecipeError(
            f"{name} is a source, not a recipe.",
            hint=f"Any recipe can read it, such as: --recipe folder --set dataset.source={name}",
        )
    raise RecipeError(
        f"No recipe is called {name!r} and no such file exists. "
        f"{did_you_mean(name, shipped.names())}".rstrip(),
        hint="zoo recipes list shows every recipe.",
    )


def name_of(name: str) -> str:
    """What a recipe is called: as its file, or where a run recorded it, as that run called it.

    Raises:
        RecipeError: there is no such recipe.
    """
    path = locate(name)
    if path.suffix != ".json":
        return path.stem
    document = yaml_nodes.read_json(path).data
    recorded = document.get("recipe") if _RESOLVED in document else None
    # A directory is named after it, so it must lead nowhere.
    return (Path(recorded).name if isinstance(recorded, str) else "") or path.stem


def run_of(name: str) -> Path | None:
    """The run whose recipe is meant; None where it is no run's.

    Raises:
        RecipeError: there is no such recipe.
    """
    path = locate(name)
    return path.parent if path.name == _RUN_FILE else None


def folder_recipe(*, has_weights: bool) -> str:
    """The shipped recipe that `--data` alone means."""
    return "folder-finetune" if has_weights else "folder"


def load_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe by its shipped name or its path.

    Args:
        name: such as `digits`, `my/cats.yaml`, or the run `runs/lenet5-digits`.
        overrides: `SECTION.KEY=VALUE`, checked like the file.

    Raises:
        RecipeError: with everything that is wrong in `details`.
    """
    path = locate(name)
    return _validate(_read(path), overrides, str(path))


def override(recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """The recipe with `SECTION.KEY=VALUE` applied.

    Raises:
        RecipeError: with everything that is wrong in `details`.
    """
    document = yaml_nodes.Document(recipe.model_dump(mode="json", exclude_defaults=True), {})
    return _validate(document, overrides, "recipe")


def from_json(document: Mapping[str, Any], file: str) -> Recipe:
    """The recipe that a model file holds.

    Raises:
        RecipeError: it is none of this version's.
    """
    return _validate(yaml_nodes.Document(dict(document), {}), (), file)


def copy(name: str, file: Path | None, *, force: bool) -> Path:
    """Copies a recipe, and points its editor line to the schema where it lies here.

    The recipe of a run becomes YAML.

    Args:
        name: a shipped recipe's, or a path.
        file: where to; None is the recipe's own name in the working directory.
        force: replace an existing file.

    Returns:
        The file written.

    Raises:
        RecipeError: there is no such recipe.
        OutputExistsError: the file exists and `force` is false.
        DiskError: it can't be written.
    """
    path = locate(name)
    target = Path(f"{name_of(name)}.yaml") if file is None else file
    if path.name == _RUN_FILE:
        text = f"{_EDITOR_LINE}{shipped.SCHEMA}\n{resolved_yaml(load_recipe(name))}"
    else:
        with disk_errors("read", path):
            text = path.read_text(encoding="utf-8")
    check_output_file(target, force=force)
    schema = shipped.schema_path().resolve().as_uri()
    text = text.replace(f"{_EDITOR_LINE}{shipped.SCHEMA}", f"{_EDITOR_LINE}{schema}", 1)
    write_text(target, text)
    return target


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a recipe, which editors check and complete YAML with."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Recipe.model_json_schema(),
        "title": "A recipe of zoo",
    }


def resolved_yaml(recipe: Recipe) -> str:
    """A recipe with every default written out, as YAML that can be loaded again."""
    text = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    surplus = {
        "dataset": recipe.dataset.surplus_options(),
        "train": recipe.train.surplus_options(),
    }
    document = recipe.model_dump(mode="json", exclude=surplus)
    yaml.dump(_given(document), text)
    return text.getvalue()


def _given(value: Any) -> Any:
    """The document without nulls: what is left out is decided by the network's card or the set."""
    if isinstance(value, dict):
        return {key: _given(item) for key, item in value.items() if item is not None}
    return value


def is_override(assignment: str) -> bool:
    """Whether `--set KEY=VALUE` speaks of the recipe rather than of a layer."""
    return assignment.partition("=")[0].partition(".")[0] in SECTIONS


def _read(path: Path) -> yaml_nodes.Document:
    """What a recipe's file says, or what a run recorded."""
    if path.suffix != ".json":
        return yaml_nodes.read(path)
    document = yaml_nodes.read_json(path)
    if _RESOLVED not in document.data:
        if path.name == _RUN_FILE:
            raise RecipeError(f"{path} holds no {_RESOLVED}, so there is no recipe in it.")
        return document
    resolved = document.data[_RESOLVED]
    if not isinstance(resolved, dict):
        line, column = document.position((_RESOLVED,))
        detail = Detail(str(path), f"{_RESOLVED} is no recipe.", line, column)
        raise RecipeError(str(detail), details=[detail])
    places = {place[1:]: at for place, at in document.positions.items() if place[0] == _RESOLVED}
    return yaml_nodes.Document(resolved, places)


def _validate(document: yaml_nodes.Document, overrides: Sequence[str], file: str) -> Recipe:
    sources: dict[tuple[str | int, ...], str] = {}
    for section in SECTIONS:  # `train:` with nothing below is an empty section
        if section in document.data and document.data[section] is None:
            document.data[section] = {}
    for assignment in overrides:
        path, value = yaml_nodes.parse_assignment(assignment)
        if path in sources:
            # A flag such as --epochs may be one of the two, so that --set is not named.
            values = [text.partition("=")[2] for text in (sources[path], assignment)]
            raise UsageError(f"{'.'.join(path)} is given twice: {' and '.join(values)}.")
        sources[path] = f"--set {assignment}"
        inner: Any = document.data
        for part in path[:-1]:
            inner = inner.setdefault(part, {}) if isinstance(inner, dict) else None
        if not isinstance(inner, dict) or len(path) < 2:
            raise RecipeError(f"--set {assignment}: a recipe's key is SECTION.KEY.")
        inner[path[-1]] = value
    try:
        return Recipe.model_validate(document.data)
    except ValidationError as error:
        details = [_detail(document, problem, file, sources) for problem in error.errors()]
    details = sorted(
        dict.fromkeys(details), key=lambda detail: (detail.line or 0, detail.column or 0)
    )
    raise RecipeError("\n".join(str(detail) for detail in details), HINT, details=details)


HINT = "zoo recipes schema says every key; zoo recipes show digits prints a valid recipe."


def _detail(
    document: yaml_nodes.Document,
    problem: Any,
    file: str,
    sources: Mapping[tuple[str | int, ...], str],
) -> Detail:
    loc: tuple[str | int, ...] = problem["loc"]
    while loc and not document.has(loc):
        loc = loc[:-1]
    message, suggestion = _reword(problem["msg"]), None
    if len(loc) == 1 and (named := re.match(rf"{re.escape(str(loc[0]))}\.(\w+) ", message)):
        # Of several keys of a section, the message names first the one to blame.
        loc = (*loc, named[1]) if document.has((*loc, named[1])) else loc
    dotted = ".".join(str(part) for part in loc)
    line, column = document.position(loc)
    if problem["type"] == "extra_forbidden":
        message = "is no option."
        suggestion = _instead(loc)
    elif problem["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        suggestion = did_you_mean(str(problem["input"]), choices) or None
    elif loc == ("dataset", "source"):
        suggestion = did_you_mean(str(problem["input"]), SOURCES) or None
    where = next(
        (
            text
            for path, text in sources.items()
            if path[: len(loc)] == loc or loc[: len(path)] == path
        ),
        None,
    )
    # A message about several keys of a section names them itself.
    names_itself = message.startswith(f"{loc[0]}." if loc else "\0")
    return Detail(
        file=where or file,
        line=None if where else line,
        column=None if where else column,
        path=dotted,
        message=f"{dotted} {message}" if dotted and not names_itself else message,
        suggestion=suggestion,
    )


def _reword(message: str) -> str:
    message = re.sub(r"dictionary or instance of \w+", "mapping of keys", message)
    message = message.removeprefix("Value error, ").replace("Input should", "must")
    return message.rstrip(".") + "."


def _instead(loc: tuple[str | int, ...]) -> str | None:
    """Where a key that is none belongs, or what it may be a misspelling of."""
    section, key = _section(loc[:-1]), str(loc[-1])
    if section is None:
        return None
    if key in section.moved:
        return f"It is {section.moved[key]}."
    if key in SECTIONS or len(loc) > 2:
        return did_you_mean(key, section.model_fields) or None
    elsewhere = [
        f"{name}.{key}"
        for name in SECTIONS
        if (other := _section((name,))) is not None and key in other.model_fields
    ]
    if elsewhere:
        return f"It is {' or '.join(elsewhere)}."
    return did_you_mean(key, section.model_fields) or None


def _section(path: Sequence[str | int]) -> type[Section] | None:
    """The model of a section, also of one that may be left out."""
    model: type[Section] = Recipe
    for part in path:
        annotation = model.model_fields[str(part)].annotation
        choices = [annotation, *getattr(annotation, "__args__", ())]
        models = [c for c in choices if isinstance(c, type) and issubclass(c, Section)]
        if not models:
            return None
        model = models[0]
    return model
