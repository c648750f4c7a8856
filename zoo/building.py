"""From MODEL, arguments, edits and weights to a model file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo import modelfile
from zoo.description import Description
from zoo.errors import UsageError
from zoo.files import check_output_file
from zoo.input_sizes import check_takes
from zoo.summary import Summary, summarize
from zoo.surgery import Edit
from zoo.weights import load_weights


@dataclass(frozen=True)
class Built:
    """A model file that was written."""

    path: Path
    description: Description
    before: Summary
    """Without the edits that were asked for."""
    after: Summary
    notes: tuple[str, ...]


def build_file(
    model: str,
    output: Path,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    input_size: tuple[int, int] | None = None,
    weights: Path | None = None,
    edits: Sequence[Edit] = (),
    seed: int | None = None,
    force: bool = False,
) -> Built:
    """Writes MODEL with these arguments, edits and weights.

    Raises:
        NotFoundError: MODEL is nothing.
        OutputExistsError: the output exists and `force` is false.
        UsageError: a seed that draws nothing.
        StructureError: an edit or the input size does not fit.
        ModelFileError: a file is refused, or a tensor does not fit.
        DiskError: the output can't be written.
    """
    check_output_file(output, force=force)
    source = modelfile.resolve(
        model, num_classes=num_classes, in_channels=in_channels, input_size=input_size
    )
    description = modelfile.with_edits(source.description, edits)
    if source.path is not None and seed is not None and not edits:
        raise UsageError(f"--seed does not apply: every weight of {source.name} is kept.")
    if source.path is None:
        check_takes(source.description)
    notes = list(description.notes)
    network = modelfile.instantiate(source, edits, seed=seed or 0)
    if source.path is not None and edits:
        notes.append("layers that changed start with fresh weights, all others keep theirs")
        description = description.model_copy(update={"metrics": {}})
    shape = description.input_shape
    after = summarize(network, shape, name=source.name)  # also shows that a picture can pass
    before = after
    if edits:
        before = summarize(modelfile.outline(source.description), shape, name=source.name)
    if weights is not None:
        loaded = load_weights(network, weights)
        description = description.model_copy(update={"origin": loaded.origin})
        if loaded.description is not None:
            description, inherited = _inheriting(description, loaded.description)
            notes += inherited
    elif source.path is None:
        notes.append("the weights are random: nothing is trained yet")
    modelfile.save(output, network, description)
    return Built(output, description, before, after, tuple(notes))


def _inheriting(description: Description, donor: Description) -> tuple[Description, list[str]]:
    """What a model file knows besides its tensors goes along with them; and notes that say so."""
    known: dict[str, object] = {
        "classes": donor.classes,
        "training": donor.training,
        "metrics": donor.metrics,
    }
    notes = []
    if donor.arguments == description.arguments:
        known["preprocessing"] = donor.preprocessing
        notes.append("classes, preprocessing and recipe come with the weights")
    else:
        notes.append("classes and recipe come with the weights; preprocessing is the network's own")
    if (donor.architecture, donor.edits) != (description.architecture, description.edits):
        notes.append("the weights were made by a network of another structure")
        known["metrics"] = {}
    return description.model_copy(update=known), notes
