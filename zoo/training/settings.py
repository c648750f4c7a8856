"""What was resolved for a run: `run.json` says it, and a run that goes on must agree with it."""

import math
import os
import platform
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from zoo import __version__, devices
from zoo.precision import Precision
from zoo.schema import UNWEIGHTY, Recipe
from zoo.training.distributed import World
from zoo.training.session import Prepared

# What may differ when a run goes on: where and when, not what.
_FREE = {
    "schema", "id", "run", "origin", "command", "launcher", "data", "weights",
    "platform", "pid", "params", "versions.zoo", "versions.python", "recipe", "overridden",
    *(f"resolved_recipe.{section}.{key}" for section, keys in UNWEIGHTY.items() for key in keys),
    "resolved_recipe.description",
}  # fmt: skip
# What follows from another setting that is listed.
_FOLLOWS = {"seed", "arguments.auxiliary"}
_MAY_RISE = {"resolved_recipe.train.epochs", "max_steps"}
"""To train longer; no limit is the highest."""


def settings_of(prepared: Prepared) -> dict[str, Any]:
    """What was resolved: a run that goes on must agree with it."""
    learner, description = prepared.learner, prepared.description
    return {
        "model": prepared.name,
        "recipe": prepared.recipe_name,
        "arguments": description.arguments.model_dump(mode="json"),
        "edits": list(description.edits),
        "preprocessing": description.preprocessing.model_dump(mode="json"),
        "pictures": prepared.data.counts,
        "pictures_digest": prepared.data.digest(),
        "params": sum(p.numel() for p in learner.network.parameters()),
        **settings_without_pictures(prepared.recipe, learner.precision, learner.world),
    }


def settings_without_pictures(recipe: Recipe, precision: Precision, world: World) -> dict[str, Any]:
    """What is known before any picture is read."""
    return {
        "resolved_recipe": recipe.model_dump(mode="json"),
        "seed": recipe.train.seed,
        "device": str(precision.device),
        "processor": devices.kind_of(precision.device),
        "precision": precision.name,
        "threads": torch.get_num_threads(),
        "processes": world.size,
        "versions": {
            "zoo": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "platform": platform.platform(),
        "pid": os.getpid(),
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two runs' settings in a way that changes the weights.

    Returns:
        Such as `train.lr: 0.001 before, 0.01 now`.
    """
    old, new = dict(_flat(before)), dict(_flat(now))
    return [
        _worded(key, old.get(key), new.get(key))
        for key in dict.fromkeys([*old, *new])
        if key not in _FREE | _FOLLOWS
        and old.get(key) != new.get(key)
        and not (key in _MAY_RISE and _limit(new.get(key)) > _limit(old.get(key)))
    ]


def _worded(key: str, before: Any, now: Any) -> str:
    if key == "pictures_digest":
        return "pictures: other contents, names, labels or splits now"
    name = key.removeprefix("resolved_recipe.")
    return f"{name}: {_value(before)} before, {_value(now)} now"


def _limit(value: int | None) -> float:
    return math.inf if value is None else value


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from _flat(item, f"{prefix}{key}.")
        else:
            # JSON has lists where these are tuples.
            yield f"{prefix}{key}", list(item) if isinstance(item, tuple) else item


def _value(value: Any) -> str:
    return "not set" if value is None else str(value)
