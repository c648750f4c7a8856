"""`safetensors`: plain tensors under the network's own names, for any program that reads them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from zoo import modelfile, tensorfile
from zoo.errors import UsageError
from zoo.export import parity
from zoo.export.job import Converted as InFormat
from zoo.export.job import Job
from zoo.export.network import Exportable, drop_auxiliary
from zoo.export.parity import check_floats
from zoo.exported import EXPORT_KEY, Exported

RUNTIME = "torch"
IMAGES = parity.IMAGES
check = check_floats


@dataclass(frozen=True)
class Converted(InFormat):
    """A network's tensors, not yet written."""

    tensors: Mapping[str, Tensor]

    def write(self, path: Path, document: Exported, data: Path | None, data_name: str) -> None:
        """Writes the tensors with their document; equal networks give equal bytes.

        Raises:
            OSError: the disk is full.
        """
        _ = data, data_name
        tensorfile.write_plain(path, {EXPORT_KEY: document.to_json()}, self.tensors)


def convert(job: Job) -> Converted:
    """The network's tensors.

    Raises:
        UsageError: something is asked for that only a graph can do.
    """
    exportable = job.exportable
    for flag, is_given in (
        ("--opset", job.wishes.opset is not None),
        ("--embed-preprocess", exportable.prepare is not None),
        ("--softmax", exportable.gives_probabilities),
    ):
        if is_given:
            raise UsageError(
                f"{flag} does not go with --format safetensors, which holds tensors and no graph."
            )
    return Converted(exportable.network.state_dict())


def opened(path: Path, job: Job) -> Callable[[Tensor], Tensor]:
    """The written tensors, read again into a network of their own."""
    description = job.source.description
    network = modelfile.skeleton(description).eval()
    drop_auxiliary(network, description)
    modelfile.assign(network, tensorfile.read_tensors(path), str(path))
    exportable = Exportable(network, description)

    def run(images: Tensor) -> Tensor:
        with torch.inference_mode():
            return exportable(images)  # type: ignore[no-any-return]

    return run
