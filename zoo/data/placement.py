"""Numbers on their way to the device: nothing there or here waits for them."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

_CONSTANTS_KEPT = 256


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device, in its own type; what is there already is not copied.

    A GPU fetches pinned memory by itself, after the work it has; with any other the processor
    would wait for it.
    """
    if device.type != "cuda" or values.device.type != "cpu":
        return values.to(device)
    # A slice or an expanded tensor would be copied once more on the way, into memory not pinned.
    return values.contiguous().pin_memory().to(device, non_blocking=True)


def all_to_device(parts: Sequence[Tensor], device: torch.device) -> Sequence[Tensor]:
    """Tensors that differ in length at most, on a device: moved in one copy."""
    if not parts:
        return ()
    moved = to_device(torch.cat(tuple(parts)), device)
    return torch.split(moved, [len(part) for part in parts])


@lru_cache(maxsize=_CONSTANTS_KEPT)
def constant(values: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Numbers, (len(values),), that are moved to a device once; never change them in place."""
    with torch.inference_mode(False):  # what is made inside could not be trained with later
        return to_device(torch.tensor(values, dtype=dtype), device)
