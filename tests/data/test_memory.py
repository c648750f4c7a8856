"""How much memory may be taken."""

from pathlib import Path

import pytest

from zoo.data import memory


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path / "cgroup")
    return tmp_path


def test_what_the_system_says_is_free(machine: Path) -> None:
    write(machine, "meminfo", "MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable: 5000 kB\n")
    assert memory.available_bytes() == 5000 * 1024


@pytest.mark.parametrize(
    ("limit", "used"),
    [
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ],
)
def test_a_containers_limit_counts(machine: Path, limit: str, used: str) -> None:
    write(machine, "meminfo", "MemAvailable: 5000 kB\n")
    write(machine, f"cgroup/{limit}", "1000000\n")
    write(machine, f"cgroup/{used}", "400000\n")
    assert memory.available_bytes() == 600_000
    write(machine, f"cgroup/{used}", "1400000\n")
    assert memory.available_bytes() == 0


def test_a_container_without_a_limit(machine: Path) -> None:
    write(machine, "meminfo", "MemAvailable: 5000 kB\n")
    write(machine, "cgroup/memory.max", "max\n")
    write(machine, "cgroup/memory.current", "400000\n")
    assert memory.available_bytes() == 5000 * 1024


def test_a_system_that_does_not_say(machine: Path) -> None:
    assert memory.available_bytes() > 10**8
