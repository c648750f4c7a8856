"""Finding, reading and comparing runs."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cards import EVERY_CARD
from tests.made_runs import HEAD, results, write_run
from zoo import catalog, runs
from zoo.errors import ModelFileError, NotFoundError, UsageError
from zoo.runs.record import count_params, read
from zoo.runs.results import COLUMNS, to_rows
from zoo.tensorfile import Entry
from zoo.training.outcome import Best


def test_a_real_run_is_read(trained: Path) -> None:
    record = runs.open_run(str(trained))
    stated = json.loads((trained / "run.json").read_text())
    row = runs.listed_row(record)
    assert row.pop("started") is not None
    assert row == {
        "run": str(trained),
        "model": "lenet5",
        "recipe": "digits",
        "status": "finished",
        "epochs": 6,
        "planned_epochs": 6,
        "val_top1": stated["best"]["top1"],
        "best_epoch": stated["best"]["epoch"],
        "test_top1": stated["test"]["top1"],
        "params": 61_706,
        "seconds": stated["seconds"],
    }
    assert tuple(record.epochs.columns) == COLUMNS
    assert (trained / "results.csv").read_text().startswith(",".join(COLUMNS) + "\n")


def test_what_results_say_agrees_with_what_training_said(trained: Path, tmp_path: Path) -> None:
    """A run that was killed gets its best epoch, time and speed from results.csv alone."""
    stated = json.loads((trained / "run.json").read_text())
    killed = write_run(tmp_path / "k", (trained / "results.csv").read_text(), status="running")
    record = read(killed)
    assert record.status == "killed"
    assert record.best is not None
    assert vars(record.best) == stated["best"]
    assert record.seconds == pytest.approx(stated["seconds"])
    assert record.images_per_second == pytest.approx(stated["images_per_second"])
    assert record.finished_epochs == 6
    assert record.final == to_rows(record.epochs)[5]


def test_the_best_epoch_breaks_ties_as_training_does(tmp_path: Path) -> None:
    rows = ["1,1,1,0.1,1,0.5,0.9,0.8", "2,1,1,0.1,1,0.5,0.7,0.8", "3,1,1,0.1,1,0.5,0.7,0.8"]
    record = read(write_run(tmp_path / "r", "\n".join([HEAD, *rows]) + "\n"))
    assert record.best == Best(2, 0.8, 0.7)
    unvalidated = ["1,1,1,0.1,1,0.5,,", "2,1,1,0.1,1,0.5,,"]
    record = read(write_run(tmp_path / "u", "\n".join([HEAD, *unvalidated]) + "\n"))
    assert record.best == Best(2, None, None)


@pytest.mark.parametrize(
    ("csv", "epochs", "problem"),
    [
        (None, 0, ""),
        ("", 0, "is empty"),
        (HEAD, 0, "breaks off in its first line"),
        (HEAD + "\n", 0, ""),
        ("\n\n\n", 0, "no table of epochs"),
        ("a,b\n1,2\n", 0, "no column epoch"),
        (results(0.5, 0.6, 0.7)[:-5], 2, "breaks off: its last line is left out"),
        (results(0.5, 0.6).replace("0.6", "nan"), 2, ""),
        (results(0.5, 0.6) + "x,,,,,,,\n", 2, "lines without an epoch"),
        (results(0.5, 0.6) + "inf,,,,,,,\n", 2, "lines without an epoch"),
        (results(0.5) + "1,2,3,4,5,6,7,8,9,10\n", 0, "no table of epochs"),
        (results(0.5) + '"2,\n', 0, "no table of epochs"),
        (results(0.5) + "\0\0\0\n", 1, "lines without an epoch"),
        ("epoch,val_top1\n1,0.5\n2,0.9\n", 2, ""),  # an earlier version's
    ],
)  # fmt: skip
def test_results_that_are_damaged_give_what_they_hold(
    csv: str | None, epochs: int, problem: str, tmp_path: Path
) -> None:
    record = read(write_run(tmp_path / "r", csv))
    assert len(record.epochs) == epochs
    assert problem in record.results_problem
    assert "tokeniz" not in record.results_problem  # pandas's own words
    assert bool(problem) == bool(record.results_problem)
    assert tuple(record.epochs.columns)[: len(COLUMNS)] == COLUMNS
    rows = to_rows(record.epochs)
    json.dumps(rows, allow_nan=False)
    assert [row["epoch"] for row in rows] == list(range(1, epochs + 1))
    row = runs.listed_row(record)
    assert row["epochs"] == epochs
    assert (row["val_top1"] is None) == (epochs == 0)


def test_results_that_are_no_text(tmp_path: Path) -> None:
    run = write_run(tmp_path / "r")
    (run / "results.csv").write_bytes(b"\xff\xfe\x00")
    record = read(run)
    assert record.epochs.empty
    assert "can't be read" in record.results_problem


def test_columns_of_a_later_version_are_kept(tmp_path: Path) -> None:
    csv = "epoch,val_top1,phase,memory\n1,0.5,head,\n2,0.6,all,7\n"
    record = read(write_run(tmp_path / "r", csv))
    rows = to_rows(record.epochs)
    assert [(row["phase"], row["memory"]) for row in rows] == [("head", ""), ("all", "7")]
    assert rows[0]["train_loss"] is None


DAMAGED = {
    "": ":1:1: is no valid JSON",
    "{": ":1:2: is no valid JSON",
    '{"status": "finished",\n "a": 1': ":2:8: is no valid JSON",
    "[1]": "is no JSON object",
    "null": "is no JSON object",
    "[" * 100_000: "is no valid JSON",
    "1" * 5000: "is no valid JSON",
}


@pytest.mark.parametrize("text", DAMAGED, ids=lambda text: text[:10])
def test_a_damaged_run_is_listed_and_refused(text: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "r", results(0.5, 0.75))
    (run / "run.json").write_text(text)
    (record,) = runs.find(tmp_path)
    assert DAMAGED[text] in record.problem
    row = runs.listed_row(record)
    assert (row["status"], row["model"]) == ("unreadable", None)
    assert (row["epochs"], row["val_top1"]) == (2, 0.75)
    with pytest.raises(ModelFileError) as caught:
        runs.open_run(str(run))
    assert caught.value.message == record.problem


def test_a_run_of_other_bytes_is_unreadable(tmp_path: Path) -> None:
    run = write_run(tmp_path / "r")
    (run / "run.json").write_bytes(b'{"a": "\xff"}')
    assert read(run).status == "unreadable"


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"status": 3},
        {"status": "finished", "best": 1, "test": [], "epochs": "six", "resolved_recipe": None},
        {"status": "finished", "best": {"epoch": True}, "test": {"top1": "high"}, "seconds": None},
        {"status": "finished", "best": {"epoch": 1}, "test": {"top1": 10**400}, "params": 1.5},
    ],
)
def test_an_earlier_versions_run_is_read_as_far_as_it_goes(
    document: dict[str, Any], tmp_path: Path
) -> None:
    run = write_run(tmp_path / "r")
    (run / "run.json").write_text(json.dumps(document))
    record = runs.open_run(str(run))
    row = runs.listed_row(record)
    assert row["status"] == ("finished" if document.get("status") == "finished" else "unknown")
    assert row["test_top1"] is None
    assert row["params"] is None
    assert runs.compared_row(record)["val_loss"] is None
    assert runs.differences([record, record]) == []


def test_a_run_is_running_as_long_as_somebody_holds_it(tmp_path: Path) -> None:
    from zoo.training.run import lock

    run = write_run(tmp_path / "r", status="running")
    assert read(run).status == "killed"
    assert not (run / ".lock").exists()
    held = lock(run)
    assert read(run).status == "running"
    os.close(held)
    assert read(run).status == "killed"
    again = lock(run)  # looking holds nothing
    os.close(again)
    assert read(write_run(tmp_path / "f", status="finished")).status == "finished"


def test_a_run_that_ends_between_two_looks_was_not_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "r", status="running")

    def ended(path: Path) -> bool:
        (path / "run.json").write_text('{"status": "finished"}')
        return False

    monkeypatch.setattr("zoo.runs.record._is_held", ended)
    assert read(run).status == "finished"


def test_runs_are_found_below(tmp_path: Path) -> None:
    for place in ("a", "x/b", "x/y/c", "x/y/z/d", "x/y/z/z/e", "a/inside", ".hidden/f"):
        write_run(tmp_path / place)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "x" / "round").symlink_to(tmp_path)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    names = [os.path.relpath(record.name, tmp_path) for record in runs.find(tmp_path)]
    assert names == ["a", "x/b", "x/y/c", "x/y/z/d"]
    assert [record.name for record in runs.find(tmp_path / "a")] == [str(tmp_path / "a")]
    with pytest.raises(NotFoundError, match="no directory"):
        runs.find(tmp_path / "nowhere")
    with pytest.raises(NotFoundError, match="no directory"):
        runs.find(tmp_path / "file")


def test_when_it_started(tmp_path: Path) -> None:
    run = write_run(tmp_path / "r", started=1_700_000_000.25)
    assert read(run).started == "2023-11-14T22:13:20.250+00:00"
    for damage in ("", "{", "[]", '{"time": "noon"}', '{"event": "started"}'):
        (run / "events.jsonl").write_text(damage)
        os.utime(run / "run.json", (1_600_000_000, 1_600_000_000))
        assert read(run).started == "2020-09-13T12:26:40.000+00:00"


def test_rows_are_sorted_and_gaps_come_last() -> None:
    rows = [{"run": name, "top": top} for name, top in (("a", 2), ("b", None), ("c", 1), ("d", 2))]

    def order(key: str, rename: str) -> str:
        named = [{"run": row["run"], rename: row["top"]} for row in rows]
        return "".join(row["run"] for row in runs.sort_rows(named, key, ["run", rename]))

    assert order("val-loss", "val_loss") == "cadb"
    for descending in ("val_top1", "test_top1", "images_per_second", "started"):
        assert order(descending, descending) == "adcb"
    with pytest.raises(UsageError, match="Did you mean val_loss") as caught:
        runs.sort_rows([], "val_los", ["run", "val_loss"])
    assert caught.value.hint == "Columns: run, val_loss."


def test_differences_are_those_that_differ(tmp_path: Path) -> None:
    def record(name: str, **train: Any) -> runs.Record:
        recipe = {"description": name, "dataset": {"seed": 0}, "train": {"lr": 0.01, **train}}
        return read(write_run(tmp_path / name, resolved_recipe=recipe, pid=len(name), **other))

    other: dict[str, Any] = {"edits": [], "max_steps": None, "future": {"x": 1}}
    one = record("one", seed=0)
    other = {"edits": [{"set": 1}], "seed": 3, "versions": {"zoo": "0.2.0"}, "max_steps": None}
    three = record("three", seed=3, new_key=[1, 2])
    found = {difference.key: difference.values for difference in runs.differences([one, three])}
    assert found == {
        "edits": ([], [{"set": 1}]),
        "seed": (0, 3),
        "versions.zoo": ("0.1.0", "0.2.0"),
        "train.new_key": (None, [1, 2]),
    }
    both = runs.differences([three, one, three])
    assert both[0].values == ([{"set": 1}], [], [{"set": 1}])
    assert runs.differences([one, one]) == []


def test_only_several_runs_compare(tmp_path: Path) -> None:
    one, two = (str(write_run(tmp_path / name)) for name in ("one", "two"))
    assert [record.name for record in runs.open_several([two, one])] == [two, one]
    with pytest.raises(UsageError, match="at least two"):
        runs.open_several([one])
    (tmp_path / "link").symlink_to(one)
    for again in (one, f"{one}/", str(tmp_path / "link")):
        with pytest.raises(UsageError, match="given twice"):
            runs.open_several([one, two, again])
    with pytest.raises(NotFoundError):
        runs.open_several([one, str(tmp_path / "three")])


def test_what_is_no_run_is_suggested(tmp_path: Path) -> None:
    write_run(tmp_path / "lenet5-digits")
    write_run(tmp_path / "vgg")
    for wrong, meant in (
        ("lenet5-digts", "lenet5-digits"),
        ("lenet5-digits/best.safetensors", "lenet5-digits"),
    ):
        with pytest.raises(NotFoundError, match=f"Did you mean {tmp_path / meant}\\?"):
            runs.open_run(str(tmp_path / wrong))
    for wrong in ("resnet", "nowhere/lenet5-digits", "x" * 1000):
        with pytest.raises(NotFoundError) as caught:
            runs.open_run(str(tmp_path / wrong))
        assert "Did you mean" not in caught.value.message
    with pytest.raises(NotFoundError):
        runs.open_run("")


@EVERY_CARD
@pytest.mark.parametrize("num_classes", [None, 7])
def test_parameters_are_counted_without_torch(
    card: catalog.Architecture, num_classes: int | None
) -> None:
    from zoo import modelfile
    from zoo.description import describe

    network = modelfile.outline(describe(card, num_classes=num_classes))
    entries = {
        name: Entry(str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape), 0, 0)
        for name, tensor in network.state_dict().items()
    }
    assert count_params(entries) == sum(p.numel() for p in network.parameters())


def test_parameters_that_a_run_states_are_believed(trained: Path, tmp_path: Path) -> None:
    assert read(write_run(tmp_path / "r", params=123)).params == 123
    bare = write_run(tmp_path / "s")
    content = (trained / "last.safetensors").read_bytes()
    (bare / "last.safetensors").write_bytes(content)
    (bare / "best.safetensors").write_bytes(content[:1000])
    assert read(bare).params == 61_706
    (bare / "last.safetensors").write_bytes(b"")
    assert read(bare).params is None
