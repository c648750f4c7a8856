"""Going on with a run that was stopped, to the bits that it would have had."""

import json
import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from zoo import data, devices, modelfile, recipe
from zoo.data.augment import check_applies
from zoo.data.split import read_csv
from zoo.description import Description, read_description
from zoo.errors import DataError, ModelFileError, UsageError
from zoo.precision import Precision
from zoo.schema import Recipe
from zoo.training import checkpoint
from zoo.training.checkpoint import Checkpoint
from zoo.training.distributed import World, is_launched, launcher
from zoo.training.engine import Epoch, is_over, total_steps
from zoo.training.learner import Position
from zoo.training.outcome import Best
from zoo.training.preparation import Request, trained_by
from zoo.training.requirements import check_pictures, choose_precision, make_learner
from zoo.training.run import STATE, Run, open_run
from zoo.training.session import Prepared, Session
from zoo.training.settings import differences, settings_of, settings_without_pictures

_KEPT = (
    "model:", "arguments", "edits", "preprocess", "dataset.source:", "dataset.validation:",
    "dataset.test:", "dataset.seed:", "dataset.split:",
)  # fmt: skip
"""Differences that nothing accepts: the model file says how pictures are prepared."""
_OF_STEPS = ("train.batch_size:", "train.accumulate:", "pictures", "processes:")
"""Differences that change how many steps an epoch has."""


def resume(
    path: Path, request: Request, world: World | None = None, *, override: bool = False
) -> Session:
    """Opens a run where it was left.

    Args:
        path: of the run directory.
        request: what the user asks for besides; model, recipe and so on are the run's own.
        world: this process among those that train together.
        override: accept that settings differ from those the run was started with.

    Raises:
        NotFoundError: it is no run.
        RunInUseError: another process is writing it.
        ModelFileError: the state is missing, corrupt or of another run.
        UsageError: settings differ, and `override` is false.
        RecipeError: an override is invalid.
        DataError: the pictures are missing or bad.
    """
    world = world or World()
    run = open_run(path) if world.is_first else None
    try:
        return _resume(path, run, request, world, override=override)
    except BaseException:
        if run is not None:
            run.release()  # what went wrong is not the run's
        raise


def _resume(
    path: Path, run: Run | None, request: Request, world: World, *, override: bool
) -> Session:
    saved = world.of_first(None if run is None else _read(run))
    assert saved is not None
    before: dict[str, Any] = saved.session["settings"]
    chosen, description = _recorded(saved, request)
    precision = _precision(chosen, before, request, world)
    devices.use_threads(request.threads or before["threads"])
    # Devices and processors of the others may differ.
    known = world.of_first(settings_without_pictures(chosen, precision, world))
    found = differences(before, {**before, **known})
    _check_differences(found, path, before, override=override)  # before anything is decoded
    check_applies(chosen.augment, description.arguments.in_channels)
    opened = _open_data(path, chosen, description, before, request, world)
    check_pictures(chosen.train, opened)
    description = description.model_copy(update={"training": trained_by(before["recipe"], chosen)})
    network = modelfile.build(description)
    learner = make_learner(network, chosen, description, opened, precision, world)
    prepared = Prepared(
        name=before["model"],
        recipe_name=before["recipe"],
        recipe=chosen,
        data=opened,
        learner=learner,
        description=description,
        notes=[*opened.notes],
    )
    settings = {**before, **settings_of(prepared), "run": str(path), "launcher": launcher()}
    if request.data is not None:
        settings["data"] = os.path.abspath(request.data.expanduser())
    if request.max_steps is not None:
        settings["max_steps"] = request.max_steps
    settings = world.of_first(settings)
    found = differences(before, settings)
    _check_differences(found, path, before, override=override)
    same_optimizer = not any(f.startswith(("train.optimizer", "train.momentum")) for f in found)
    checkpoint.restore(learner, saved, keep_optimizer=same_optimizer)
    session = _session(prepared, run, settings, saved)
    _check_epochs(session, before)
    if any(difference.startswith(_OF_STEPS) for difference in found):
        if learner.position.step > 0:
            prepared.notes.append(
                "the epoch that was begun is trained from its start: its steps differ"
            )
        learner.restart_epoch(len(prepared.batches))
    _go_on(session, found)
    return session


