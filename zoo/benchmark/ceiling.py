"""The ceiling: how fast this machine multiplies large matrices, which no layer exceeds by much."""

import time

import torch

from zoo.precision import Precision

_SIDES = (512, 1024, 2048)
_SIDES_OF_A_GPU = (1024, 4096, 8192)
_SECONDS = 0.1
"""For each side, about."""

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@torch.inference_mode()
def ceiling(arithmetic: Precision) -> float:
    """The largest rate at which square matrices are multiplied, in multiply-adds a second.

    The fastest of all passes counts: noise slows them down and never speeds them up. With
    Winograd's algorithm, a convolution does its nominal multiply-adds with fewer, so a network may
    come out above a ceiling.

    Args:
        arithmetic: of the products, and where; the threads are those of the process.
    """
    sides = _SIDES if arithmetic.device.type == "cpu" else _SIDES_OF_A_GPU
    return max(_rate(side, arithmetic) for side in sides)


def _rate(side: int, arithmetic: Precision) -> float:
    generator = torch.Generator().manual_seed(0)
    kind = _DTYPES[arithmetic.name]
    a, b = torch.rand(2, side, side, generator=generator).to(arithmetic.device, kind)
    end, fastest = time.perf_counter() + _SECONDS, float("inf")
    while fastest == float("inf") or time.perf_counter() < end:
        start = time.perf_counter()
        torch.mm(a, b)
        arithmetic.finish()
        fastest = min(fastest, time.perf_counter() - start)
    return float(side**3 / fastest)
