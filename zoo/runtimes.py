"""One callable classifier from any file: a model file or a run, `.onnx`, `.pt2`."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo import devices, modelfile
from zoo.data.fit import fit, normalize
from zoo.data.placement import to_device
from zoo.errors import ModelFileError
from zoo.modelfile import Source
from zoo.precision import Precision

Format = Literal["torch", "onnx", "onnx-int8", "pt2"]


@dataclass(frozen=True)
class Runtime(ABC):
    """A classifier, ready to run."""

    source: Source
    format: Format
    precision: Precision
    """In which arithmetic, and on which device."""

    def read(self, picture: Tensor) -> Tensor:
        """A decoded picture as `logits_of_read` takes it; may be called in any thread.

        Args:
            picture: (1 or 3, h, w), uint8.
        """
        return fit(picture[None], self.source.description.preprocessing)

    def logits_of_read(self, pictures: list[Tensor]) -> Tensor:
        """The logits of pictures that `read` has prepared, (N, num_classes)."""
        return self.logits(torch.cat(pictures))

    def logits_of_decoded(self, pictures: list[Tensor]) -> Tensor:
        """The logits of pictures, each (1 or 3, h, w), uint8, of any size: (N, num_classes)."""
        return self.logits_of_read([self.read(picture) for picture in pictures])

    def logits(self, images: Tensor) -> Tensor:
        """The logits of fitted pictures.

        Args:
            images: (N, C, H, W), uint8.

        Returns:
            (N, num_classes), float32; logarithms of the probabilities where the file gives these.
        """
        with torch.inference_mode():
            return self.run(self.prepare(images))

    @abstractmethod
    def prepare(self, images: Tensor) -> Any:
        """Fitted pictures, (N, C, H, W), uint8, as `run` takes them."""

    @abstractmethod
    def run(self, prepared: Any) -> Tensor:
        """One forward pass and nothing else: (N, num_classes), float32."""


@dataclass(frozen=True)
class TorchRuntime(Runtime):
    """A network of torch."""

    network: nn.Module
    """Placed where the precision computes, in evaluation mode."""

    def prepare(self, images: Tensor) -> Tensor:
        """Normalized, on the device, in the faster layout."""
        images = to_device(images, self.precision.device)
        normalized = normalize(images, self.source.description.preprocessing)
        return normalized.to(memory_format=self.precision.memory_format)

    def run(self, prepared: Tensor) -> Tensor:
        """One forward pass."""
        logits = self.precision.logits(self.network, prepared)
        check_outputs(self.source, logits)
        return logits


def open_runtime(
    model: str | Source, precision: Precision, *, threads: int | None = None
) -> Runtime:
    """The classifier of a model file, a run or an exported file.

    Args:
        model: MODEL; of an architecture the weights are random.
        precision: arithmetic and device.
        threads: of the processor; None is the runtime's own choice. torch has one number for the
            whole process.

    Raises:
        NotFoundError: MODEL is nothing.
        ModelFileError: the file is refused or corrupt.
    """
    source = modelfile.resolve(model) if isinstance(model, str) else model
    devices.use_threads(threads)
    network = precision.place(modelfile.instantiate(source).eval())
    return TorchRuntime(source, "torch", precision, network)


def check_outputs(source: Source, outputs: Tensor) -> None:
    """Refuses outputs that are not one number for each class.

    Raises:
        ModelFileError: they are not.
    """
    wanted = source.description.num_classes
    if outputs.shape[1:] != (wanted,):
        shape = "×".join(str(side) for side in outputs.shape[1:])
        raise ModelFileError(
            f"{source.name} gives {shape} numbers a picture, but tells {wanted} classes apart."
        )
