"""Getting ready to train: everything is resolved and checked before the first step."""

import os
import platform
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from zoo import __version__, data, devices, modelfile
from zoo.data.augment import check_applies
from zoo.data.gathering import Progress
from zoo.description import Description, Training, decide_preprocessing, describe
from zoo.downloads import Downloads
from zoo.errors import UsageError
from zoo.modelfile import Source
from zoo.provenance import Task, check_classes, task_of, trained_recipe
from zoo.schema import Recipe
from zoo.training.run import check_run_output, create_run
from zoo.training.session import Session
from zoo.training.transfer import donor_of, find_head, load_donor, with_donors_preprocessing

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
    split_file: Path | None = None
    """A `split.csv` of another run."""
    weights: Path | None = None
    """A file whose weights a bare architecture starts from."""
    downloads: Downloads | None = None
    """Fetches a named set that is nowhere here; None fetches nothing."""
    progress: Progress = lambda _done, _total: None
    """Follows the decoding."""
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
    if request.weights is not None and source.path is not None:
        raise UsageError(
            f"{source.name} has weights already.", hint="--weights goes with an architecture."
        )
    task = task_of(
        source,
        recipe_name=request.recipe,
        overrides=request.overrides,
        data=request.data,
        split_file=request.split_file,
        weights=request.weights,
    )
    recipe = task.recipe
    check_run_output(request.output, force=request.force)
    device = devices.choose(request.device)
    if request.threads is not None:
        torch.set_num_threads(request.threads)
    description, notes = _described(source, recipe)
    donor = None
    if source.path is None and request.weights is None and _needs_head(recipe):
        notes.append(
            "train.head_epochs and train.backbone_lr are meant for weights that are trained "
            "already: --weights FILE"
        )
    if request.weights is not None:
        donor = donor_of(request.weights)
        chosen, replaced = with_donors_preprocessing(
            description.preprocessing, recipe.preprocess, donor
        )
        description = description.model_copy(update={"preprocessing": chosen})
        notes += replaced
    check_applies(recipe.augment, description.arguments.in_channels)
    opened = data.open_data(
        recipe.dataset,
        description.preprocessing,
        data.Access(
            task.given, request.downloads, request.progress, task.recorded, task.must_match
        ),
        measure=None if _keeps_measured(source, recipe) else recipe.preprocess,
    )
    description = description.model_copy(update={"preprocessing": opened.preprocessing})
    if source.path is None:
        arguments = description.arguments.model_copy(update={"num_classes": len(opened.classes)})
        description = description.model_copy(update={"arguments": arguments})
        source = replace(source, description=description)
    else:
        check_classes(source, opened.classes, task.name)
        notes += _replaced(source, description)
    edits = request.layer_settings
    network = modelfile.instantiate(source, edits, seed=recipe.train.seed)
    head = find_head(network, description.input_shape) if _needs_head(recipe) else None
    if request.weights is not None:
        origin, loaded = load_donor(
            network, request.weights, donor, description.input_shape, opened.classes
        )
        description = description.model_copy(update={"origin": origin})
        notes += loaded
    network = network.to(device)
    training = Training(
        recipe=task.name,
        recipe_hash=recipe.digest(),
        content=recipe.content(),
    )
    description = modelfile.with_edits(description, edits).model_copy(
        update={"classes": opened.classes, "training": training, "metrics": {}}
    )
    name = source.card.name
    run = create_run(f"{name}-{task.name}", request.output, force=request.force)
    session = Session(
        name=name,
        recipe_name=task.name,
        recipe=recipe,
        data=opened,
        network=network,
        head=head,
        description=description,
        device=device,
        run=run,
        max_steps=request.max_steps,
        notes=[*notes, *task.notes, *opened.notes],
    )
    run.start(_settings(session, request, task), opened.split_csv, network, description)
    return session


def _needs_head(recipe: Recipe) -> bool:
    return recipe.train.head_epochs > 0 or recipe.train.backbone_lr != 1


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
    channels = recipe.preprocess.channels
    if channels not in (None, description.arguments.in_channels):
        raise UsageError(
            f"The recipe asks for pictures of {channels} channels, but {source.name} has "
            f"{description.arguments.in_channels}."
        )
    chosen = decide_preprocessing(source.card, description.arguments, recipe.preprocess)
    if _keeps_measured(source, recipe):
        before = description.preprocessing
        kept = {"mean": before.mean} if recipe.preprocess.measures_mean else {}
        kept |= {"std": before.std} if recipe.preprocess.measures_std else {}
        chosen = chosen.model_copy(update=kept)
    return description.model_copy(update={"preprocessing": chosen}), []


def _keeps_measured(source: Source, recipe: Recipe) -> bool:
    """Whether mean and std stay as they were measured: the same recipe goes on with a model."""
    training = source.description.training
    if training is None:
        return False
    return trained_recipe(source, training).preprocess == recipe.preprocess


def _replaced(source: Source, description: Description) -> list[str]:
    """A note where the recipe prepares pictures otherwise than the model is used to."""
    before, chosen = source.description.preprocessing, description.preprocessing
    if source.description.training is None or before == chosen:
        return []
    return [
        f"the recipe's preprocessing replaces that of {source.name}: "
        f"mean {chosen.mean}, std {chosen.std}"
    ]


def _settings(session: Session, request: Request, task: Task) -> dict[str, Any]:
    place = task.given or task.recipe.dataset.root
    return {
        "schema": 1,
        "model": session.name,
        "origin": request.model,
        "recipe": session.recipe_name,
        "command": sys.argv[1:],
        "data": None if place is None else os.path.abspath(Path(place).expanduser()),
        "weights": None if request.weights is None else str(request.weights),
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
