"""A recipe's schema: every key with its type, default, unit and meaning."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from zoo.values import (
    AUTO,
    AreaShares,
    Ascending,
    PerChannel,
    PositiveAscending,
    PositivePerChannel,
    Probability,
    Range,
    Share,
    Side,
    SizePx,
    SourceName,
    ZoomRange,
    probability_alone,
    switch,
)


class Section(BaseModel):
    """A mapping of the YAML: unknown keys are errors, values are never converted silently."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        defer_build=True,  # `zoo recipes list` validates nothing and has 0.3 s
    )

    moved: ClassVar[Mapping[str, str]] = {}
    """Keys that belong elsewhere, and where."""


class Dataset(Section):
    """Which pictures, and how they are split."""

    source: SourceName = "digits"
    """Where the pictures come from: a named set, `folder`, `csv`, `idx`, or `torchvision/NAME`."""
    root: str | None = None
    """Directory that holds the set, searched after --data; left out, the usual places are."""
    validation: Share | None = None
    """Share of the training pictures, per class, that measures each epoch. Left out, it is the
    source's own validation split, or 0.1 where it has none."""
    test: Share | None = None
    """Share of all pictures, per class, that only the final evaluation sees. Left out, it is the
    source's own test split; without one, 0.2 of `digits` and `shapes`, and none of other sets."""
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    """Draws the split. It is not --seed, so that runs of several seeds share their test pictures,
    and a model trained further has never seen its own."""
    on_bad: Literal["error", "skip"] = "error"
    """What to do when pictures can't be read: list them all and stop, or name them and go on."""
    in_memory: bool | None = None
    """Whether all pictures are decoded once into memory and a cache on disk. Left out, they are
    where they fit. Otherwise worker processes decode them in each epoch."""
    workers: int | None = Field(default=None, ge=0, le=256)
    """Processes that decode pictures; left out, one per processor core."""
    split: str | None = None
    """`emnist`: balanced, byclass, bymerge, digits, letters or mnist; left out, balanced."""
    train_file: str | None = None
    """`csv`: the table of training pictures, below the root; left out, train.csv."""
    validation_file: str | None = None
    """`csv`: the table of validation pictures; left out, validation.csv where there is one."""
    test_file: str | None = None
    """`csv`: the table of test pictures; left out, test.csv where there is one."""
    path_column: str = "path"
    """`csv`: the column of paths, below the table's directory."""
    label_column: str = "label"
    """`csv`: the column of class names."""
    images: int = Field(default=2000, ge=1, le=10_000_000)
    """`shapes`: how many pictures."""
    num_classes: int = Field(default=6, ge=2, le=12)
    """`shapes`: how many figures."""
    size: Side = 32
    """`shapes`: height and width in pixels."""
    classes: tuple[str, ...] | None = Field(default=None, strict=False)
    """`idx`: names of the classes in the order of their numbers; left out, the numbers."""

    @model_validator(mode="after")
    def _options_apply(self) -> Self:
        for key in sorted(self.model_fields_set):
            sources = _APPLIES.get(key)
            if sources and self.source not in sources and getattr(self, key) != _default(self, key):
                raise ValueError(f"dataset.{key} applies to {' and '.join(sources)} only")
        if self.classes is not None and len(set(self.classes)) != len(self.classes):
            raise ValueError("dataset.classes names a class twice")
        return self

    def surplus_options(self) -> set[str]:
        """Options of other sources."""
        return {key for key, sources in _APPLIES.items() if self.source not in sources}


_APPLIES = {
    "split": ("emnist",),
    "train_file": ("csv",),
    "validation_file": ("csv",),
    "test_file": ("csv",),
    "path_column": ("csv",),
    "label_column": ("csv",),
    "images": ("shapes",),
    "num_classes": ("shapes",),
    "size": ("shapes",),
    "classes": ("idx",),
}
_LOCAL = frozenset({"root", "in_memory", "workers"})
"""What depends on the machine, and changes no picture."""


