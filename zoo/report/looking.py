"""What a run's network and pictures show: figures, mistakes, filters, maps."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from zoo import modelfile
from zoo.data.fit import normalize
from zoo.data.fitted import Fitted
from zoo.data.gathering import Progress
from zoo.data.preview import augmented
from zoo.data.randomness import generator
from zoo.description import Description, read_description
from zoo.downloads import Downloads
from zoo.errors import (
    DataError,
    DiskError,
    ModelFileError,
    RecipeError,
    StructureError,
    UsageError,
)
from zoo.evaluation import Shown, open_split
from zoo.explain.cam import enlarged, grad_cam
from zoo.explain.drawing import heated
from zoo.explain.maps import Stage, filters_of, stages_of
from zoo.figures import Figures
from zoo.judging import Judged, Judgements
from zoo.modelfile import Source
from zoo.precision import Precision
from zoo.report.images import Picture, pixels, shrunk, strip
from zoo.runs import open_run
from zoo.schema import Augment
from zoo.summary import Summary, summarize
from zoo.wording import plural

_MISTAKES, _RIGHT, _TRAINING = 24, 12, 8  # how many are shown
_MISTAKE_PX, _PICTURE_PX = 128, 96
_FILTERS, _FILTER_PX = 64, 44
_MAPS, _MAP_PX = 8, 68
_AT_ONCE = 8  # pictures whose gradients are held
_REASONS = (UsageError, DataError, RecipeError, ModelFileError, DiskError)


@dataclass(frozen=True)
class Access:
    """Where and how to compute, and how pictures are reached."""

    arithmetic: Precision
    data: Path | None = None
    """`--data`, the first place to look."""
    downloads: Downloads | None = None
    progress: Progress = lambda _done, _total: None
    say: Callable[[str], None] = lambda _line: None
    """Called with what is done next, where it takes a while."""


@dataclass(frozen=True)
class Shot:
    """One picture, what it was taken for, and what spoke for that."""

    judged: Judged
    picture: Picture
    heat: Picture | None
    """None where the network has no class-activation maps, and of right answers."""


@dataclass(frozen=True)
class StageShot:
    """Feature maps of one resolution."""

    layer: str
    shape: tuple[int, int, int]
    shown: int
    picture: Picture


@dataclass(frozen=True)
class Pictures:
    """What the network makes of the pictures it is judged by."""

    split: str
    figures: Figures
    notes: tuple[str, ...]
    mistakes: tuple[Shot, ...]
    total_mistakes: int
    right: tuple[Shot, ...]
    """The surest, but few of each class: the surest of all are often of a single one."""
    right_per_class: int
    cam: str
    """The stage of the class-activation maps, or why there are none."""
    has_cam: bool
    training: tuple[tuple[str, Picture, Picture], ...]
    """The class, a picture as it is and as training would see it."""
    augments: bool
    seen: Picture
    """The picture of the stages."""
    stages: tuple[StageShot, ...]


@dataclass(frozen=True)
class Network:
    """What the model file says and holds."""

    description: Description
    summary: Summary
    filters: Picture | None
    filters_layer: str
    filters_shown: str


@dataclass(frozen=True)
class Look:
    """All that needs weights or pictures; what could not be had is None, with the reason."""

    network: Network | None
    network_problem: str
    pictures: Pictures | None
    pictures_problem: str


def look(run: Path, access: Access) -> Look:
    """What a run's best weights and its pictures show.

    A network or pictures that are gone are no error: the rest is worth a page.
    """
    try:
        path = modelfile.locate(str(run))
        source = Source(str(run), path, read_description(path))
        weights = modelfile.load_network(path, source.description)
        found = _network(weights, source.description)
    except _REASONS as error:
        return Look(None, _no_weights(run) or error.message, None, "")
    try:
        shown = open_split(
            source,
            data_directory=access.data,
            downloads=access.downloads,
            progress=access.progress,
            needs_train=True,
        )
        access.say(f"judging {plural(len(shown.pictures), f'{shown.split} picture')}")
        return Look(found, "", _pictures(weights, shown, access.arithmetic), "")
    except _REASONS as error:
        # Other hints are for other commands.
        hint = f" {error.hint}" if "--data" in error.hint else ""
        return Look(found, "", None, f"{error.message}{hint}")


def _no_weights(run: Path) -> str:
    """A sentence where there is no best model at all."""
    best = run / "best.safetensors"
    if best.is_file():
        return ""
    epochs = open_run(str(run)).finished_epochs
    return f"There is no {best}: " + (
        f"{plural(epochs, 'epoch')} ended, but it was removed or is not written yet."
        if epochs
        else "no epoch was finished."
    )


def _network(network: nn.Module, description: Description) -> Network:
    # The network itself and not its outline: computing without weights imports sympy, for seconds.
    summary = summarize(network, description.input_shape)
    filters = filters_of(network, description.input_shape)
    if filters is None:
        return Network(description, summary, None, "", "")
    weights = filters.weights.float()  # (filters, channels, height, width)
    count, channels = weights.shape[:2]
    grids = weights.permute(0, 2, 3, 1) if channels == 3 else weights.mean(dim=1)
    shown = min(count, _FILTERS)
    alt = f"{shown} filters of {filters.layer}, dark where a weight is small, bright where large"
    picture = strip(list(grids[:shown]), alt, side_px=_FILTER_PX, columns=8)
    told = f"{count}" if shown == count else f"{shown} of {count}"
    return Network(description, summary, picture, filters.layer, told)


def _pictures(network: nn.Module, shown: Shown, arithmetic: Precision) -> Pictures:
    judgements = Judgements()
    figures = shown.figures(network, arithmetic, judgements)
    names, classes = shown.pictures.names, shown.pictures.classes
    ranking = judgements.ranking()
    wrong = ranking.mistakes[:_MISTAKES]
    right, right_per_class = varied(ranking.right, shown.pictures.targets)
    mistakes = judgements.of(wrong, names, classes)
    heats, cam, has_cam = _heats(network, shown, wrong, mistakes, arithmetic)
    chosen = right[:1] if len(right) else torch.tensor([0])
    image = _at(shown.pictures, chosen)  # (1, C, H, W)
    inputs = normalize(image.to(arithmetic.device), shown.preprocessing)
    with torch.inference_mode():
        stages = stages_of(network, inputs, count=_MAPS)
    name = names[int(chosen[0])]
    return Pictures(
        split=shown.split,
        figures=figures,
        notes=shown.notes,
        mistakes=_shots(shown.pictures, wrong, mistakes, _MISTAKE_PX, heats),
        total_mistakes=len(ranking.mistakes),
        right=_shots(
            shown.pictures, right, judgements.of(right, names, classes), _PICTURE_PX, None
        ),
        right_per_class=right_per_class,
        cam=cam,
        has_cam=has_cam,
        training=_training(shown),
        augments=shown.settings.augment != Augment(),
        seen=pixels(image[0], f"The picture {name} as the network sees it", _PICTURE_PX),
        stages=tuple(_stage(stage) for stage in stages),
    )


def varied(ranked: Tensor, targets: Tensor) -> tuple[Tensor, int]:
    """The first of each class, and how many of each at most.

    Args:
        ranked: (N,), pictures, the surest first.
        targets: each picture's class.
    """
    labels = targets[ranked].tolist()
    each = math.ceil(_RIGHT / max(1, len(set(labels))))
    seen = Counter[int]()
    places = []
    for place, label in enumerate(labels):
        if seen[label] < each:
            seen[label] += 1
            places.append(place)
    return ranked[torch.tensor(places[:_RIGHT], dtype=torch.int64)], each


def _at(pictures: Fitted, indices: Tensor) -> Tensor:
    """Some pictures, (N, C, H, W), uint8, on the processor."""
    return torch.cat(list(pictures.batches([indices])))


def _heats(
    network: nn.Module,
    shown: Shown,
    indices: Tensor,
    judged: Sequence[Judged],
    arithmetic: Precision,
) -> tuple[list[Picture] | None, str, bool]:
    """What speaks for each wrong answer, the layer that says so or why none does, and whether."""
    size = shown.preprocessing.size
    heats: list[Picture] = []
    layer = ""
    try:
        for start in range(0, max(len(indices), 1), _AT_ONCE):
            # Without a mistake one picture tells whether the network has such maps.
            part = indices[start : start + _AT_ONCE] if len(indices) else torch.tensor([0])
            images = _at(shown.pictures, part)
            inputs = normalize(images.to(arithmetic.device), shown.preprocessing)
            found = grad_cam(network, inputs.to(memory_format=arithmetic.memory_format))
            layer = found.layer
            shares = enlarged(found.maps.cpu(), size)
            for image, share, one in zip(images, shares, judged[start:], strict=False):
                alt = f"What speaks for {one.predicted} in {one.path}"
                heats.append(shrunk(heated(image, share), alt, _PICTURE_PX))
    except StructureError as error:
        return None, error.message, False
    return heats, layer, True


def _shots(
    pictures: Fitted,
    indices: Tensor,
    judged: Sequence[Judged],
    side_px: int,
    heats: Sequence[Picture] | None,
) -> tuple[Shot, ...]:
    if not len(indices):
        return ()
    images = _at(pictures, indices)
    return tuple(
        Shot(
            one,
            pixels(image, f"{one.path}, which is {one.label}", side_px),
            heats[index] if heats is not None else None,
        )
        for index, (image, one) in enumerate(zip(images, judged, strict=True))
    )


def _training(shown: Shown) -> tuple[tuple[str, Picture, Picture], ...]:
    """Training pictures, of as many classes as possible, beside augmented versions of them."""
    pictures, seed = shown.training, shown.settings.train.seed
    if not len(pictures):
        return ()
    order = torch.randperm(len(pictures), generator=generator(seed, 0, 0, "preview")).tolist()
    labels = pictures.targets.tolist()
    first: dict[int, int] = {}
    for index in order:
        first.setdefault(labels[index], index)
    others = [index for index in order[:_TRAINING] if index not in first.values()]
    indices = torch.tensor([*(first[label] for label in sorted(first)), *others][:_TRAINING])
    images = _at(pictures, indices)
    targets = pictures.targets[indices]
    changed = augmented(
        images.float(),
        targets,
        shown.settings.augment,
        num_classes=len(pictures.classes),
        seed=seed,
        version=0,
    )
    rows = zip(targets.tolist(), images, changed.round().clamp(0, 255).byte(), strict=True)
    return tuple(
        (
            pictures.classes[label],
            pixels(image, f"A training picture of {pictures.classes[label]}", _PICTURE_PX),
            pixels(version, "The same picture, augmented", _PICTURE_PX),
        )
        for label, image, version in rows
    )


def _stage(stage: Stage) -> StageShot:
    shown = len(stage.maps)
    alt = f"{shown} feature maps of {stage.layer}"
    picture = strip(list(stage.maps), alt, side_px=_MAP_PX, columns=_MAPS)
    return StageShot(stage.layer, stage.shape, shown, picture)
