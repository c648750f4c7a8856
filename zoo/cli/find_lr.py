"""`zoo train --find-lr`: a learning-rate range test."""

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.cli.app import OUTPUT
from zoo.cli.output import Result
from zoo.errors import UsageError
from zoo.files import check_output_file

if TYPE_CHECKING:
    from zoo.training.distributed import World
    from zoo.training.preparation import Request

_UNUSED = {
    f"train.{key}"
    for key in (
        "lr", "epochs", "schedule", "warmup_epochs", "min_lr", "step_epochs", "milestones", "gamma",
        "plateau_patience", "patience", "stop_metric", "min_delta", "ema_decay",
        "checkpoint_every", "tensorboard",
    )
}  # fmt: skip
"""What a range test has no use for."""


def rate_found(request: "Request", world: "World") -> Result:
    """Runs the test, draws its curve, and says what it suggests."""
    from dataclasses import asdict

    from zoo import devices
    from zoo.plotting import check_can_draw
    from zoo.training.preparation import assemble
    from zoo.training.rate_finder import draw, find_rate

    if world.size > 1:
        raise UsageError("--find-lr runs in one process.", hint="Leave torchrun out.")
    keys = [assignment.partition("=")[0] for assignment in request.overrides]
    if unused := [key for key in keys if key in _UNUSED]:
        raise UsageError(f"{' and '.join(unused)} can't go with --find-lr.")
    check_can_draw()
    if request.output is not None:
        check_output_file(request.output, force=request.force, suffix=".png")
    prepared, _ = assemble(request, world)
    output = request.output or Path(f"{prepared.label}-lr.png")
    check_output_file(output, force=request.force, suffix=".png")
    for note in prepared.notes:
        OUTPUT.note(note)
    with devices.algorithms(deterministic=prepared.recipe.train.deterministic):
        found = find_rate(prepared)
    draw(found, output)
    document = {**asdict(found), "output": str(output)}
    if found.suggestion is None:
        text = f"no rate is suggested: the loss never fell\ncurve: {output}"
    else:
        text = f"suggested: --lr {found.suggestion:g}\ncurve: {output}"
    return Result(document, text)
