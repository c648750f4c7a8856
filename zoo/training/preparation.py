"""Getting ready to train: everything is resolved and checked before the first step."""

import os
import platform
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from zoo import __version__, data, devices, evaluation, modelfile
from zoo.description import Description, Training, decide_preprocessing, describe
from zoo.errors import UsageError
from zoo.modelfile import Source
from zoo.schema import Recipe
from zoo.training.run import create_run
from zoo.training.session import Session

if TYPE_CHECKING:
    from zoo.modelfile import Edit


@dataclass(frozen=True)
class Request:
    """What the user asked for; None is what the recipe says."""

    model: str
    recipe: str | None = None
    overrides: tuple[str, ...] = ()
    """`SECTION.KEY=VALUE` for the recipe."""
    layer_settings: "tuple[Edit, ...]" = ()
    """`LAYER.FIELD=VALUE` for the network."""
    data: Path | None = None
    """The first place to look for the pictures."""
    device: str = "auto"
    threads: int | None = None
    output: Path | None = None
    max_steps: int | None = None
    force: bool = False


def prepare(request: Request) -> Session:
    """Resolves everything, reads the data, builds the network and makes the run directory.

    Raises:
        UsageError: MODEL, the device or the output can't be.
        RecipeError: the recipe is invalid.
        DataError: pictures are missing or bad, or their classes are not the model's.
        ModelFileError: the model file is refused or corrupt.
        DiskError: the run can't be written.
    """
    source = modelfile.resolve(request.model)
    recipe_name, recipe = evaluation.recipe_of(source, request.recipe, request.overrides)
    device = devices.choose(request.device)
    if request.threads is not None:
        torch.set_num_threads(request.threads)
    description, notes = _described(source, recipe)
    notes += evaluation.split_notes(source, recipe)
    opened = data.open_data(recipe.dataset, description.preprocessing, request.data)
    classes = opened.classes
    if source.path is None:
        arguments = description.arguments.model_copy(update={"num_classes": len(classes)})
        description = description.model_copy(update={"arguments": arguments})
        source = replace(source, description=description)
    else:
        evaluation.check_classes(source, classes, recipe_name)
    edits = request.layer_settings
    network = modelfile.instantiate(source, edits, seed=recipe.train.seed).to(device)
    training = Training(
        recipe=recipe_name,
        recipe_hash=recipe.digest(),
        content=recipe.content(),
    )
    description = modelfile.with_edits(description, edits).model_copy(
        update={"classes": classes, "training": training, "metrics": {}}
    )
    name = source.card.name
    run = create_run(f"{name}-{recipe_name}", request.output, force=request.force)
    session = Session(
        name=name,
        recipe_name=recipe_name,
        recipe=recipe,
        data=opened,
        network=network,
        description=description,
        device=device,
        run=run,
        max_steps=request.max_steps,
        notes=notes,
    )
    run.start(_settings(session, request), opened.split_csv, network, description)
    return session


def _described(source: Source, recipe: Recipe) -> tuple[Description, list[str]]:
    """The description to train, and notes on what overrides what."""
    if source.path is None:
        return describe(source.card, preprocess=recipe.preprocess), []
    description = source.description
    wanted, takes = recipe.preprocess.size, description.arguments.input_size
    if wanted not in (None, takes):
        raise UsageError(
            f"The recipe asks for pictures of {wanted}, but {source.name} has {takes}."
        )
    chosen = decide_preprocessing(source.card, description.arguments, recipe.preprocess)
    notes = []
    if description.training is not None and chosen != description.preprocessing:
        notes.append(
            f"the recipe's preprocessing replaces that of {source.name}: "
            f"mean {chosen.mean}, std {chosen.std}"
        )
    return description.model_copy(update={"preprocessing": chosen}), notes


def _settings(session: Session, request: Request) -> dict[str, Any]:
    return {
        "schema": 1,
        "model": session.name,
        "origin": request.model,
        "recipe": session.recipe_name,
        "command": sys.argv[1:],
        "resolved_recipe": session.recipe.model_dump(mode="json"),
        "arguments": session.description.arguments.model_dump(mode="json"),
        "edits": list(session.description.edits),
        "preprocessing": session.description.preprocessing.model_dump(mode="json"),
        "pictures": session.data.counts,
        "seed": session.recipe.train.seed,
        "max_steps": request.max_steps,
        "device": str(session.device),
        "precision": session.precision,
        "threads": session.threads,
        "versions": {
            "zoo": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "platform": platform.platform(),
        "pid": os.getpid(),
    }
