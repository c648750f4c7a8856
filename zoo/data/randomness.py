"""Every random number is a function of (seed, epoch, step), so that a run can be repeated."""

import hashlib

import torch


def derived_seed(seed: int, epoch: int, step: int, purpose: str) -> int:
    """A 63-bit seed; distinct purposes draw independent numbers in the same step."""
    text = f"{seed} {epoch} {step} {purpose}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def generator(seed: int, epoch: int, step: int, purpose: str) -> torch.Generator:
    """A CPU generator for one purpose in one step: draws are the same on every device."""
    return torch.Generator().manual_seed(derived_seed(seed, epoch, step, purpose))
