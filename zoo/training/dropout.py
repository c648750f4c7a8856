"""Dropout whose masks cost little on a CPU, where torch draws them one by one in one thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType

import torch
from torch import Tensor, nn

# A word of 64 bits holds four draws of 16, or eight of 8 where the rate needs no finer ones.
_WORD = torch.int64
_LEVELS = {torch.int8: 1 << 8, torch.int16: 1 << 16}


@contextmanager
def cheap_masks(network: nn.Module, device: torch.device) -> Iterator[None]:
    """On a CPU, every `nn.Dropout` of the network draws its masks the cheap way inside the block.

    A lecture's CNN trains half as fast again. Masks are drawn from torch's global generator, in
    the order of memory; rates are honoured to 1/65536. Structure, state dict and summary of the
    network stay as they are. Not for `torch.compile`, which draws masks inside its own kernels.

    Args:
        network: on `device`.
        device: elsewhere than on a CPU nothing happens.
    """
    modules: list[nn.Dropout] = []
    if device.type == "cpu":
        # Subclasses may mean something else by dropping out.
        modules = [module for module in network.modules() if type(module) is nn.Dropout]
    for module in modules:
        # A bound method, so that a deep copy of the network asks its own `training`.
        vars(module)["forward"] = MethodType(_forward, module)
    try:
        yield
    finally:
        for module in modules:
            vars(module).pop("forward", None)


def _forward(self: nn.Dropout, x: Tensor) -> Tensor:
    return dropout(x, self.p) if self.training else x


def dropout(x: Tensor, p: float) -> Tensor:
    """What `F.dropout` does while training, out of place.

    Args:
        x: of any shape and floating type, on a CPU.
        p: share of values that become 0, to 1/65536; the others grow by 1 / (1 - share).
    """
    dtype = torch.int8 if (p * _LEVELS[torch.int8]).is_integer() else torch.int16
    levels = _LEVELS[dtype]
    dropped = round(p * levels)
    if dropped == 0:
        return x
    if dropped == levels:
        return x * torch.zeros_like(x)
    # Scaled apart, in fp32: in bf16 a mask of 1 / 0.75 would be 1.336, and training biased.
    return (x * _kept(x, dtype, dropped)).mul_(levels / (levels - dropped))


def _kept(x: Tensor, dtype: torch.dtype, dropped: int) -> Tensor:
    """1 where a value is kept, else 0; in x's type and, where x is dense, in its layout."""
    count, a_word = x.numel(), _WORD.itemsize // dtype.itemsize
    words = torch.empty(-(-count // a_word), dtype=_WORD).random_(-(2**63), None)
    draws = words.view(dtype)[:count]
    # Comparing would be far slower than whole-number arithmetic, which is vectorized.
    highest_dropped = dropped - 1 - _LEVELS[dtype] // 2
    draws.clamp_(highest_dropped, highest_dropped + 1).sub_(highest_dropped)
    strides = torch.empty_like(x, device="meta").stride()
    return draws.to(x.dtype).as_strided(x.shape, strides)
