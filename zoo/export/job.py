"""What a format's own file is given and what it gives back."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from zoo.export.network import Exportable
from zoo.export.parity import Comparison
from zoo.exported import Exported
from zoo.modelfile import Source


@dataclass(frozen=True)
class Wishes:
    """What is asked of an export besides its format."""

    opset: int | None = None
    embed_preprocess: bool = False
    """The graph takes decoded pictures and fits and normalizes them itself."""
    softmax: bool = False
    """The graph gives probabilities."""
    checked: bool = True
    recipe_name: str | None = None
    """Whose pictures it is checked with; None is the model file's own."""
    data: Path | None = None
    calibration_images: int | None = None
    """How many of the recipe's pictures `onnx-int8` is calibrated on."""


@dataclass(frozen=True)
class Job:
    """A network to be exported."""

    source: Source
    exportable: Exportable
    wishes: Wishes

    @property
    def name(self) -> str:
        """What to call the network."""
        return self.source.name


class Converted(ABC):
    """A network in a format, not yet written."""

    @property
    def settings(self) -> dict[str, Any]:
        """What the JSON says of this format alone, such as the opset."""
        return {}

    @property
    def fields(self) -> dict[str, Any]:
        """What the document says of this format alone, such as the calibration."""
        return {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of it."""
        return ()

    @property
    def has_data_file(self) -> bool:
        """Whether the weights lie in a second file."""
        return False

    @abstractmethod
    def write(self, path: Path, document: Exported, data: Path | None, data_name: str) -> None:
        """Writes it; again with another document over the first.

        Args:
            path: that nobody else reads yet.
            document: what the file says of itself.
            data: where its weights go; None where they stay in it.
            data_name: what it calls that file, which lies beside it.

        Raises:
            OSError: the disk is full.
        """


class Format(Protocol):
    """A format's module."""

    RUNTIME: str
    """What runs its files."""
    IMAGES: int
    """Pictures to compare them on."""

    def convert(self, job: Job) -> Converted:
        """The network in this format.

        Raises:
            UsageError: an extra is missing, an option does not apply, or it can't be expressed.
        """
        ...

    def opened(self, path: Path, job: Job) -> Callable[[Tensor], Tensor]:
        """A written file in its runtime: a batch to its outputs.

        Raises:
            UsageError: the runtime refuses it.
        """
        ...

    def check(self, comparison: Comparison, what: str, runtime: str) -> None:
        """Refuses a file whose answers are not near enough to the network's.

        Raises:
            ThresholdError: says in what they differ.
        """
        ...