def _default(section: BaseModel, key: str) -> Any:
    return type(section).model_fields[key].get_default()


class Preprocess(Section):
    """How a picture becomes the network's input. What is left out, the network's card decides."""

    size: SizePx | None = None
    """Height and width in pixels; one number makes a square."""
    channels: Literal[1, 3] | None = None
    """1 is grayscale, 3 is RGB; pictures are converted."""
    mean: PerChannel = (0.0,)
    """Subtracted after scaling; one value is repeated per channel, and three become one for a
    network that takes gray pictures. `auto` is measured on the training split and kept in the
    model file."""
    std: PositivePerChannel = (1.0,)
    """Divided by after subtracting; one value is repeated per channel. `auto` is measured."""
    rescale: float | None = Field(default=None, gt=0)
    """What the values of 0 to 255 are multiplied by; left out, 1/255."""
    featurewise_center: bool = False
    """Keras's name for `mean: auto`."""
    featurewise_std_normalization: bool = False
    """Keras's name for `std: auto`."""
    samplewise_center: bool = False
    """Subtract each picture's own mean, before mean and std."""
    samplewise_std_normalization: bool = False
    """Divide by each picture's own standard deviation, before mean and std."""
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    """How pictures are resized; antialiased but for nearest."""
    fit: Literal["resize", "pad", "crop"] | None = None
    """resize: to the size, whatever the aspect. pad: keep the aspect, add black. crop: keep the
    aspect, cut what stands over."""

    @model_validator(mode="after")
    def _one_mean_and_one_std(self) -> Self:
        if self.featurewise_center and self.mean not in ((0.0,), AUTO):
            raise ValueError("featurewise_center measures the mean, so preprocess.mean is surplus")
        if self.featurewise_std_normalization and self.std not in ((1.0,), AUTO):
            raise ValueError(
                "featurewise_std_normalization measures the std, so preprocess.std is surplus"
            )
        return self

    @property
    def is_silent_on_scale(self) -> bool:
        """Whether nothing is said of how values are scaled."""
        plain = Preprocess()
        keys = (
            "mean", "std", "rescale", "featurewise_center", "featurewise_std_normalization",
            "samplewise_center", "samplewise_std_normalization",
        )  # fmt: skip
        return all(getattr(self, key) == getattr(plain, key) for key in keys)

    @property
    def measures_mean(self) -> bool:
        """Whether the mean is taken from the training split."""
        return self.featurewise_center or self.mean == AUTO

    @property
    def measures_std(self) -> bool:
        """Whether the standard deviation is taken from the training split."""
        return self.featurewise_std_normalization or self.std == AUTO


class RandomResizedCrop(Section):
    """A window of random area and aspect, resized to the picture's size."""

    scale: AreaShares = (0.08, 1.0)
    """Smallest and largest share of the area."""
    ratio: PositiveAscending = (3 / 4, 4 / 3)
    """Smallest and largest width over height."""


class RandAugment(Section):
    """A few operations drawn from a list, all of one strength (Cubuk et al. 2019)."""

    num_ops: int = Field(default=2, ge=1, le=10)
    """Operations one after the other."""
    magnitude: int = Field(default=9, ge=0, le=30)
    """Their strength, of 30."""


class ColorJitter(Section):
    """Random colour changes, each strength drawn per picture."""

    brightness: float = Field(default=0.0, ge=0, le=100)
    """A factor of 1 - brightness to 1 + brightness."""
    contrast: float = Field(default=0.0, ge=0, le=100)
    """A factor of 1 - contrast to 1 + contrast, about the picture's mean gray."""
    saturation: float = Field(default=0.0, ge=0, le=100)
    """A factor of 1 - saturation to 1 + saturation; RGB only."""
    hue: float = Field(default=0.0, ge=0, le=0.5)
    """Share of the colour circle, either way; RGB only."""