def _go_on(session: Session, found: list[str]) -> None:
    """Writes that the run goes on, with what was accepted; one that is over stays as it is.

    Raises:
        UsageError: it is over, and other settings would never be used.
    """
    learner, run, notes = session.learner, session.run, session.prepared.notes
    steps = total_steps(learner, session.prepared.batches, session.max_steps)
    status = None if run is None else run.recorded("status")
    if is_over(learner, steps) and learner.world.of_first(status) == "finished":
        longer = f"{session.resume_command} {_longer(session)}"
        if found:
            raise UsageError(
                f"{session.path} is finished, so nothing would be trained with other settings:\n  "
                + "\n  ".join(found),
                hint=f"{longer} trains longer; it may go with --override.",
            )
        session.is_finished = True
        notes.append(f"{session.path} was finished already; {longer} trains longer")
        return
    steps_an_epoch = len(session.prepared.batches)
    cut = 0 if learner.position.step else learner.position.done % steps_an_epoch
    if cut:
        notes.append(
            f"--max-steps ended epoch {learner.position.epoch - 1} after {cut} of {steps_an_epoch} "
            "steps; the next epoch begins"
        )
    notes.extend(f"overridden: {difference}" for difference in found)
    if run is not None:
        run.go_on(session.settings, **({"overridden": found} if found else {}))
        session.write_models()
    if found:
        session.override(found)


def _longer(session: Session) -> str:
    """What makes a training that is over go on."""
    config = session.learner.config
    if session.learner.stopping.is_over(config):
        return f"--patience {2 * config.patience} --override"
    if session.learner.position.epoch <= config.epochs and session.max_steps:
        return f"--max-steps {2 * session.max_steps}"
    return f"--epochs {2 * config.epochs}"


def _check_differences(
    found: list[str], path: Path, before: dict[str, Any], *, override: bool
) -> None:
    """Refuses what can't change, and what may only with --override.

    Raises:
        UsageError: with the differences listed.
    """
    if kept := [difference for difference in found if difference.startswith(_KEPT)]:
        raise UsageError(
            f"{path} keeps its pictures, their split and their preprocessing:\n  "
            + "\n  ".join(kept),
            hint=f"Another run can start from its weights: zoo train {before['model']} --weights "
            f"{shlex.quote(str(path))}",
        )
    if found and not override:
        raise UsageError(
            f"{path} was started with other settings:\n  " + "\n  ".join(found),
            hint="Leave them out, or accept them with --override: the run then ends with other "
            "weights than it would have.",
        )


def _read(run: Run) -> Checkpoint:
    """The run's own state.

    Raises:
        ModelFileError: it, or the model of the best epoch, is missing, corrupt or of another run.
    """
    try:
        saved = checkpoint.read(run.state)
        if saved.session.get("settings", {}).get("id") != run.recorded("id"):
            raise ModelFileError(
                f"{run.state} is the state of another run than {run.path / 'run.json'}."
            )
        _check_best(run.best, saved)
    except ModelFileError as error:
        kept = shlex.quote(str(run.last))
        error.hint = (
            "The run can't go on, but another can start from its latest weights: "
            f"zoo train ARCHITECTURE --weights {kept}"
            if run.last.is_file()
            else "Train anew; --force replaces a run."
        )
        raise
    return saved


