"""Getting ready to train: everything is resolved and checked before the first step."""

import os
import secrets
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import data, devices, modelfile
from zoo.data.augment import check_applies
from zoo.data.gathering import Progress
from zoo.description import Description, Training, decide_preprocessing, describe
from zoo.downloads import NO_DOWNLOADS, Downloads
from zoo.errors import UsageError
from zoo.input_sizes import check_takes
from zoo.modelfile import Source
from zoo.pretrained import find_donor, name_of
from zoo.provenance import Task, task_of, trained_recipe
from zoo.schema import Preprocess, Recipe
from zoo.training import new_head
from zoo.training.distributed import World, launcher
from zoo.training.freezing import (
    check_worth_freezing,
    choice_of,
    what_is_frozen,
    with_frozen,
)
from zoo.training.new_head import HeadWishes
from zoo.training.requirements import (
    check_pictures,
    choose_precision,
    make_learner,
    needs_head,
)
from zoo.training.run import check_run_output, create_run
from zoo.training.session import Prepared, Session
from zoo.training.settings import settings_of
from zoo.training.transfer import values_text, with_donors_preprocessing
from zoo.weights import Donor, transplant

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
    head: HeadWishes = field(default_factory=HeadWishes)
    """What kind of head a network without one gets, and whether one may be replaced."""
    weights: str | Path | None = None
    """A file, or the name of published weights, that a bare architecture starts from."""
    freeze: tuple[str, ...] = ()
    """Globs of layers to freeze, or `all-but-head` alone."""
    downloads: Downloads | None = None
    """Fetches a named set or published weights that are not here; None fetches nothing."""
    progress: Progress = lambda _done, _total: None
    """Follows the decoding."""
    device: str = "auto"
    threads: int | None = None
    output: Path | None = None
    max_steps: int | None = None
    force: bool = False


def prepare(request: Request, world: World | None = None) -> Session:
    """Resolves everything, reads the data, builds the network and makes the run directory.

    Args:
        request: what the user asked for.
        world: this process among those that train together; only the first one writes the run.

    Raises:
        UsageError: MODEL, the device or the output can't be.
        RecipeError: the recipe is invalid.
        DataError: pictures are missing or bad.
        ModelFileError: the model file is refused or corrupt.
        DiskError: the run can't be written.
    """
    world = world or World()
    if world.is_first:
        check_run_output(request.output, force=request.force)
    prepared, task = assemble(request, world)
    run = None
    if world.is_first:
        run = create_run(prepared.label, request.output, force=request.force)
    settings = world.of_first(
        {}
        if run is None
        else {
            "schema": 1,
            "id": secrets.token_hex(8),
            "run": str(run.path),
            "origin": request.model,
            "command": sys.argv[1:],
            "launcher": launcher(),
            "data": _place(task),
            "weights": None if request.weights is None else str(request.weights),
            "max_steps": request.max_steps,
            **settings_of(prepared),
        }
    )
    session = Session(prepared, run, settings, request.max_steps)
    if run is None:
        session.save()
    else:
        initial = prepared.learner.network
        split = prepared.data.split_csv
        run.start(settings, split, initial, prepared.description, session.save)
    return session


