"""A recipe: dataset, preprocessing, augmentation and training defaults, in YAML without code."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from zoo import shipped, yaml_nodes
from zoo.errors import Detail, RecipeError, UsageError, did_you_mean

Share = Annotated[float, Field(ge=0, lt=1)]
Range = Annotated[float, Field(ge=0)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _one_or_more(value: Any) -> Any:
    return (value,) if _is_number(value) else _as_tuple(value)


def _side_or_pair(value: Any) -> Any:
    return (value, value) if _is_number(value) else _as_tuple(value)


def _zoom_pair(value: Any) -> Any:
    pair = (1 - value, 1 + value) if _is_number(value) else _as_tuple(value)
    if not (isinstance(pair, tuple) and len(pair) == 2 and all(_is_number(side) for side in pair)):
        raise ValueError("must be a number or a pair of numbers")
    if not 0 < pair[0] <= pair[1]:
        raise ValueError("must lie in [0, 1), or be a pair of positive numbers, the lower first")
    return pair


PerChannel = Annotated[tuple[float, ...], BeforeValidator(_one_or_more), Field(min_length=1)]
PositivePerChannel = Annotated[
    tuple[Annotated[float, Field(gt=0)], ...], BeforeValidator(_one_or_more), Field(min_length=1)
]
Side = Annotated[int, Field(ge=1, le=4096)]
SizePx = Annotated[tuple[Side, Side], BeforeValidator(_side_or_pair)]
ZoomRange = Annotated[tuple[float, float], BeforeValidator(_zoom_pair)]


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        defer_build=True,  # `zoo recipes list` validates nothing and has 0.3 s
    )


class Dataset(_Section):
    """Which pictures, and how they are split."""

    source: Literal["digits", "mnist", "fashion-mnist", "kmnist"] = "digits"
    """Where the pictures come from."""
    root: str | None = None
    """Directory that holds the set, searched after --data; left out, the usual places are."""
    validation: Share = 0.1
    """Share of the training pictures, per class, that measures each epoch."""
    test: Share | None = None
    """Share of all pictures, per class, that only the final evaluation sees. Left out, it is the
    source's own test split, or 0.2 where it has none."""
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    """Draws the split. It is not --seed, so that runs of several seeds share their test pictures,
    and a model trained further has never seen its own."""


class Preprocess(_Section):
    """How a picture becomes the network's input. What is left out, the network's card decides."""

    size: SizePx | None = None
    """Height and width in pixels; one number makes a square."""
    channels: Literal[1, 3] | None = None
    """1 is grayscale, 3 is RGB; pictures are converted."""
    mean: PerChannel = (0.0,)
    """Subtracted after scaling to [0, 1]; one value is repeated per channel."""
    std: PositivePerChannel = (1.0,)
    """Divided by after subtracting; one value is repeated per channel."""
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    """How pictures are resized; antialiased but for nearest."""
    fit: Literal["resize", "pad", "crop"] | None = None
    """resize: to the size, whatever the aspect. pad: keep the aspect, add black. crop: keep the
    aspect, cut what stands over."""


class Augment(_Section):
    """Random changes of training pictures, named as in Keras's ImageDataGenerator."""

    rotation_range: Range = 0.0
    """Degrees, either way."""
    width_shift_range: Range = 0.0
    """Share of the width, or pixels from 1 up."""
    height_shift_range: Range = 0.0
    """Share of the height, or pixels from 1 up."""
    shear_range: Range = 0.0
    """Degrees, either way."""
    zoom_range: ZoomRange = (1.0, 1.0)
    """A factor of 1 - zoom to 1 + zoom, or a pair of lowest and highest; drawn for each axis.
    Below 1 the picture grows, as in Keras."""
    horizontal_flip: bool = False
    """Mirror half of the pictures left to right."""
    vertical_flip: bool = False
    """Mirror half of the pictures top to bottom."""
    fill_mode: Literal["nearest", "constant", "reflect", "wrap"] = "nearest"
    """What appears beyond the border."""
    cval: float = Field(default=0.0, ge=0, le=255)
    """The gray value of 0 to 255 that `constant` fills in."""


