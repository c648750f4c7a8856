"""Which device to compute on."""

import torch

from zoo.errors import DeviceError


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
    return torch.device(wanted)


def use_threads(count: int | None) -> None:
    """Computes with that many CPU threads; None leaves it to torch."""
    if count is not None:
        torch.set_num_threads(count)
