"""A recipe's `augment`."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from zoo.schema.section import Section
from zoo.values import (
    AreaShares,
    Ascending,
    PositiveAscending,
    Probability,
    ZoomRange,
    probability_alone,
    switch,
)


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
