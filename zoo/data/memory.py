"""How much memory this process may still take."""

import os
from contextlib import suppress
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


def available_bytes() -> int:
    """Free memory, and no more than a container's limit leaves.

    Where the system does not say what is free (macOS), it is half of what is built in.
    """
    amounts = [amount for amount in (_free(), _group_v2(), _group_v1()) if amount is not None]
    if amounts:
        return max(0, min(amounts))
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _free() -> int | None:
    with suppress(OSError):
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _group_v2() -> int | None:
    limit = _number(_CGROUP / "memory.max")
    used = _number(_CGROUP / "memory.current")
    return None if limit is None or used is None else limit - used


def _group_v1() -> int | None:
    limit = _number(_CGROUP / "memory" / "memory.limit_in_bytes")
    used = _number(_CGROUP / "memory" / "memory.usage_in_bytes")
    return None if limit is None or used is None else limit - used


def _number(path: Path) -> int | None:
    with suppress(OSError, ValueError):  # "max" is no limit
        return int(path.read_text())
    return None
