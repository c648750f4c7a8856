"""`zoo train --find-lr`: a learning-rate range test."""

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.cli.app import OUTPUT
from zoo.cli.output import Result
from zoo.files import check_output_file

if TYPE_CHECKING:
    from zoo.training.distributed import World
    from zoo.training.preparation import Request


def rate_found(request: "Request", world: "World") -> Result:
    """Runs the test, draws its curve, and says what it suggests."""
    from dataclasses import asdict

    from zoo.training.preparation import assemble
    from zoo.training.rate_finder import check_can_draw, draw, find_rate

    check_can_draw()
    if request.output is not None:
        check_output_file(request.output, force=request.force)
    prepared, _ = assemble(request, world)
    output = request.output or Path(f"{prepared.name}-{prepared.recipe_name}-lr.png")
    check_output_file(output, force=request.force)
    for note in prepared.notes:
        OUTPUT.note(note)
    found = find_rate(prepared)
    draw(found, output)
    document = {**asdict(found), "output": str(output)}
    if found.suggestion is None:
        text = f"no rate is suggested: the loss never fell\ncurve: {output}"
    else:
        text = f"suggested: --lr {found.suggestion:g}\ncurve: {output}"
    return Result(document, text)
