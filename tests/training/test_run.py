"""The run directory."""

import csv
import errno
import json
from pathlib import Path
from typing import Any

import pytest

from zoo import description, modelfile
from zoo.catalog import find
from zoo.errors import (
    DiskError,
    DivergedError,
    OutputExistsError,
    RunInUseError,
    SigtermInterrupt,
    TerminationError,
    UsageError,
)
from zoo.training.engine import Epoch
from zoo.training.run import Run, create_run

LENET5 = description.describe(find("lenet5"))
EPOCH = Epoch(1, 2.0, 10.0, 0.1, 0.5, 0.75, None, None)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = create_run("lenet5-digits", tmp_path / "run", force=False)
    run.start({"seed": 3}, "path,hash,split\n", modelfile.build(LENET5), LENET5, lambda: None)
    return run


def status(run: Run) -> Any:
    return json.loads((run.path / "run.json").read_text())


def test_names_are_numbered(in_tmp: Path) -> None:
    paths = [create_run("a-b", None, force=False).path for _ in range(3)]
    assert paths == [Path("runs/a-b"), Path("runs/a-b-2"), Path("runs/a-b-3")]


def test_an_existing_output(tmp_path: Path, run: Run) -> None:
    with pytest.raises(OutputExistsError, match="exists"):
        create_run("x", run.path, force=False)
    with pytest.raises(RunInUseError, match="another process"):
        create_run("x", run.path, force=True)
    run.release()
    again = create_run("x", run.path, force=True)
    assert [path.name for path in again.path.iterdir()] == [".lock"]
    (tmp_path / "mine" / "thesis").mkdir(parents=True)
    with pytest.raises(UsageError, match="holds no run"):
        create_run("x", tmp_path / "mine", force=True)


def test_a_file_in_the_way_is_a_disk_error(in_tmp: Path) -> None:
    Path("runs").write_text("in the way")
    with pytest.raises(DiskError):
        create_run("x", None, force=False)


def test_what_it_holds(run: Run) -> None:
    assert status(run) == {"seed": 3, "status": "running", "exit_code": None}
    assert modelfile.load(run.last)
    run.write_results([EPOCH, Epoch(2, 1.0, 20.0, 0.05, 0.25, 0.8, 0.3, 0.9)])
    rows = list(csv.DictReader((run.path / "results.csv").read_text().splitlines()))
    assert list(rows[0]) == [
        "epoch", "seconds", "images_per_second", "lr", "train_loss", "train_top1", "val_loss",
        "val_top1",
    ]  # fmt: skip
    assert [row["val_top1"] for row in rows] == ["", "0.9"]
    run.finish("finished", 0, {"epochs": 2})
    assert status(run) == {"seed": 3, "epochs": 2, "exit_code": 0, "status": "finished"}
    lines = (run.path / "events.jsonl").read_text().splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert events == ["started", "finished"]


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (DivergedError("NaN"), "diverged", 8),
        (TerminationError("stop"), "interrupted", 143),
        (KeyboardInterrupt(), "interrupted", 130),
        (SigtermInterrupt(), "interrupted", 143),
        (DiskError("full"), "failed", 6),
        (ZeroDivisionError("oops"), "failed", 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_failures_are_recorded(error: BaseException, state: str, code: int, run: Run) -> None:
    with pytest.raises(type(error)), run.recorded_failure():
        raise error
    assert (status(run)["status"], status(run)["exit_code"]) == (state, code)
    if hasattr(error, "results"):
        assert error.results == {"run": str(run.path)}


def test_a_start_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run = create_run("x", tmp_path / "run", force=False)
    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(DiskError, match="No space left"):
        run.start({}, "", modelfile.build(LENET5), LENET5, lambda: None)
    assert not run.path.exists()


def test_an_empty_directory_may_exist(tmp_path: Path) -> None:
    assert create_run("x", tmp_path, force=False).path == tmp_path


def restarted(run: Run) -> Run:
    run.write_results([EPOCH])
    run.release()
    again = create_run("x", run.path, force=True)
    again.start({"seed": 4}, "", modelfile.build(LENET5), LENET5, lambda: None)
    return again


def test_a_replaced_run_comes_back_if_the_new_one_fails_at_once(run: Run) -> None:
    again = restarted(run)
    with pytest.raises(DivergedError), again.recorded_failure():
        raise DivergedError("NaN")
    assert status(run)["seed"] == 3
    assert (run.path / "results.csv").exists()
    assert [path.name for path in run.path.parent.iterdir()] == ["run"]


def test_a_replaced_run_goes_when_the_new_one_is_worth_keeping(run: Run) -> None:
    again = restarted(run)
    assert again.is_provisional
    again.keep()
    assert not again.is_provisional
    with pytest.raises(DivergedError), again.recorded_failure():
        raise DivergedError("NaN")
    assert status(run)["seed"] == 4
    assert [path.name for path in run.path.parent.iterdir()] == ["run"]


@pytest.mark.parametrize("status", ["finished", "interrupted"])
def test_a_run_that_ended_holds_its_curves(status: str, tmp_path: Path) -> None:
    run = create_run("x", tmp_path / "run", force=False)
    epoch = Epoch(1, 1.0, 100.0, 0.1, 0.5, 0.5, 0.5, 0.5)
    run.write_results([epoch], best=1)
    assert not (run.path / "curves.png").exists()
    run.finish(status, 0, {})
    assert (run.path / "curves.png").read_bytes()[:4] == b"\x89PNG"


def test_a_run_without_an_epoch_has_none(tmp_path: Path) -> None:
    run = create_run("x", tmp_path / "run", force=False)
    run.finish("failed", 1, {})
    assert not (run.path / "curves.png").exists()
