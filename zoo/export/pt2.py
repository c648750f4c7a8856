"""`pt2`: torch.export's archive, which plain torch loads without zoo."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from zoo.errors import UsageError
from zoo.export import parity
from zoo.export.graph import silence, trace
from zoo.export.job import Converted as InFormat
from zoo.export.job import Job
from zoo.export.parity import check_floats
from zoo.exported import PT2_MEMBER, Exported

RUNTIME = "torch.export"
IMAGES = parity.IMAGES
check = check_floats


@dataclass(frozen=True)
class Converted(InFormat):
    """A network as an archive, not yet written."""

    program: ExportedProgram

    def write(self, path: Path, document: Exported, data: Path | None, data_name: str) -> None:
        """Writes the archive with its document.

        Raises:
            OSError: the disk is full.
        """
        _ = data, data_name
        content = io.BytesIO()  # torch's own writer ends the process where a disk is full
        with silence():
            torch.export.save(self.program, content, extra_files={PT2_MEMBER: document.to_json()})
        path.write_bytes(content.getbuffer())


def convert(job: Job) -> Converted:
    """The network as torch.export's graph.

    Raises:
        UsageError: torch.export can't follow it, or an opset is given.
    """
    if job.wishes.opset is not None:
        raise UsageError("--opset goes with --format onnx.")
    program = trace(job.exportable, job.name, "pt2")
    program.example_inputs = None  # a batch of zeros
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # which names this machine's directories
    return Converted(program)


def opened(path: Path, job: Job) -> Callable[[Tensor], Tensor]:
    """The written archive, loaded again."""
    _ = job
    with silence():
        module = torch.export.load(path).module()

    def run(images: Tensor) -> Tensor:
        with torch.inference_mode():
            return module(images)  # type: ignore[no-any-return]

    return run