class Train(_Section):
    """Defaults of `zoo train`."""

    epochs: int = Field(default=20, ge=1)
    """Passes over the training split."""
    batch_size: int = Field(default=64, ge=2)
    """Pictures a step."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """sgd has Nesterov momentum 0.9."""
    lr: float = Field(default=1e-3, gt=0)
    """Learning rate at its highest."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """cosine falls to 0 over the whole training, step by step."""
    weight_decay: Range = 0.0
    """L2 penalty (decoupled for adam); not applied to norms and biases."""
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    """First weights, order, augmentation and dropout."""


class Recipe(_Section):
    """A whole recipe."""

    description: str = ""
    """One line for people."""
    dataset: Dataset = Dataset()
    preprocess: Preprocess = Preprocess()
    augment: Augment = Augment()
    train: Train = Train()

    def content(self) -> dict[str, Any]:
        """What a model file keeps: all but `dataset.root`, a path of one machine."""
        return self.model_dump(mode="json", exclude={"dataset": {"root"}})

    def digest(self) -> str:
        """SHA-256 over the content, the description left out."""
        document = {key: value for key, value in self.content().items() if key != "description"}
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


SECTIONS = ("dataset", "preprocess", "augment", "train")


class Preprocessing(_Section):
    """A recipe's preprocessing with everything decided; a model file holds it."""

    model_config = ConfigDict(strict=False)  # JSON has lists where these are tuples

    channels: Annotated[int, Field(ge=1, le=4096)]
    size: tuple[Side, Side]
    """Height and width of the network's input in pixels."""
    content: tuple[Side, Side]
    """Height and width that the picture is fitted into; black fills the rest."""
    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]
    interpolation: Literal["nearest", "bilinear", "bicubic"]
    fit: Literal["resize", "pad", "crop"]

    @model_validator(mode="after")
    def _a_value_for_each_channel(self) -> Self:
        if {len(self.mean), len(self.std)} != {self.channels}:
            raise ValueError("mean and std need a value for each channel")
        return self


def locate(name: str) -> Path:
    """The file of a shipped recipe's name, or of a path.

    Raises:
        RecipeError: there is neither.
    """
    if name in shipped.names():
        return shipped.path_of(name)
    path = Path(name)
    with suppress(OSError):  # such as a name too long
        if path.is_file():
            return path
    raise RecipeError(
        f"No recipe is called {name!r} and no such file exists. "
        f"{did_you_mean(name, shipped.names())}".rstrip(),
        hint="zoo recipes list shows every recipe.",
    )


def load_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe by its shipped name or its path.

    Args:
        name: such as `digits` or `my/cats.yaml`.
        overrides: `SECTION.KEY=VALUE`, checked like the file.

    Raises:
        RecipeError: with everything that is wrong in `details`.
    """
    path = locate(name)
    document = yaml_nodes.read(path)
    return _validate(document, overrides, str(path))


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


def is_override(assignment: str) -> bool:
    """Whether `--set KEY=VALUE` speaks of the recipe rather than of a layer."""
    return assignment.partition("=")[0].partition(".")[0] in SECTIONS


def _validate(document: yaml_nodes.Document, overrides: Sequence[str], file: str) -> Recipe:
    sources: dict[tuple[str | int, ...], str] = {}
    for section in SECTIONS:  # `train:` with nothing below is an empty section
        if section in document.data and document.data[section] is None:
            document.data[section] = {}
    for assignment in overrides:
        path, value = yaml_nodes.parse_assignment(assignment)
        if path in sources:
            raise UsageError(
                f"{'.'.join(path)} is given twice: {sources[path]}, --set {assignment}."
            )
        sources[path] = f"--set {assignment}"
        section = document.data.setdefault(path[0], {})
        if isinstance(section, dict) and len(path) == 2:
            section[path[1]] = value
        else:
            raise RecipeError(f"--set {assignment}: a recipe's key is SECTION.KEY.")
    try:
        return Recipe.model_validate(document.data)
    except ValidationError as error:
        details = [_detail(document, problem, file, sources) for problem in error.errors()]
    details = sorted(
        dict.fromkeys(details), key=lambda detail: (detail.line or 0, detail.column or 0)
    )
    raise RecipeError("\n".join(str(detail) for detail in details), _HINT, details=details)


_HINT = "zoo recipes show digits prints a valid recipe."


def _detail(
    document: yaml_nodes.Document,
    problem: Any,
    file: str,
    sources: Mapping[tuple[str | int, ...], str],
) -> Detail:
    loc: tuple[str | int, ...] = problem["loc"]
    while loc and not document.has(loc):
        loc = loc[:-1]
    dotted = ".".join(str(part) for part in loc)
    line, column = document.position(loc)
    message, suggestion = _reword(problem["msg"]), None
    if problem["type"] == "extra_forbidden":
        message = "is no option."
        suggestion = did_you_mean(str(loc[-1]), _fields(loc[:-1])) or None
    elif problem["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        suggestion = did_you_mean(str(problem["input"]), choices) or None
    where = next(
        (
            text
            for path, text in sources.items()
            if path[: len(loc)] == loc or loc[: len(path)] == path
        ),
        None,
    )
    return Detail(
        file=where or file,
        line=None if where else line,
        column=None if where else column,
        path=dotted,
        message=f"{dotted} {message}" if dotted else message,
        suggestion=suggestion,
    )


def _reword(message: str) -> str:
    message = re.sub(r"dictionary or instance of \w+", "mapping of keys", message)
    message = message.removeprefix("Value error, ").replace("Input should", "must")
    return message.rstrip(".") + "."


def _fields(path: Sequence[str | int]) -> list[str]:
    model: type[BaseModel] = Recipe
    for part in path:
        annotation = model.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)
