"""In which arithmetic a network runs: fp32, or bf16 or fp16 where that is safe."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from zoo.errors import UsageError

Name = Literal["auto", "fp32", "bf16", "fp16"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Precision:
    """How forward passes are computed on a device. Weights stay fp32."""

    name: Literal["fp32", "bf16", "fp16"]
    device: torch.device

    def autocast(self) -> AbstractContextManager[None]:
        """Inside, convolutions and matrix products take the shorter type; losses must not."""
        if self.name == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    @property
    def dtype(self) -> torch.dtype:
        """Of the numbers that are multiplied."""
        return _DTYPES[self.name]

    @property
    def memory_format(self) -> torch.memory_format:
        """Channels-last where that is the faster layout of pictures and filters."""
        # On a CPU it is in fp32 too: a LeNet-5 gains half, the lecture's CNN a third.
        is_faster = self.device.type == "cpu" or self.name != "fp32"
        return torch.channels_last if is_faster else torch.contiguous_format

    def place(self, network: nn.Module) -> nn.Module:
        """The network, on the device and in the layout; its own tensors are moved."""
        return network.to(self.device).to(memory_format=self.memory_format)

    def logits(self, network: nn.Module, images: Tensor) -> Tensor:
        """One forward pass, for inference.

        Args:
            network: placed, in evaluation mode.
            images: (N, C, H, W), on the device.

        Returns:
            (N, num_classes), float32.
        """
        with self.autocast():
            logits: Tensor = network(images.to(memory_format=self.memory_format))
        return logits.float()

    def finish(self) -> None:
        """Returns when the device has computed all that it was given, which it does by itself."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()


def choose(name: str, device: torch.device, *, deterministic: bool = False) -> Precision:
    """The precision of that name on a device; `auto` is bf16 where the device computes in it.

    Raises:
        UsageError: the device lacks it, or it is not deterministic there.
    """
    if name == "auto":
        exact = deterministic and device.type != "cpu"
        return Precision("bf16" if computes_bf16(device) and not exact else "fp32", device)
    if name != "fp32" and device.type == "mps":
        raise UsageError(f"{name} is not supported on {device}.", hint="--precision fp32")
    if name != "fp32" and deterministic and device.type != "cpu":
        raise UsageError(f"--deterministic means fp32 on {device}.", hint="--precision fp32")
    if name == "bf16" and device.type == "cuda" and not computes_bf16(device):
        raise UsageError(f"{device} does not compute in bf16.", hint="--precision fp16 or fp32")
    assert name in ("fp32", "bf16", "fp16")
    return Precision(name, device)  # type: ignore[arg-type]


def computes_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for bf16, so that it is faster than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and any(processor_has().values())


def processor_has() -> dict[str, bool]:
    """Whether the processor has each of the instruction sets for bf16 that torch uses."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:  # no Linux
        flags = []
    return {name: name in flags for name in ("avx512_bf16", "amx_bf16")}
