"""`zoo runs list | show | compare`."""

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ended, zoo_process
from tests.made_runs import HEAD, results, write_run
from zoo.cli.sparkline import sparkline

Zoo = Callable[..., Ended]

TEST = {"top1": 0.75, "top5": 1.0, "loss": 0.5, "images": 359, "naive_top1": 0.1}


@pytest.fixture
def three(in_tmp: Path) -> Path:
    """Three runs and a damaged one; `b` is the newest, `c` the best, `a` was killed."""
    write_run(Path("runs/a"), results(0.5, 0.8), started=1e9, status="running")
    write_run(Path("runs/b"), results(0.5), started=3e9, recipe="shapes", test=TEST)
    write_run(Path("runs/c"), results(0.9, 0.6), started=2e9, status="diverged", error="NaN")
    write_run(Path("runs/deep/d"))
    Path("runs/deep/d/run.json").write_text("{")
    os.utime("runs/deep/d/run.json", (1, 1))
    return in_tmp


def test_runs_are_listed_newest_first(zoo: Zoo, three: Path) -> None:
    ended = zoo("runs", "list")
    assert ended.code == 0
    rows = [line.split() for line in ended.stdout.splitlines()[2:]]
    assert [row[0] for row in rows] == ["runs/b", "runs/c", "runs/a", "runs/deep/d"]
    assert [row[3] for row in rows[:3]] == ["finished", "diverged", "killed"]
    assert rows[3][1] == "unreadable"
    assert ended.stderr == (
        "note: runs/deep/d/run.json:1:2: is no valid JSON: "
        "Expecting property name enclosed in double quotes.\n"
    )


def test_the_lists_json(zoo: Zoo, three: Path) -> None:
    document = zoo("runs", "list", "runs", "--json").json
    assert len(document["notes"]) == 1
    assert document["runs"][0] == {
        "run": "runs/b",
        "model": "lenet5",
        "recipe": "shapes",
        "status": "finished",
        "epochs": 1,
        "planned_epochs": 3,
        "val_top1": 0.5,
        "best_epoch": 1,
        "test_top1": 0.75,
        "params": None,
        "seconds": 2.0,
        "started": "2065-01-24T05:20:00.000+00:00",
    }


def test_the_list_is_sorted_by_any_column(zoo: Zoo, three: Path) -> None:
    def names(key: str) -> str:
        found = zoo("runs", "list", "--sort", key, "--json").json["runs"]
        return "".join(row["run"][-1] for row in found)

    assert names("val_top1") == names("val-top1") == "cabd"
    assert names("test_top1")[0] == "b"
    assert names("recipe") == "acbd"
    assert names("epochs") == "dbac"
    for key in zoo("runs", "list", "--json").json["runs"][0]:
        assert len(names(key)) == 4
    ended = zoo("runs", "list", "--sort", "val_top2")
    assert ended.code == 2
    assert "--sort val_top2: no column has that name. Did you mean val_top1?" in ended.stderr


def test_the_list_as_csv_and_markdown(zoo: Zoo, three: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(zoo("runs", "list", "--csv").stdout)))
    assert [row["val_top1"] for row in rows] == ["0.5", "0.9", "0.8", ""]
    assert rows[0]["started"].startswith("2065-01-24T")
    markdown = zoo("runs", "list", "--markdown").stdout.splitlines()
    assert markdown[0].startswith("| Run | Model |")
    assert len(markdown) == 6


def test_no_runs_and_no_directory(zoo: Zoo, in_tmp: Path) -> None:
    ended = zoo("runs", "list")
    assert (ended.code, ended.stdout) == (2, "")
    assert "There is no directory runs." in ended.stderr
    assert "zoo train lenet5" in ended.stderr
    Path("runs").mkdir()
    ended = zoo("runs", "list")
    assert ended.code == 0
    assert ended.stdout.splitlines()[0].startswith("Run ")
    assert len(ended.stdout.splitlines()) == 2
    assert ended.stderr == "note: no run lies in runs\n"
    assert zoo("runs", "list", "--json").json["runs"] == []


