"""From MODEL, arguments, edits and weights to a model file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from zoo import modelfile
from zoo.description import RANDOM_NOTE, Description, describe, for_size
from zoo.downloads import NO_DOWNLOADS, Downloads
from zoo.errors import UsageError
from zoo.files import check_output_file
from zoo.input_sizes import check_takes
from zoo.modelfile import Source
from zoo.pretrained import find_donor
from zoo.summary import Summary, summarize
from zoo.surgery import Edit, NoTop
from zoo.weights import Donor, transplant


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
    weights: str | Path | None = None,
    downloads: Downloads | None = None,
    edits: Sequence[Edit] = (),
    no_top: bool = False,
    seed: int | None = None,
    force: bool = False,
) -> Built:
    """Writes MODEL with these arguments, edits and weights.

    Args:
        model: an architecture or a model file.
        output: the model file to write.
        num_classes: of the network; where the weights tell others apart, the head starts fresh.
        in_channels: of the network.
        input_size: of the network; left out, published weights decide.
        weights: a file, or the name of published weights.
        downloads: fetches published weights; None fetches nothing.
        edits: applied before the weights come.
        no_top: take off, after the weights came, what tells classes apart.
        seed: draws weights that start fresh.
        force: replaces an existing output.

    Raises:
        NotFoundError: MODEL is nothing.
        OutputExistsError: the output exists and `force` is false.
        UsageError: a seed that draws nothing, or there are no such weights.
        StructureError: an edit or the input size does not fit, or there is no top to take off.
        DataError: published weights can't be fetched.
        ModelFileError: a file is refused, or a tensor does not fit.
        DiskError: the output can't be written.
    """
    check_output_file(output, force=force)
    source = modelfile.resolve(
        model, num_classes=num_classes, in_channels=in_channels, input_size=input_size
    )
    if no_top:
        without_top(source.description, num_classes)  # refused before anything is built
    donor = None
    if weights is not None:
        donor = find_donor(weights, source.card, downloads or NO_DOWNLOADS)
        if source.path is None:
            described = _as_published(source, donor, num_classes, input_size)
            source = replace(source, description=described)
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
    if donor is not None:
        # Only where other classes were asked for, or the head is taken off, does it start fresh.
        keeps_head = num_classes in (None, len(donor.classes)) and not no_top
        grown = transplant(network, donor, description, None if keeps_head else ())
        notes += grown.left_behind if no_top else (*grown.notes, *grown.left_behind)
        description = description.model_copy(update={"origin": donor.origin})
        if donor.description is not None:
            description, inherited = _inheriting(description, donor.description, grown.fresh)
            notes += inherited
        else:
            notes.append(
                "the weights name no mean and std: until a recipe does, pictures are scaled to "
                "[0, 1] and no more"
            )
    made = source.description if donor is None else donor.description
    if made is not None and made.is_random:
        notes.append(RANDOM_NOTE)
    if no_top:
        network, description = NoTop().apply(network, shape), without_top(description)
        before, after = after, summarize(network, shape, name=source.name)
    modelfile.save(output, network, description)
    return Built(output, description, before, after, tuple(notes))


def without_top(description: Description, num_classes: int | None = None) -> Description:
    """The description of a network whose top is taken off.

    Raises:
        UsageError: classes are asked for, or it has no top.
    """
    if num_classes is not None:
        raise UsageError("--num-classes does not apply: --no-top takes the classes off.")
    if description.arguments.tells_no_classes:
        raise UsageError("--no-top does not apply: the network was imported without a top.")
    if description.is_headless:
        raise UsageError("--no-top does not apply: the network's top was taken off already.")
    bare = description.model_copy(update={"classes": (), "metrics": {}, "untrained": ()})
    return modelfile.with_edits(bare, [NoTop()])


def _as_published(
    source: Source,
    donor: Donor,
    num_classes: int | None,
    input_size: tuple[int, int] | None,
) -> Description:
    """An architecture with as many classes and pixels as published weights are for."""
    made = donor.description
    if made is None or made.published is None:
        return source.description
    arguments = made.arguments
    return describe(
        source.card,
        num_classes or arguments.num_classes,
        source.description.arguments.in_channels,
        input_size or arguments.input_size,
    )


def _inheriting(
    description: Description, donor: Description, fresh: tuple[str, ...]
) -> tuple[Description, list[str]]:
    """What a model file knows besides its tensors goes along with them; and notes that say so."""
    size = description.arguments.input_size
    known: dict[str, object] = {
        "preprocessing": for_size(donor.preprocessing, size),
        "published": donor.published,
        "untrained": fresh or donor.untrained,
    }
    if fresh:
        return description.model_copy(update=known), ["preprocessing comes with the weights"]
    known |= {"classes": donor.classes, "training": donor.training, "metrics": donor.metrics}
    brought = "classes and preprocessing"
    if donor.training is not None:
        brought = "classes, preprocessing and recipe"
    notes = [f"{brought} come with the weights"]
    structures = [(one.architecture, one.structure) for one in (donor, description)]
    if structures[0] != structures[1]:
        notes.append("the weights were made by a network of another structure")
        known["metrics"] = {}
    return description.model_copy(update=known), notes