class GaussianBlur(Section):
    """Blur of a random width."""

    probability: Probability = 0.5
    """Share of the pictures."""
    sigma: PositiveAscending = (0.1, 2.0)
    """Smallest and largest standard deviation in pixels."""


class RandomErasing(Section):
    """A random rectangle of gray (Zhong et al. 2017)."""

    probability: Probability = 0.25
    """Share of the pictures."""
    scale: AreaShares = (0.02, 0.33)
    """Smallest and largest share of the area."""
    ratio: PositiveAscending = (0.3, 3.3)
    """Smallest and largest height over width."""
    value: float = Field(default=0.0, ge=0, le=255)
    """The gray value of 0 to 255 that fills it."""


class Augment(Section):
    """Random changes of training pictures. What Keras's ImageDataGenerator has keeps its name."""

    rotation_range: float = Field(default=0.0, ge=0, le=360)
    """Degrees, either way."""
    width_shift_range: float = Field(default=0.0, ge=0, le=4096)
    """Share of the width, or pixels from 1 up."""
    height_shift_range: float = Field(default=0.0, ge=0, le=4096)
    """Share of the height, or pixels from 1 up."""
    shear_range: float = Field(default=0.0, ge=0, le=360)
    """Degrees, either way."""
    zoom_range: ZoomRange = (1.0, 1.0)
    """A factor of 1 - zoom to 1 + zoom, or a pair of lowest and highest; drawn for each axis.
    Below 1 the picture grows, as in Keras."""
    fill_mode: Literal["nearest", "constant", "reflect", "wrap"] = "nearest"
    """What rotation, shifts, shear and zoom show beyond the border."""
    cval: float = Field(default=0.0, ge=0, le=255)
    """The gray value of 0 to 255 that `fill_mode: constant` fills in."""
    brightness_range: Ascending | None = None
    """Lowest and highest factor on the brightness, such as [0.8, 1.2]."""
    channel_shift_range: float = Field(default=0.0, ge=0, le=255)
    """Gray values of 0 to 255 added or taken away, within the picture's own extremes."""
    horizontal_flip: bool = False
    """Mirror half of the pictures left to right."""
    vertical_flip: bool = False
    """Mirror half of the pictures top to bottom."""
    random_crop: int = Field(default=0, ge=0, le=1024)
    """Pixels of black added on every side before a window of the picture's size is cut."""
    random_resized_crop: Annotated[
        RandomResizedCrop | None,
        BeforeValidator(switch, json_schema_input_type=bool | RandomResizedCrop),
    ] = None
    """A window of random area and aspect, resized; true for the usual values."""
    trivial_augment: bool = False
    """One random operation of random strength per picture (Müller and Hutter 2021)."""
    rand_augment: Annotated[
        RandAugment | None, BeforeValidator(switch, json_schema_input_type=bool | RandAugment)
    ] = None
    """A few random operations of one strength (Cubuk et al. 2019); true for the usual values."""
    color_jitter: ColorJitter | None = None
    """Random brightness, contrast, saturation and hue."""
    gaussian_blur: Annotated[
        GaussianBlur | None, BeforeValidator(switch, json_schema_input_type=bool | GaussianBlur)
    ] = None
    """Blur of a random width; true for the usual values."""
    random_erasing: Annotated[
        RandomErasing | None,
        BeforeValidator(
            probability_alone, json_schema_input_type=bool | Probability | RandomErasing
        ),
    ] = None
    """A random rectangle of gray; true for the usual values, or a probability."""
    mixup: float = Field(default=0.0, ge=0, le=100)
    """Blend each picture and its label with another's (Zhang et al. 2017): alpha of the Beta
    distribution that draws the shares; 0 is off, 0.2 is usual."""
    cutmix: float = Field(default=0.0, ge=0, le=100)
    """Replace a rectangle of each picture by another's, and that share of the label (Yun et al.
    2019): alpha of the Beta distribution; 0 is off, 1 is usual. With mixup too, each batch draws
    one of the two."""

    moved: ClassVar[Mapping[str, str]] = {
        "validation_split": "dataset.validation",
        **{
            key: f"preprocess.{key}"
            for key in (
                "rescale", "featurewise_center", "featurewise_std_normalization",
                "samplewise_center", "samplewise_std_normalization",
            )
        },
    }  # fmt: skip

    @property
    def is_affine(self) -> bool:
        """Whether anything rotates, shifts, shears or zooms."""
        ranges = (
            self.rotation_range,
            self.width_shift_range,
            self.height_shift_range,
            self.shear_range,
        )
        return any(ranges) or self.zoom_range != (1, 1)

    @model_validator(mode="after")
    def _options_apply(self) -> Self:
        if self.fill_mode != "nearest" and not self.is_affine:
            raise ValueError(
                "augment.fill_mode applies to rotation, shifts, shear and zoom, and there is none"
            )
        if self.cval != 0 and self.fill_mode != "constant":
            raise ValueError("augment.cval applies to fill_mode: constant only")
        if self.trivial_augment and self.rand_augment is not None:
            raise ValueError("augment.trivial_augment and rand_augment exclude one another")
        return self