def test_a_narrow_terminal_loses_columns_but_no_digit(
    zoo: Zoo, three: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.cli.runs.terminal_width", lambda: 80)
    monkeypatch.setattr("zoo.cli.output.terminal_width", lambda: 80)
    for command in ("list", "compare runs/a runs/b runs/c", "show runs/c"):
        text = zoo("runs", *command.split()).stdout
        table = text.split("\n\n")[1 if "show" in command else 0]
        assert max(map(len, table.splitlines())) <= 80
        assert "90.00 %" in table
        assert "left out, for the terminal is narrow: " in text or "show" in command
        assert "left out" not in zoo("runs", *command.split(), "--csv").stdout
    assert "Recipe" in zoo("runs", "list", "--markdown").stdout


def test_a_real_run_is_shown(zoo: Zoo, trained: Path) -> None:
    text = zoo("runs", "show", trained).stdout
    stated = json.loads((trained / "run.json").read_text())
    for part in (
        f"{trained}: lenet5 on digits, finished",
        f"test accuracy {100 * stated['test']['top1']:.2f} % of 359 pictures",
        "always guessing '3' gives 10.31 %",
        f"best epoch {stated['best']['epoch']}: ",
        "6 of 6 epochs in ",
        "parameters  61,706",
        f"torch {stated['versions']['torch']}",
        f"  zoo evaluate {trained}",
        f"  zoo report {trained}",
        f"  zoo train lenet5 --recipe {trained}",
    ):
        assert part in text
    assert "--resume" not in text
    document = zoo("runs", "show", trained, "--json").json
    assert document["status"] == "finished"
    assert document["test"] == stated["test"]
    assert document["best"] == stated["best"]
    assert document["final"] == document["epochs"][-1]
    assert len(document["epochs"]) == 6
    assert document["settings"]["resolved_recipe"] == stated["resolved_recipe"]
    for key in stated.keys() - {"schema", "status", "exit_code", "run", "epochs", "best", "test"}:
        assert key in document["settings"] or document[key] == stated[key]


def test_csv_of_a_run_is_its_results(zoo: Zoo, trained: Path) -> None:
    shown = list(csv.DictReader(io.StringIO(zoo("runs", "show", trained, "--csv").stdout)))
    kept = list(csv.DictReader(io.StringIO((trained / "results.csv").read_text())))
    assert shown == kept


def test_a_long_run_shows_its_ends_and_its_best(zoo: Zoo, tmp_path: Path) -> None:
    top1 = [0.5 + number / 10_000 for number in range(2000)]
    top1[999] = 0.99
    run = write_run(tmp_path / "r", results(*top1))
    text = zoo("runs", "show", run).stdout
    table = text.split("\n\n")[1].splitlines()[2:]
    shown = ["1", "2", "3", "...", "1000", "...", "1998", "1999", "2000"]
    assert [line.split()[0] for line in table] == shown
    assert len(text.splitlines()) < 40
    assert max(map(len, text.splitlines())) < 120
    assert len(zoo("runs", "show", run, "--json").json["epochs"]) == 2000
    assert len(zoo("runs", "show", run, "--csv").stdout.splitlines()) == 2001


def test_a_short_run_shows_each_epoch_once(zoo: Zoo, tmp_path: Path) -> None:
    run = write_run(tmp_path / "r", results(0.1, 0.2, 0.3, 0.9, 0.4, 0.5, 0.6))
    table = zoo("runs", "show", run).stdout.split("\n\n")[1].splitlines()[2:]
    assert [line.split()[0] for line in table] == list("1234567")


def test_what_to_do_next_depends_on_how_it_ended(zoo: Zoo, tmp_path: Path) -> None:
    for status, resumes in (
        ("running", True),  # nobody holds it
        ("interrupted", True),
        ("finished", False),
        ("diverged", False),
        ("failed", True),  # such as by a full disk
    ):
        run = write_run(tmp_path / f"a {status}", results(0.5), status=status, error="why")
        assert "--resume" not in zoo("runs", "show", run).stdout  # nothing to go on from
        (run / "state.safetensors").touch()
        text = zoo("runs", "show", run).stdout
        assert (f"  zoo train --resume '{run}'" in text) == resumes
        assert "zoo evaluate" not in text  # no weights lie there
        assert ("--lr 0.001" in text) == (status == "diverged")  # a tenth of its own
        assert "error: why" in text


def test_the_command_of_a_run_can_be_pasted(zoo: Zoo, tmp_path: Path) -> None:
    command = ["train", "my model", "--set", "augment.zoom_range=[0.9, 1.1]"]
    run = write_run(tmp_path / "r", command=command, origin="my model")
    text = zoo("runs", "show", run).stdout
    assert "zoo train 'my model' --set 'augment.zoom_range=[0.9, 1.1]'\n" in text
    assert f"zoo train 'my model' --recipe {run}\n" in text


def test_a_run_without_an_epoch_is_shown(zoo: Zoo, tmp_path: Path) -> None:
    run = write_run(tmp_path / "r", status="failed", error="The disk is full.")
    ended = zoo("runs", "show", run)
    assert ended.code == 0
    assert "error: The disk is full." in ended.stdout
    assert "\nnone of 3 epochs is finished\n" in ended.stdout
    document = zoo("runs", "show", run, "--json").json
    assert (document["best"], document["final"], document["test"]) == (None, None, None)
    assert document["epochs"] == []
    assert zoo("runs", "show", run, "--csv").stdout.count("\n") == 1


def test_damage_is_noted_or_an_error(zoo: Zoo, three: Path) -> None:
    with Path("runs/c/results.csv").open("a") as file:
        file.write("3,2.0,10")
    ended = zoo("runs", "show", "runs/c", "--json")
    assert len(ended.json["epochs"]) == 2
    assert "breaks off" in ended.json["notes"][0]
    assert "breaks off" in zoo("runs", "compare", "runs/b", "runs/c").stderr
    for command in ("show", "compare runs/a"):
        ended = zoo("runs", *command.split(), "runs/deep/d")
        assert ended.code == 5
        assert "runs/deep/d/run.json:1:2: is no valid JSON" in ended.stderr
    ended = zoo("runs", "show", "runs/e", "--json")
    assert ended.code == 2
    assert ended.json["error"]["kind"] == "NotFoundError"


def test_a_run_that_does_not_say_what_was_trained_is_noted(zoo: Zoo, three: Path) -> None:
    Path("runs/c/run.json").write_text("{}")
    note = "note: runs/c/run.json does not say what was trained."
    for command in ("list", "show runs/c", "compare runs/b runs/c"):
        ended = zoo("runs", *command.split())
        assert ended.code == 0
        assert note in ended.stderr.splitlines()
    assert zoo("runs", "compare", "runs/a", "runs/b").stderr == ""


def test_nan_in_results_is_null(zoo: Zoo, tmp_path: Path) -> None:
    run = write_run(tmp_path / "r", f"{HEAD}\n1,1,1,0.1,nan,0.5,inf,0.5\n2,1,1,0.1,2.0,,,\n")
    ended = zoo("runs", "show", run, "--json")
    assert [row["train_loss"] for row in ended.json["epochs"]] == [None, 2.0]
    assert [row["val_loss"] for row in ended.json["epochs"]] == [None, None]
    assert zoo("runs", "show", run).code == 0


def test_huge_losses_stay_short_wherever_they_are_shown(zoo: Zoo, in_tmp: Path) -> None:
    huge = 123_412_345.6
    rows = f"{HEAD}\n1,2,100,0.1,{huge},0.5,{huge},0.5\n2,2,100,0.1,{huge},0.5,{huge},0.5\n"
    for name in "ab":
        best = {"epoch": 1, "top1": 0.5, "loss": huge}
        write_run(Path(name), rows, best=best, test={**TEST, "loss": huge})
    for command, least in (("show a", 8), ("compare a b", 2)):
        text = zoo("runs", *command.split()).stdout
        assert text.count("1.234e+08") >= least
        assert "1234123" not in text
    assert str(huge) in zoo("runs", "compare", "a", "b", "--csv").stdout


def test_one_epoch_and_one_picture(zoo: Zoo, tmp_path: Path) -> None:
    recipe = {"dataset": {"source": "digits"}, "train": {"epochs": 1}}
    run = write_run(
        tmp_path / "r", results(0.5), resolved_recipe=recipe, test={**TEST, "images": 1}
    )
    text = zoo("runs", "show", run).stdout
    assert "of 1 picture (" in text
    assert "1 of 1 epoch in " in text


def test_runs_compare(zoo: Zoo, three: Path) -> None:
    recipe = {"train": {"epochs": 3, "lr": 0.5}}
    write_run(Path("runs/e"), results(0.7), resolved_recipe=recipe, seed=7, later={"key": 1})
    document = zoo("runs", "compare", "runs/e", "runs/c", "runs/b", "--json").json
    assert document["runs"][1] == {
        "run": "runs/c",
        "val_top1": 0.9,
        "val_loss": 0.4,
        "test_top1": None,
        "params": None,
        "seconds": 4.0,
        "images_per_second": 100.0,
        "epochs": 2,
    }
    assert {one["key"]: one["values"] for one in document["differences"]} == {
        "recipe": ["digits", "digits", "shapes"],
        "seed": [7, 0, 0],
        "dataset.source": [None, "digits", "digits"],
        "train.lr": [0.5, 0.01, 0.01],
    }
    sorted_rows = zoo("runs", "compare", "runs/e", "runs/c", "runs/b", "--sort", "val_top1",
                      "--json").json  # fmt: skip
    assert [row["run"] for row in sorted_rows["runs"]] == ["runs/c", "runs/e", "runs/b"]
    assert sorted_rows["differences"][1] == {"key": "seed", "values": [0, 7, 0]}


def test_the_comparison_as_text_and_csv(zoo: Zoo, three: Path) -> None:
    write_run(Path("runs/e"), results(0.7), seed=7, edits=[{"edit": "set", "value": 1}])
    text = zoo("runs", "compare", "runs/c", "runs/e").stdout
    figures, settings = text.split("\n\n")
    assert [line.split()[0] for line in figures.splitlines()[2:]] == ["runs/c", "runs/e"]
    lines = [line.split() for line in settings.splitlines()]
    assert lines[0] == ["Setting", "runs/c", "runs/e"]
    assert lines[2] == ["seed", "0", "7"]
    assert lines[3] == ["edits", "–", '[{"edit":', '"set",', '"value":', "1}]"]
    rows = list(
        csv.DictReader(io.StringIO(zoo("runs", "compare", "runs/c", "runs/e", "--csv").stdout))
    )
    assert [row["seed"] for row in rows] == ["0", "7"]
    assert [row["val_top1"] for row in rows] == ["0.9", "0.7"]
    assert json.loads(rows[1]["edits"]) == [{"edit": "set", "value": 1}]
    write_run(Path("runs/f"), results(0.7), seed=7, edits=[{"edit": "set", "value": 1}])
    same = zoo("runs", "compare", "runs/e", "runs/f").stdout
    assert same.endswith("\n\nThe settings are the same.\n")


def test_options_of_other_sources_and_schedules_are_no_difference(zoo: Zoo, in_tmp: Path) -> None:
    train = {"epochs": 3, "schedule": "constant"}
    digits = {"dataset": {"source": "digits", "images": 2000}, "train": {**train, "gamma": 0.1}}
    shapes = {"dataset": {"source": "shapes", "images": 500}, "train": {**train, "gamma": 0.5}}
    for name, recipe in (("a", digits), ("b", shapes)):
        write_run(Path(name), results(0.5), resolved_recipe=recipe)
    found = zoo("runs", "compare", "a", "b", "--json").json["differences"]
    assert {one["key"]: one["values"] for one in found} == {
        "dataset.source": ["digits", "shapes"],
        "dataset.images": [None, 500],
    }


def test_runs_judged_by_different_pictures_are_told_apart(zoo: Zoo, in_tmp: Path) -> None:
    split = "path,hash,split\n1,aa,{}\n2,bb,validation\n3,cc,test\n"
    for name, digest, part in (("a", "x", "train"), ("b", "y", "validation"), ("c", "x", "train")):
        run = write_run(
            Path(name), results(0.5), test=TEST, pictures_digest=digest,
            pictures={"validation": 2, "test": 1},
        )  # fmt: skip
        (run / "split.csv").write_text(split.format(part))
    assert zoo("runs", "compare", "a", "c").stderr == ""
    # The test pictures are the same.
    assert zoo("runs", "compare", "a", "b", "c").stderr == (
        "note: runs judged by different pictures do not compare: "
        "a, c by 2 validation pictures of digits; b by 2 validation pictures of digits\n"
    )
    Path("b/split.csv").unlink()
    note = zoo("runs", "compare", "a", "b", "--json").json["notes"][0]
    assert "a by 1 test picture of digits; b by 1 test picture of digits; " in note


def test_comparing_takes_two(zoo: Zoo, three: Path) -> None:
    for wrong in (("runs/a",), ("runs/a", "runs/a"), ("runs/a", "runs/b", "runs/a/")):
        assert zoo("runs", "compare", *wrong).code == 2
    assert zoo("runs", "compare").code == 2
    ended = zoo("runs", "compare", "runs/a", "runs/b", "--sort", "sedonds")
    assert ended.code == 2
    assert "Did you mean seconds?" in ended.stderr
    ended = zoo("runs", "compare", "runs/a", "runs/bb")
    assert ended.code == 2
    assert "Did you mean runs/b?" in ended.stderr


def test_curves() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([3, 2, 1]) == "█▅▁"
    assert sparkline([2, None, float("nan"), 4, float("inf")]) == "▁  █ "
    assert sparkline([1, 1, 1]) == "▄▄▄"
    assert sparkline([]) == sparkline([None, float("nan")]) == ""
    assert sparkline([1e308, -1e308, 1e308]) == "█▁█"  # wider apart than a number can be
    assert len(sparkline(list(range(2000)))) == 40
    assert sparkline(list(range(2000)))[0] == "▁"
    assert sparkline([0, 7], encoding="ascii") == "_#"
    for encoding in (None, "ascii", "latin-1", "no-such-encoding"):
        assert sparkline([0, 1, 5], encoding=encoding).isascii()


def test_a_terminal_without_blocks_gets_ascii(tmp_path: Path) -> None:
    run = write_run(tmp_path / "r", results(0.5, 0.6, 0.9))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    ended = zoo_process("runs", "show", run, env=environment)
    assert ended.returncode == 0
    assert "val top-1  _:#  50.00 % to 90.00 %" in ended.stdout


def test_what_was_overridden_is_shown(zoo: Zoo, tmp_path: Path) -> None:
    change = {"epoch": 2, "step": 3, "differences": ["train.lr: 0.1 before, 0.2 now"]}
    run = write_run(tmp_path / "r", results(0.5), overridden=[change])
    shown = zoo("runs", "show", run).stdout
    assert "  overridden  train.lr: 0.1 before, 0.2 now, from epoch 2, step 4 on" in shown
    assert zoo("runs", "show", run, "--json").json["settings"]["overridden"] == [change]


@pytest.mark.parametrize("damaged", ["x", [1], [{"epoch": "x"}], 3])
def test_a_damaged_list_of_what_was_overridden(damaged: Any, zoo: Zoo, tmp_path: Path) -> None:
    assert zoo("runs", "show", write_run(tmp_path / "r", overridden=damaged)).code == 0
