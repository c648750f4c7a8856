"""A recipe's `preprocess`, and the same with everything decided."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from zoo.schema.section import Section
from zoo.values import AUTO, PerChannel, PositivePerChannel, Side, SizePx


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