def _check_best(path: Path, saved: Checkpoint) -> None:
    """Nothing but its own file holds the best epoch's weights, unless it is the latest one."""
    best, done = saved.session["best"], saved.session["epochs"]
    latest = done[-1]["epoch"] if done else None
    if best is None or (best["epoch"] == latest and saved.is_between_epochs):
        return
    if not path.is_file():
        raise ModelFileError(f"There is no {path}, the weights of epoch {best['epoch']}.")
    if read_description(path).metrics.get("epoch") != best["epoch"]:
        raise ModelFileError(f"{path} does not hold the weights of epoch {best['epoch']}.")


def _recorded(saved: Checkpoint, request: Request) -> tuple[Recipe, Description]:
    """The run's recipe with what the user sets, and its model's description."""
    try:
        description = Description.model_validate(saved.session["description"])
        kept = recipe.from_json(saved.session["settings"]["resolved_recipe"], str(saved.path))
    except (ValidationError, KeyError) as error:
        raise ModelFileError(f"{saved.path} does not say what was trained: {error}.") from error
    chosen = kept if request.recipe is None else recipe.load_recipe(request.recipe)
    return recipe.override(chosen, request.overrides), description


def _precision(chosen: Recipe, before: dict[str, Any], request: Request, world: World) -> Precision:
    """As it was, unless another device or precision is asked for."""
    device = before["device"] if request.device == "auto" and world.size == 1 else request.device
    found = choose_precision(chosen.train, device, world)
    recorded = before["resolved_recipe"]["train"]
    same = (chosen.train.precision, chosen.train.deterministic) == (
        recorded["precision"],
        recorded["deterministic"],
    )
    if same and found.device.type == before["device"].partition(":")[0]:
        return replace(found, name=before["precision"])
    return found


def _open_data(
    path: Path,
    chosen: Recipe,
    description: Description,
    before: dict[str, Any],
    request: Request,
    world: World,
) -> data.Data:
    split = path / "split.csv"
    recorded = world.of_first(_recorded_split(split))
    place = request.data or (Path(before["data"]) if before["data"] else None)
    access = data.Access(place, request.downloads, request.progress, recorded, bool(recorded))
    with world.one_after_another():
        opened = data.open_data(chosen.dataset, description.preprocessing, access)
    opened = opened.in_order_of(description.classes)
    if opened.classes != description.classes:
        raise DataError(f"The pictures' classes are not those that {path} was trained on.")
    return opened


def _recorded_split(path: Path) -> dict[str, str] | None:
    if not path.is_file():
        return None
    try:
        return read_csv(path)
    except DataError as error:
        error.hint = (
            f"Remove {shlex.quote(str(path))}: the split is then drawn again, and refused if it "
            "is not the same."
        )
        raise


def _session(
    prepared: Prepared, run: Run | None, settings: dict[str, Any], saved: Checkpoint
) -> Session:
    best = saved.session["best"]
    return Session(
        prepared,
        run,
        settings,
        settings["max_steps"],
        [Epoch(**row) for row in saved.session["epochs"]],
        None if best is None else Best(**best),
    )


def _check_epochs(session: Session, before: dict[str, Any]) -> None:
    """Refuses fewer epochs than were planned or are done."""
    epochs, planned = (
        session.prepared.recipe.train.epochs,
        before["resolved_recipe"]["train"]["epochs"],
    )
    position: Position = session.learner.position
    begun = position.epoch if position.step else position.epoch - 1
    if epochs < planned and epochs < begun:
        raise UsageError(
            f"{begun} epochs are done or begun, so --epochs {epochs} is too few.",
            hint=f"--epochs {max(planned, begun)} or more.",
        )


def left_by_restart(output: Path | None) -> Path | None:
    """The run of this same torchrun, before it restarted its processes; None where there is none.

    Args:
        output: `--output`; None looks through `runs`.
    """
    if not is_launched():
        return None
    places = [output] if output is not None else sorted(Path("runs").glob("*"))
    for place in places:
        try:
            document = json.loads((place / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        is_open = document.get("status") != "finished" and (place / STATE).is_file()
        if is_open and document.get("launcher") == launcher():
            return place
    return None
