"""What a model file says besides its tensors. Imports no torch."""

from pathlib import Path
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from zoo import __version__, catalog, tensorfile
from zoo.catalog import Architecture
from zoo.errors import ModelFileError, UsageError
from zoo.layer_specs import LayerSpecs, Rescaling, check_chain
from zoo.schema import Preprocess, Preprocessing
from zoo.values import LUMA, Side

FORMAT_VERSION = 1
RANDOM = "random weights"
RANDOM_NOTE = "the weights are random: nothing is trained yet"
_OF_THE_HEAD = ("no-top", "pop", "head")
"""Edits that take the head off or put one on; the last one decides."""


class Arguments(BaseModel):
    """What an architecture's builder is called with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_classes: int = Field(ge=1, le=1_000_000)
    in_channels: int = Field(ge=1, le=4096)
    input_size: tuple[Side, Side]
    """Height and width in pixels."""
    auxiliary: bool = True
    """Whether the auxiliary classifiers are there, in a network that can have them."""
    layers: LayerSpecs | None = None
    """Of a network that was imported; every other architecture has them in its code."""

    @property
    def scales_itself(self) -> bool:
        """Whether the network takes values of 0 to 255, which its first layer scales."""
        return self.layers is not None and isinstance(self.layers[0], Rescaling)

    @property
    def tells_no_classes(self) -> bool:
        """Whether its own layers give maps or a single number, and no logits."""
        if self.layers is None:
            return False
        output = check_chain(self.layers, (self.in_channels, *self.input_size))
        return len(output) > 1 or self.num_classes < 2

    @model_validator(mode="after")
    def _layers_fit(self) -> Self:
        if self.layers is not None:
            check_chain(self.layers, (self.in_channels, *self.input_size))
        return self

    @model_serializer(mode="wrap")
    def _without_layers(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What a builder is called with: `layers` only where there are some."""
        found: dict[str, Any] = handler(self)
        if self.layers is None:
            found.pop("layers", None)
        return found


class Training(BaseModel):
    """How the weights came about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    """Name of the recipe."""
    recipe_hash: str
    content: dict[str, Any]
    """The recipe itself, so that `evaluate` needs nothing else."""


class Publication(BaseModel):
    """Published weights that the first ones are, and the terms they came under."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    library: str
    """Whose weights: `torchvision` or `timm`."""
    network: str
    """The library's name of it."""
    weights: str
    """Their name, such as `imagenet1k-v2`."""
    licence: str
    """As the library states it."""


