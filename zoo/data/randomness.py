"""Every random number is a function of (seed, epoch, step), so that a run can be repeated."""

import hashlib

import torch


def derived_seed(seed: int, epoch: int, step: int, purpose: str) -> int:
    """A 63-bit seed; distinct purposes draw independent numbers in the same step."""
    text = f"{seed} {epoch} {step} {purpose}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def seed_global(seed: int, device: torch.device) -> None:
    """Seeds the global generators that a network on a device draws from, as dropout does.

    `torch.manual_seed` does it for every kind of device there is, in the time of a small step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def generator(seed: int, epoch: int, step: int, purpose: str) -> torch.Generator:
    """A CPU generator for one purpose in one step: draws are the same on every device."""
    return torch.Generator().manual_seed(derived_seed(seed, epoch, step, purpose))
