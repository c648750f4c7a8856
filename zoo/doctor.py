"""What this machine offers: versions, devices, fast arithmetic, directories, extras."""

import os
import platform
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import torch
from packaging.requirements import Requirement

from zoo import __version__, devices
from zoo.places import cache_directory
from zoo.precision import processor_has
from zoo.shipped import recipes_directory

DISTRIBUTION = "cnn-zoo"
_NOT_FEATURES = ("all", "dev")


@dataclass(frozen=True)
class Extra:
    """An optional part of zoo."""

    name: str
    packages: dict[str, str | None]
    """Version of each package; None where it is missing."""

    @property
    def present(self) -> bool:
        """Whether nothing of it is missing."""
        return None not in self.packages.values()


@dataclass(frozen=True)
class Checkup:
    """What `zoo doctor` found."""

    versions: dict[str, str]
    devices: list[str]
    threads: int
    arithmetic: dict[str, bool]
    """Instructions that speed up bf16, and whether the processor has them."""
    directories: dict[str, str]
    extras: list[Extra]


def examine() -> Checkup:
    """Looks at the machine; writes and downloads nothing."""
    return Checkup(
        versions={
            "zoo": __version__,
            "python": platform.python_version(),
            **{name: _version(name) or "missing" for name in _dependencies()},
        },
        devices=devices.available(),
        threads=torch.get_num_threads(),
        arithmetic=_arithmetic(),
        directories={
            "cache": str(cache_directory()),
            "data": os.environ.get("ZOO_DATA", "not set (ZOO_DATA)"),
            "recipes": str(recipes_directory()),
            "runs": str(Path("runs").absolute()),
        },
        extras=_extras(),
    )


def _arithmetic() -> dict[str, bool]:
    capability = torch.backends.cpu.get_cpu_capability()
    return {
        "avx2": "AVX2" in capability or "AVX512" in capability,
        **processor_has(),
        "cuda_bf16": torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
    }


def _requirements() -> list[Requirement]:
    try:
        return [Requirement(text) for text in requires(DISTRIBUTION) or ()]
    except PackageNotFoundError:  # run from a checkout that was never installed
        return []


def _dependencies() -> list[str]:
    return sorted(r.name for r in _requirements() if r.marker is None or r.marker.evaluate())


def _extras() -> list[Extra]:
    extras: dict[str, dict[str, str | None]] = {}
    for requirement in _requirements():
        extra = re.search(r"extra == ['\"](.+?)['\"]", str(requirement.marker or ""))
        if extra is None or requirement.name == DISTRIBUTION:
            continue
        name = extra[1]
        if name not in _NOT_FEATURES:
            extras.setdefault(name, {})[requirement.name] = _version(requirement.name)
    return [Extra(name, packages) for name, packages in sorted(extras.items())]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
