"""How much memory a classifier takes: measured in a process of its own, which does nothing else.

On a processor that is the process's peak while it runs, above what it took when torch, the runtime
and the code that builds the network were imported and nothing was opened: weights, activations,
workspaces, and code that is used for the first time. An ONNX file is opened as `runtimes` opens it,
from bytes that were looked at, of which onnxruntime keeps a copy. What loading takes in passing is
counted only where the system can't forget a peak (elsewhere than on Linux). On a GPU it is the peak
of torch's own allocations there.
"""

import ctypes
import gc
import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import OutOfMemoryError

if TYPE_CHECKING:
    from zoo.modelfile import Source

PASSES = 3
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Job:
    """What the process opens and runs."""

    model: str
    """MODEL, or an exported file."""
    format: str
    precision: str
    device: str
    threads: int
    batch_size: int


def peak_bytes(job: Job) -> int | None:
    """The peak of a fresh process that opens a classifier and runs it a few times.

    Returns:
        None where the device counts none of it (MPS).

    Raises:
        OutOfMemoryError: the process did not find enough.
    """
    # Away from the terminal's Ctrl-C: this process is told, and ends the other.
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", __name__, json.dumps(asdict(job))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            answer, complaint = process.communicate()
        finally:
            process.kill()
    if process.returncode == -signal.SIGKILL:
        raise OutOfMemoryError("The system ended the process: memory ran out.")
    if process.returncode:
        raise RuntimeError(f"peak memory of {job.model}: {complaint.strip()[-2000:]}")
    found: int | None = json.loads(answer)
    return found


def _measure(job: Job) -> int | None:
    """Opens and runs it here, in the fresh process."""
    import torch

    from zoo import modelfile
    from zoo.benchmark.contestants import random_images
    from zoo.precision import choose
    from zoo.runtimes import open_runtime

    source = modelfile.resolve(job.model, exported=True)
    _import_runtime(source, job.format)
    _give_back()
    before = _resident("VmRSS")
    arithmetic = choose(job.precision, torch.device(job.device))
    runtime = open_runtime(source, arithmetic, threads=job.threads)
    _forget_peak()
    with torch.inference_mode():
        prepared = runtime.prepare(random_images(runtime.source, job.batch_size))
        for _ in range(PASSES):
            runtime.run(prepared)
    if arithmetic.device.type == "cpu":
        return _resident("VmHWM") - before
    if arithmetic.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(arithmetic.device))
    return None


def _import_runtime(source: "Source", name: str) -> None:
    """Imports what opening a model would, so that it is not counted."""
    if name == "torch":  # and what replaying its edits takes, such as torch.fx
        from zoo import modelfile

        modelfile.outline(source.description)
    elif name in ("onnx", "onnx-int8"):
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    elif name == "pt2":  # most of torch.export is imported when the first file is read
        import io

        import torch

        file = io.BytesIO()
        torch.export.save(torch.export.export(torch.nn.Identity(), (torch.zeros(1),)), file)
        file.seek(0)
        torch.export.load(file).module()


def _resident(key: str) -> int:
    """Memory of this process, in bytes: VmRSS now, VmHWM at its peak.

    Elsewhere than on Linux both are the peak.
    """
    if _STATUS.exists():
        # Not ru_maxrss: on Linux that begins with the peak of the process that started this one.
        lines = dict(line.partition(":")[::2] for line in _STATUS.read_text().splitlines())
        return 1024 * int(lines[key].split()[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _give_back() -> None:
    """Frees what nobody needs; glibc keeps some of what was freed."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _forget_peak() -> None:
    """Lets the peak begin anew, where the system allows that; else it holds what loading took."""
    _give_back()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measure(Job(**json.loads(sys.argv[1])))))