class Description(BaseModel):
    """Everything a model file says besides its tensors."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: int = FORMAT_VERSION
    architecture: str
    arguments: Arguments
    origin: str = RANDOM
    """Where the first weights came from."""
    published: Publication | None = None
    """What these are, if they were published."""
    untrained: tuple[str, ...] = ()
    """Layers of the head that started fresh above other weights, and have learned nothing yet."""
    edits: tuple[dict[str, Any], ...] = ()
    classes: tuple[str, ...] = ()
    """Class names in the order of the logits; empty where nothing was trained."""
    preprocessing: Preprocessing
    states_scale: bool = False
    """Whether who imported the weights said how pictures are scaled, or their first layer does."""
    training: Training | None = None
    metrics: dict[str, float | int | None] = {}
    versions: dict[str, str] = {}

    @model_validator(mode="after")
    def _preprocessing_feeds_the_network(self) -> Self:
        prepared = self.preprocessing
        if (prepared.channels, prepared.size) != (
            self.arguments.in_channels,
            self.arguments.input_size,
        ):
            raise ValueError("preprocessing makes other pictures than the network takes")
        return self

    @property
    def is_trained(self) -> bool:
        """Whether its weights were learned, here or where they came from."""
        return self.training is not None or (self.origin != RANDOM and not self.untrained)

    @property
    def is_random(self) -> bool:
        """Whether no part of it has learned anything, here or where it came from."""
        return self.training is None and self.origin == RANDOM

    @property
    def knows_scale(self) -> bool:
        """Whether its mean and std are those that its weights have learned with."""
        return self.training is not None or self.published is not None or self.states_scale

    @property
    def is_headless(self) -> bool:
        """Whether it gives features and names no class: its top was taken off, or it had none."""
        heads = [edit["edit"] for edit in self.edits if edit.get("edit") in _OF_THE_HEAD]
        return heads[-1] != "head" if heads else self.arguments.tells_no_classes

    @property
    def num_classes(self) -> int:
        """Length of the output, edits included; of a network without a head, that of its last."""
        heads = [edit["num_classes"] for edit in self.edits if edit.get("edit") == "head"]
        return int(heads[-1]) if heads else self.arguments.num_classes

    @property
    def sparse_tensors(self) -> tuple[str, ...]:
        """Parameters whose zeros stay zero."""
        pruned = [edit["tensors"] for edit in self.edits if edit.get("edit") == "sparsity"]
        return tuple(dict.fromkeys(name for tensors in pruned for name in tensors))

    @property
    def freezes(self) -> bool:
        """Whether layers were frozen in it."""
        return self.unfrozen.edits != self.edits

    @property
    def unfrozen(self) -> Self:
        """The same network with nothing frozen."""
        structure = tuple(edit for edit in self.edits if edit.get("edit") != "freeze")
        return self.model_copy(update={"edits": structure})

    @property
    def structure(self) -> tuple[dict[str, Any], ...]:
        """Edits after which tensors fit no unchanged network, or compute something else.

        What is frozen or sparse is the same network; so is one whose head was replaced by one of
        its kind for other classes.
        """
        return tuple(edit for edit in self.edits if not _keeps_structure(edit))

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height, width of the network's input."""
        return (self.arguments.in_channels, *self.arguments.input_size)

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of the network before they use it."""
        smallest = catalog.find(self.architecture).auxiliary_from
        if smallest is None or self.arguments.auxiliary:
            return ()
        height, width = self.arguments.input_size
        return (
            f"{self.architecture} goes without its auxiliary classifiers: they need pictures of at "
            f"least {smallest}×{smallest}, not {height}×{width}",
        )

    @property
    def all_notes(self) -> tuple[str, ...]:
        """The same, and whether its weights are worth anything."""
        return (*self.notes, RANDOM_NOTE) if self.is_random else self.notes

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the outputs; the indices where none are known."""
        return self.classes or tuple(str(index) for index in range(self.num_classes))


def _keeps_structure(edit: dict[str, Any]) -> bool:
    replaces_head = edit["edit"] == "head" and bool(edit.get("layers"))
    return replaces_head or edit["edit"] in ("freeze", "sparsity")


def describe(
    card: Architecture | str,
    num_classes: int | None = None,
    in_channels: int | None = None,
    input_size: tuple[int, int] | None = None,
    preprocess: Preprocess | None = None,
) -> Description:
    """A fresh network's description; what is not given the recipe decides, then the card.

    Args:
        card: or its name, such as `lenet5`.
        num_classes: length of the output.
        in_channels: channels of the pictures.
        input_size: height and width in pixels.
        preprocess: a recipe's wishes.

    Raises:
        NotFoundError: no architecture has that name.
        UsageError: mean or std have another number of channels than the network.
    """
    card = catalog.find(card) if isinstance(card, str) else card
    preprocess = preprocess or Preprocess()
    size = input_size or preprocess.size or card.input_shape[1:]
    arguments = Arguments(
        num_classes=num_classes or card.num_classes,
        in_channels=in_channels or preprocess.channels or card.input_shape[0],
        input_size=size,
        auxiliary=card.auxiliary_from is None or min(size) >= card.auxiliary_from,
    )
    return Description(
        architecture=card.name,
        arguments=arguments,
        preprocessing=decide_preprocessing(card, arguments, preprocess),
    )