class Train(Section):
    """Defaults of `zoo train`."""

    epochs: int = Field(default=20, ge=1)
    """Passes over the training split."""
    batch_size: int = Field(default=64, ge=2)
    """Pictures a step."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """sgd has Nesterov momentum 0.9."""
    lr: float = Field(default=1e-3, gt=0)
    """Learning rate at its highest."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """cosine falls to 0 over the whole training, step by step."""
    weight_decay: Range = 0.0
    """L2 penalty (decoupled for adam); not applied to norms and biases."""
    head_epochs: int = Field(default=0, ge=0)
    """Epochs at the start that train the head alone, all else frozen."""
    backbone_lr: float = Field(default=1.0, gt=0)
    """Factor on the learning rate of everything below the head."""
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    """First weights, order, augmentation and dropout."""

    @model_validator(mode="after")
    def _head_epochs_end(self) -> Self:
        if self.head_epochs > self.epochs:
            raise ValueError("train.head_epochs must not be more than train.epochs")
        return self


class Recipe(Section):
    """A whole recipe."""

    description: str = ""
    """One line for people."""
    dataset: Dataset = Dataset()
    preprocess: Preprocess = Preprocess()
    augment: Augment = Augment()
    train: Train = Train()

    def content(self) -> dict[str, Any]:
        """What a model file keeps: all but what belongs to one machine, such as paths."""
        return self.model_dump(mode="json", exclude={"dataset": set(_LOCAL)})

    def digest(self) -> str:
        """SHA-256 over the content, the description left out."""
        document = {key: value for key, value in self.content().items() if key != "description"}
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


SECTIONS = ("dataset", "preprocess", "augment", "train")


class Preprocessing(Section):
    """A recipe's preprocessing with everything decided; a model file holds it."""

    model_config = ConfigDict(strict=False)  # JSON has lists where these are tuples

    channels: Annotated[int, Field(ge=1, le=4096)]
    size: tuple[Side, Side]
    """Height and width of the network's input in pixels."""
    content: tuple[Side, Side]
    """Height and width that the picture is fitted into; black fills the rest."""
    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]
    rescale: Annotated[float, Field(gt=0)] = 1 / 255
    """What the values of 0 to 255 are multiplied by first."""
    samplewise_center: bool = False
    samplewise_std_normalization: bool = False
    interpolation: Literal["nearest", "bilinear", "bicubic"]
    fit: Literal["resize", "pad", "crop"]

    @model_validator(mode="after")
    def _a_value_for_each_channel(self) -> Self:
        if {len(self.mean), len(self.std)} != {self.channels}:
            raise ValueError("mean and std need a value for each channel")
        return self
