"""The types of a recipe's values: what YAML may say for each, and what is made of it."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

Share = Annotated[float, Field(ge=0, lt=1)]
Range = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]

AUTO = "auto"
BALANCED = "balanced"
_LARGEST = 100
"""Of factors and the like: beyond, pictures would end in infinities."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _one_or_more(value: Any) -> Any:
    return (value,) if _is_number(value) else _as_tuple(value)


def _side_or_pair(value: Any) -> Any:
    return (value, value) if _is_number(value) else _as_tuple(value)


def _pair(value: Any) -> tuple[float, float]:
    pair = _as_tuple(value)
    if not (isinstance(pair, tuple) and len(pair) == 2 and all(_is_number(side) for side in pair)):
        raise ValueError("must be a pair of numbers")
    return pair


def _ascending(value: Any) -> Any:
    low, high = _pair(value)
    if not 0 <= low <= high <= _LARGEST:
        raise ValueError(f"must be two numbers of 0 to {_LARGEST}, the lower first")
    return low, high


def _positive_ascending(value: Any) -> Any:
    low, high = _pair(value)
    if not 1 / _LARGEST <= low <= high <= _LARGEST:
        raise ValueError(f"must be two numbers of {1 / _LARGEST} to {_LARGEST}, the lower first")
    return low, high


def _area_shares(value: Any) -> Any:
    low, high = _pair(value)
    if not 0 < low <= high <= 1:
        raise ValueError("must be two shares of the area in (0, 1], the lower first")
    return low, high


def _zoom_pair(value: Any) -> Any:
    if not _is_number(value) and not isinstance(value, list | tuple):
        raise ValueError("must be a number or a pair of numbers")
    pair = _pair((1 - value, 1 + value) if _is_number(value) else value)
    if not 0 < pair[0] <= pair[1] <= _LARGEST:
        raise ValueError("must lie in [0, 1), or be a pair of positive numbers, the lower first")
    return pair


def switch(value: Any) -> Any:
    """`true` is the defaults, `false` is off."""
    return {True: {}, False: None}[value] if isinstance(value, bool) else value


def probability_alone(value: Any) -> Any:
    """A number is the probability of an option with usual values."""
    return {"probability": value} if _is_number(value) else switch(value)


def _per_channel(value: Any) -> Any:
    values = _one_or_more(value)
    if value == AUTO:
        return value
    if not (isinstance(values, tuple) and values and all(_is_number(entry) for entry in values)):
        raise ValueError("must be a number, a list of numbers, or auto")
    return values


def _positive_per_channel(value: Any) -> Any:
    values = _per_channel(value)
    if values != AUTO and min(values) <= 0:
        raise ValueError("must be above 0")
    return values


def _milestones(value: Any) -> Any:
    epochs = _as_tuple(value)
    whole = isinstance(epochs, tuple) and all(type(epoch) is int and epoch > 0 for epoch in epochs)
    if not whole or list(epochs) != sorted(set(epochs)):
        raise ValueError("must be a list of epochs, each later than the one before")
    return epochs


def _class_weights(value: Any) -> Any:
    weights = _as_tuple(value)
    if weights is None or weights == BALANCED:
        return weights
    numbers = list(weights.values()) if isinstance(weights, dict) else weights
    if not isinstance(numbers, tuple | list) or not numbers:
        raise ValueError(f"must be {BALANCED}, a list of numbers, or a number for each class")
    if not all(_is_number(number) and number >= 0 for number in numbers) or not any(numbers):
        raise ValueError("must be numbers of 0 or more, not all of them 0")
    if isinstance(weights, dict):
        return {str(name): number for name, number in weights.items()}
    return weights


def _unfreezing(value: Any) -> Any:
    if type(value) is int and value >= 0:
        return value
    by_epoch: dict[int, tuple[str, ...]] = {}
    for epoch, globs in value.items() if isinstance(value, dict) else ():
        number = int(epoch) if isinstance(epoch, str) and epoch.isdecimal() else epoch
        names = (globs,) if isinstance(globs, str) else _as_tuple(globs)
        are_names = isinstance(names, tuple) and all(isinstance(n, str) and n for n in names)
        if type(number) is not int or number < 1 or not (names and are_names):
            raise ValueError("must tell for an epoch, counted from 1, which layers learn from then")
        by_epoch[number] = names
    if not by_epoch:
        raise ValueError("must be a number of epochs, or layers by epoch, such as {2: layer4}")
    return dict(sorted(by_epoch.items()))


def _source_name(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("must be the name of a source")
    if value in SOURCES:
        return value
    name = value.removeprefix(TORCHVISION)
    if value.startswith(TORCHVISION) and name.isidentifier():
        return value
    raise ValueError(f"must be one of {', '.join(SOURCES)}, or {TORCHVISION}NAME")


TORCHVISION = "torchvision/"
SOURCES = (
    "digits", "shapes", "mnist", "fashion-mnist", "kmnist", "emnist", "cifar10", "cifar100",
    "svhn", "stl10", "flowers102", "food101", "imagenet", "folder", "csv", "idx",
)  # fmt: skip
MADE_HERE = ("digits", "shapes")
"""Sources that come with zoo and lie in no directory."""
OF_ONES_OWN = ("folder", "csv", "idx")
"""Sources that are a directory of the user's."""

LUMA = (0.299, 0.587, 0.114)
"""What red, green and blue weigh in gray: ITU-R BT.601, as Pillow's mode "L" has it."""

_ChannelsInput = float | list[float] | Literal["auto"]
PerChannel = Annotated[
    tuple[float, ...] | Literal["auto"],
    BeforeValidator(_per_channel, json_schema_input_type=_ChannelsInput),
]
PositivePerChannel = Annotated[
    tuple[float, ...] | Literal["auto"],
    BeforeValidator(_positive_per_channel, json_schema_input_type=_ChannelsInput),
]
Side = Annotated[int, Field(ge=1, le=4096)]
SizePx = Annotated[
    tuple[Side, Side],
    BeforeValidator(_side_or_pair, json_schema_input_type=Side | tuple[Side, Side]),
]
ZoomRange = Annotated[
    tuple[float, float],
    BeforeValidator(_zoom_pair, json_schema_input_type=float | tuple[float, float]),
]
Ascending = Annotated[tuple[float, float], BeforeValidator(_ascending)]
PositiveAscending = Annotated[tuple[float, float], BeforeValidator(_positive_ascending)]
AreaShares = Annotated[tuple[float, float], BeforeValidator(_area_shares)]
SourceName = Annotated[str, BeforeValidator(_source_name)]
Milestones = Annotated[
    tuple[int, ...], BeforeValidator(_milestones, json_schema_input_type=list[int])
]
Unfreezing = Annotated[
    int | dict[int, tuple[str, ...]],
    BeforeValidator(
        _unfreezing,
        json_schema_input_type=Annotated[int, Field(ge=0)] | dict[str, str | list[str]],
    ),
]
ClassWeights = Annotated[
    Literal["balanced"] | tuple[float, ...] | dict[str, float] | None,
    BeforeValidator(
        _class_weights,
        json_schema_input_type=Literal["balanced"] | list[float] | dict[str, float] | None,
    ),
]