def decide_preprocessing(
    card: Architecture, arguments: Arguments, preprocess: Preprocess
) -> Preprocessing:
    """A recipe's preprocessing with the card's answers where it is silent.

    A mean or std that is to be measured stays 0 or 1 until the pictures are there.

    Raises:
        UsageError: mean or std have another number of channels than the network.
    """
    channels = arguments.in_channels
    height, width = arguments.input_size
    fit = preprocess.fit or ("pad" if card.content_px else "resize")
    content = (height, width)
    if fit == "pad" and card.content_px:
        # In the card's proportion: LeNet-5 keeps 28 of 32 pixels, so 56 of 64.
        content = (
            round(height * card.content_px / card.input_shape[1]),
            round(width * card.content_px / card.input_shape[2]),
        )
    return Preprocessing(
        channels=channels,
        size=(height, width),
        content=content,
        mean=_per_channel("mean", preprocess.mean, channels, unmeasured=0.0),
        std=_per_channel("std", preprocess.std, channels, unmeasured=1.0),
        rescale=preprocess.rescale or (1.0 if arguments.scales_itself else 1 / 255),
        samplewise_center=preprocess.samplewise_center,
        samplewise_std_normalization=preprocess.samplewise_std_normalization,
        interpolation=preprocess.interpolation,
        fit=fit,
    )


def for_size(preprocessing: Preprocessing, size: tuple[int, int]) -> Preprocessing:
    """The same for a network that takes pictures of another height and width."""
    content = tuple(
        round(side * kept / before)
        for side, kept, before in zip(size, preprocessing.content, preprocessing.size, strict=True)
    )
    return preprocessing.model_copy(update={"size": size, "content": content})


def _per_channel(
    name: str, values: tuple[float, ...] | str, channels: int, *, unmeasured: float
) -> tuple[float, ...]:
    if isinstance(values, str):
        return (unmeasured,) * channels
    if (len(values), channels) == (3, 1):
        # The picture itself is turned gray by these weights. For a mean that is exact, for a std
        # as near as red, green and blue vary together.
        return (sum(w * value for w, value in zip(LUMA, values, strict=True)),)
    if len(values) not in (1, channels):
        raise UsageError(
            f"preprocess.{name} has {len(values)} values, but the network {channels} channels."
        )
    return values * (channels if len(values) == 1 else 1)


def read_description(path: Path, *, verified: bool = True) -> Description:
    """What a model file says besides its tensors; imports no torch.

    Args:
        path: the file.
        verified: hold the digest too, which reads the whole file.

    Raises:
        ModelFileError: the file is refused or corrupt.
        DiskError: it can't be read.
    """
    header = tensorfile.read_header(path)
    if header.document is None:
        raise ModelFileError(
            f"{path} is a safetensors file of another program: it does not say which network "
            "its tensors belong to.",
            hint=f"zoo build ARCHITECTURE --weights {path} -o FILE",
        )
    if header.document.get("format") == FORMAT_VERSION and verified:
        tensorfile.verify(path, header)
    return from_document(header.document, path)


def from_document(document: object, path: Path) -> Description:
    """What a file's document describes.

    Raises:
        ModelFileError: it is none that this version reads.
    """
    version = document.get("format") if isinstance(document, dict) else None
    if version != FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format {version}; this zoo {__version__} reads format {FORMAT_VERSION}."
        )
    try:
        description = Description.model_validate(document)
    except ValidationError as error:
        raise ModelFileError(f"{path} is no model file: {problem_of(error)}.") from error
    card = catalog.lookup(description.architecture)
    if card is None:
        raise ModelFileError(
            f"{path} holds a {description.architecture}, which this zoo {__version__} lacks."
        )
    if card.is_imported != (description.arguments.layers is not None):
        raise ModelFileError(f"{path} is no model file: no {card.name} has such layers.")
    return description


def problem_of(error: ValidationError) -> str:
    """The first thing that is wrong with a document, and where in it."""
    problem = error.errors()[0]
    place = ".".join(str(part) for part in problem["loc"])
    reason = problem["msg"].removeprefix("Value error, ")
    return f"{place}: {reason}" if place else reason
