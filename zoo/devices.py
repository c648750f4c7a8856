"""Which device to compute on, and how."""

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from zoo.errors import DeviceError

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Of glibc's malloc.h."""


def available() -> list[str]:
    """Devices of this machine, the fastest first."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*cuda, *mps, "cpu"]


def choose(name: str) -> torch.device:
    """The device of that name; `auto` is the fastest.

    Raises:
        DeviceError: this machine has no such device.
    """
    devices = available()
    wanted = devices[0] if name == "auto" else "cuda:0" if name == "cuda" else name
    if wanted not in devices:
        raise DeviceError(f"This machine has no device {name!r}, only {', '.join(devices)}.")
    if wanted.startswith("cuda"):
        torch.backends.cudnn.allow_tf32 = False  # fp32 would mean ten bits in convolutions
    return torch.device(wanted)


def use_threads(count: int | None) -> None:
    """Computes with so many CPU threads; None leaves torch its own choice."""
    if count is not None:
        torch.set_num_threads(count)


def keep_freed_memory() -> None:
    """Lets glibc keep what a training step frees: the next one takes as much again.

    By default it goes back to the system at each step and is faulted in anew, which costs the
    lecture's CNN and AlexNet a third of their speed. Other systems, and users who tune malloc
    themselves, are left alone. Up to 1 GiB is kept.
    """
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, 1 << 30)
        mallopt(_M_MMAP_MAX, 0)


@contextmanager
def algorithms(*, deterministic: bool) -> Iterator[None]:
    """Inside, torch takes algorithms that give the same bits each time, or the fastest ones."""
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = not deterministic
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


def kind_of(device: torch.device) -> str:
    """What computes there: the same kind gives the same bits."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"
