"""What a device would wait for. The meta device stands in for a GPU: shapes, but no values."""

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from zoo.data.placement import to_device

DEVICE = torch.device("meta")

_WAITING = {"_local_scalar_dense", "is_nonzero", "nonzero", "masked_select"}
_COPYING = {"_to_copy", "copy_"}


class Crossings(TorchDispatchMode):
    """Counts, inside the block, what passes between the processor and `DEVICE`."""

    def __init__(self) -> None:
        super().__init__()
        self.copies = 0
        """By `to_device`, which a GPU need not wait for."""
        self.waits: list[str] = []
        """Operations that a GPU waits for: values that are read, copies made any other way."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        self._judge(func.overloadpacket.__name__, args, kwargs)
        return func(*args, **kwargs)

    def _judge(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        places = {tensor.device.type for tensor in tensors}
        if name == "_to_copy":
            places |= {torch.device(kwargs.get("device") or args[0].device).type}
        if DEVICE.type not in places:
            return
        if name in _COPYING and len(places) > 1:
            if _is_inside(to_device):
                self.copies += 1
            else:
                self.waits.append(name)
        elif (
            name in _WAITING
            or name == "lift_fresh"  # torch.tensor(..., device=...)
            or len(places) > 1
            or (name.startswith("index") and any(t.dtype == torch.bool for t in tensors[1:]))
        ):
            self.waits.append(name)


def _is_inside(function: Callable[..., object]) -> bool:
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code is function.__code__:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