def assemble(request: Request, world: World) -> tuple[Prepared, Task]:
    """Everything that a training needs but its run directory, and where the pictures are from."""
    source = modelfile.resolve(request.model)
    new_head.check_applies(request.head, source)
    freezing = choice_of(request.freeze)
    if freezing is not None and request.layer_settings and source.path is not None:
        raise UsageError(
            "--set LAYER.FIELD can't go with --freeze: layers that change start fresh.",
            hint=f"zoo build {request.model} --set LAYER.FIELD=VALUE -o FILE, and train that.",
        )
    if request.weights is not None and source.path is not None:
        raise UsageError(
            f"{source.name} has weights already.", hint="--weights goes with an architecture."
        )
    name = None if request.weights is None else name_of(request.weights, source.card)
    task = task_of(
        source,
        recipe_name=request.recipe,
        overrides=request.overrides,
        data=request.data,
        split_file=request.split_file,
        weights=Path(request.weights) if request.weights and name is None else None,
        is_pretrained=name is not None,
    )
    recipe = task.recipe
    precision = choose_precision(recipe.train, request.device, world)
    devices.use_threads(request.threads)
    donor = None
    if request.weights is not None:
        donor = find_donor(request.weights, source.card, request.downloads or NO_DOWNLOADS)
    check_worth_freezing(freezing, source, donor)
    description, notes = _described(source, recipe, donor)
    notes += description.notes
    if request.weights is None and source.description.is_random and needs_head(recipe.train):
        notes.append(
            "train.head_epochs, unfreeze and backbone_lr_scale are meant for weights that are "
            "trained already: --weights FILE"
        )
    check_applies(recipe.augment, description.arguments.in_channels)
    with world.one_after_another():
        opened = data.open_data(
            recipe.dataset,
            description.preprocessing,
            data.Access(
                task.given, request.downloads, request.progress, task.recorded, task.must_match
            ),
            measure=None if _keeps_measured(source, recipe) else recipe.preprocess,
        ).in_order_of(source.description.classes)
    check_pictures(recipe.train, opened)
    description = description.model_copy(update={"preprocessing": opened.preprocessing})
    edits, head = [*request.layer_settings], None
    if source.path is None:
        arguments = description.arguments.model_copy(update={"num_classes": len(opened.classes)})
        description = description.model_copy(update={"arguments": arguments})
        check_takes(description)
        source = replace(source, description=description)
    else:
        changed = replace(source, description=modelfile.with_edits(source.description, edits))
        head, said = new_head.new_head(changed, opened.classes, task.name, request.head)
        edits += [] if head is None else [head]
        notes += [*said, *_replaced(source, description)]
    network = modelfile.instantiate(source, edits, seed=recipe.train.seed)
    fresh = source.description.untrained
    if head is not None:
        fresh += new_head.layers_of(head, network, description.input_shape)
    if donor is not None:
        grown = transplant(network, donor, description, opened.classes)
        notes += (*grown.notes, *grown.left_behind)
        fresh = grown.fresh
        made = donor.description
        description = description.model_copy(
            update={"origin": donor.origin, "published": made and made.published}
        )
    description = modelfile.with_edits(description, edits).model_copy(
        update={
            "classes": opened.classes,
            "training": trained_by(task.name, recipe),
            "metrics": {},
            "untrained": (),
        }
    )
    description, told = with_frozen(source.name, network, description, freezing, fresh)
    notes += [*told, *what_is_frozen(network, recipe.train, description)]
    learner = make_learner(network, recipe, description, opened, precision, world)
    prepared = Prepared(
        name=source.card.name,
        recipe_name=task.name,
        recipe=recipe,
        data=opened,
        learner=learner,
        description=description,
        notes=[*notes, *task.notes, *opened.notes],
    )
    return prepared, task


def trained_by(name: str, recipe: Recipe) -> Training:
    """What a model file says of the recipe it learned by."""
    return Training(recipe=name, recipe_hash=recipe.digest(), content=recipe.content())


def _place(task: Task) -> str | None:
    """The directory that the pictures were looked for in."""
    place = task.given or task.recipe.dataset.root
    return None if place is None else os.path.abspath(Path(place).expanduser())


def _described(
    source: Source, recipe: Recipe, donor: Donor | None
) -> tuple[Description, list[str]]:
    """The description to train, and notes on what overrides what."""
    if source.path is None:
        made, size = None if donor is None else donor.description, None
        if made is not None and made.published is not None:
            size = recipe.preprocess.size or made.arguments.input_size
        described = describe(source.card, input_size=size, preprocess=recipe.preprocess)
        return _on_scale_of(made, described, recipe.preprocess)
    description = source.description
    wanted, takes = recipe.preprocess.size, description.arguments.input_size
    if wanted not in (None, takes):
        raise UsageError(
            f"Pictures of {_sides(wanted)} are asked for, but {source.name} takes {_sides(takes)}."
        )
    channels = recipe.preprocess.channels
    if channels not in (None, description.arguments.in_channels):
        raise UsageError(
            f"Pictures of {channels} channels are asked for, but {source.name} takes "
            f"{description.arguments.in_channels}."
        )
    chosen = decide_preprocessing(source.card, description.arguments, recipe.preprocess)
    if _keeps_measured(source, recipe):
        before = description.preprocessing
        kept = {"mean": before.mean} if recipe.preprocess.measures_mean else {}
        kept |= {"std": before.std} if recipe.preprocess.measures_std else {}
        chosen = chosen.model_copy(update=kept)
    described = description.model_copy(update={"preprocessing": chosen})
    described, notes = _on_scale_of(description, described, recipe.preprocess)
    return described, notes if description.training is None else []  # `_replaced` says it then


def _sides(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"


def _on_scale_of(
    donor: Description | None, description: Description, wishes: Preprocess
) -> tuple[Description, list[str]]:
    """The description with the scale that the weights know, as far as the recipe is silent."""
    chosen, notes = with_donors_preprocessing(description.preprocessing, wishes, donor)
    return description.model_copy(update={"preprocessing": chosen}), notes


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
        f"mean {values_text(chosen.mean)}, std {values_text(chosen.std)}"
    ]
