"""A row is slower only beyond the tolerance and both intervals."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.benchmark.rows import ROW, slowed
from zoo.benchmark.baseline import Baseline, compare, notes, read
from zoo.benchmark.row import Row, key_of
from zoo.errors import UsageError

MACHINE: dict[str, Any] = {"processor": "PDP-11", "threads": 2, "torch": "2.6"}


def of(*rows: Row, **machine: Any) -> Baseline:
    return Baseline.model_validate(
        {"rows": [asdict(row) for row in rows], "machine": {**MACHINE, **machine}}
    )


# The interval is 5 % either way: 0.95 t must exceed 1.05 · 1.1 of what it was.
@pytest.mark.parametrize(("times", "slower"), [(0.5, False), (1.2, False), (1.23, True)])
def test_slower_beyond_tolerance_and_intervals(times: float, slower: bool) -> None:
    (found,) = compare([slowed(ROW, times)], of(ROW), tolerance=0.1)
    assert found.is_slower is slower
    assert found.before_ms == 1.0
    assert found.times == pytest.approx(times)


def test_the_tolerance_is_a_share() -> None:
    (found,) = compare([slowed(ROW, 1.7)], of(ROW), tolerance=0.5)
    assert found.is_slower
    (found,) = compare([slowed(ROW, 1.7)], of(ROW), tolerance=0.6)
    assert not found.is_slower


@pytest.mark.parametrize(
    "change",
    [
        {"model": "resnet20"}, {"format": "onnx"}, {"precision": "bf16"}, {"batch_size": 32},
        {"threads": 1},
    ],
)  # fmt: skip
def test_rows_that_are_not_the_same_thing_have_no_partner(change: dict[str, Any]) -> None:
    here, there = replace(ROW, **change), of(ROW)
    assert compare([here], there, tolerance=0) == []
    alone = notes([here], there, MACHINE, Path("before.json"))
    assert len(alone) == 2
    assert alone[0].endswith(" is not in before.json")
    assert alone[1] == ("lenet5 (torch, fp32, batch 1, threads 2) of before.json was not measured")


def test_another_machine_is_noted() -> None:
    assert notes([ROW], of(ROW), MACHINE, Path("b.json")) == []
    (note,) = notes([ROW], of(ROW, processor="Cray-1"), MACHINE, Path("b.json"))
    assert note == "b.json was measured with processor Cray-1, this with PDP-11"


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff", b"[]", b"{}", b'{"rows": []}', b'{"rows": [{}], "machine": {}}', b"[" * 10**5,
        b'{"rows": [{"model": 1}], "machine": {}}', b'{"rows": 3}',
    ],
)  # fmt: skip
def test_what_is_no_benchmark_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"b\.json is no result of a benchmark"):
        read(path)


def test_a_latency_of_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    for value in (0, None, "NaN"):
        rows = [{**asdict(ROW), "latency_ms": value}]
        path.write_text(json.dumps({"rows": rows, "machine": MACHINE}))
        with pytest.raises(UsageError):
            read(path)


def test_a_baseline_that_is_nowhere(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        read(tmp_path / "b.json")
    with pytest.raises(UsageError, match="does not exist"):
        read(tmp_path)


def test_a_file_called_as_an_architecture_is_no_row_of_it() -> None:
    of_files = {key_of(name, "torch", "fp32", 1, 1) for name in ("./lenet5", ".//lenet5/")}
    assert len(of_files) == 1
    assert key_of("lenet5", "torch", "fp32", 1, 1) not in of_files
