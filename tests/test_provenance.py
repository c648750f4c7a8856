"""Which recipe, pictures and split a command works on."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ended
from tests.pictures import write_folder
from zoo import modelfile
from zoo.description import read_description
from zoo.errors import DataError, UsageError
from zoo.provenance import Task, task_of

Zoo = Callable[..., Ended]


@pytest.fixture(scope="module")
def pics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("pics"), count=60)


@pytest.fixture(scope="module")
def run(pics: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LeNet-5 trained, hardly, on a folder of pictures."""
    from zoo.cli.main import main

    path = tmp_path_factory.mktemp("of-folder") / "run"
    command = ["train", "lenet5", "--data", str(pics), "--epochs", "1", "-o", str(path)]
    assert main([*command, "--set", "dataset.test=0.2", "--quiet", "--json"]) == 0
    return path


@pytest.mark.parametrize(
    ("model", "given", "weights", "name"),
    [
        ("lenet5", False, False, "digits"),
        ("lenet5", True, False, "folder"),
        ("lenet5", True, True, "folder-finetune"),
        ("RUN", False, False, "folder"),
        ("RUN", True, False, "folder"),
        ("DIGITS", False, False, "digits"),
        ("DIGITS", True, False, "folder-finetune"),  # digits lie in no directory
    ],
)
def test_the_recipe_that_is_meant(
    model: str, given: bool, weights: bool, name: str, run: Path, trained: Path, pics: Path
) -> None:
    source = modelfile.resolve({"RUN": str(run), "DIGITS": str(trained)}.get(model, model))
    task = task_of(source, data=pics if given else None, weights=trained if weights else None)
    assert task.name == name
    asked = task_of(source, recipe_name="shapes", data=None)
    assert asked.name == "shapes"


def test_a_run_remembers_its_pictures_and_its_split(run: Path, pics: Path) -> None:
    task = task_of(modelfile.resolve(str(run)))
    assert task.given == pics
    assert task.recorded is not None
    assert len(task.recorded) == 60
    assert task.notes == ()
    assert json.loads((run / "run.json").read_text())["data"] == str(pics)
    assert str(pics) not in (run / "best.safetensors").read_bytes().decode("latin1")


def test_another_split_of_the_same_pictures_is_noted(run: Path) -> None:
    task = task_of(modelfile.resolve(str(run)), overrides=("dataset.seed=1",))
    assert task.recorded is None
    assert "trained on another split of folder" in task.notes[0]


def splits(run: Path) -> dict[str, str]:
    rows = (run / "split.csv").read_text().splitlines()[1:]
    return {row.split(",")[0]: row.split(",")[2] for row in rows}


def test_pictures_added_later_move_no_old_one(
    zoo: Zoo, run: Path, pics: Path, tmp_path: Path
) -> None:
    more = tmp_path / "more"
    shutil.copytree(pics, more)
    write_folder(more, count=120)  # the first 60 are the same
    again = tmp_path / "again"
    retrained = zoo("train", run, "--data", more, "--epochs", 1, "-o", again, "--json", "--quiet")
    assert retrained.code == 0, retrained.stdout
    before, after = splits(run), splits(again)
    assert len(after) == 120
    assert {name: after[name] for name in before} == before
    assert list(after.values()).count("test") == 24
    evaluated = zoo("evaluate", run, "--data", more, "--json", "--quiet").json
    assert evaluated["images"] == 24
    assert "60 pictures are new since the split was drawn" in " ".join(evaluated["notes"])
    # What was measured when the model learned stays, though the mean of the pictures moved.
    before, after = (read_description(path / "best.safetensors") for path in (run, again))
    assert before.preprocessing == after.preprocessing


def test_pictures_that_are_gone_are_said(zoo: Zoo, run: Path, pics: Path, tmp_path: Path) -> None:
    fewer = tmp_path / "fewer"
    shutil.copytree(pics, fewer)
    tested = [name for name, split in splits(run).items() if split == "test"]
    (fewer / tested[0]).unlink()
    evaluated = zoo("evaluate", run, "--data", fewer, "--json", "--quiet").json
    assert evaluated["images"] == 11
    assert "1 picture of the split is no longer there: 1 of test" in evaluated["notes"]


def test_a_next_command_names_the_pictures_place_where_nothing_else_does(
    zoo: Zoo, run: Path, tmp_path: Path
) -> None:
    made = tmp_path / "popped.safetensors"
    assert f"zoo train {made} --data DIR" in zoo("prune", run, "--pop", 1, "-o", made).stdout
    assert f"zoo evaluate {run}\n" in zoo("show", run).stdout


def test_weights_of_a_run_never_learn_its_test_pictures(
    zoo: Zoo, run: Path, pics: Path, tmp_path: Path
) -> None:
    ended = zoo("train", "lenet5", "--weights", run, "--data", pics, "--max-steps", 1,
                "-o", tmp_path / "w", "--json")  # fmt: skip
    assert ended.code == 0, ended.stdout
    assert splits(tmp_path / "w") == splits(run)
    assert ended.json["test"]["images"] == 12


def test_another_network_shares_a_split_by_its_file(
    zoo: Zoo, run: Path, pics: Path, tmp_path: Path
) -> None:
    command = ("train", "keras-mnist-cnn", "--data", pics, "--max-steps", 1, "--json", "--quiet")
    shares = ("--set", "dataset.test=0.2")
    one = zoo(*command, *shares, "--split-file", run / "split.csv", "-o", tmp_path / "1")
    assert one.code == 0, one.stdout
    assert splits(tmp_path / "1") == splits(run)
    other = zoo(*command, *shares, "--set", "dataset.seed=7", "-o", tmp_path / "2")
    assert other.code == 0
    assert splits(tmp_path / "2") != splits(run)


def test_a_split_file_where_nothing_is_drawn_does_not_apply(
    zoo: Zoo, run: Path, tmp_path: Path
) -> None:
    for split in ("train", "val", "test"):
        write_folder(tmp_path / "pics" / split, count=12)
    for command in (("train", "lenet5"), ("data", "check")):
        ended = zoo(*command, "--data", tmp_path / "pics", "--split-file", run / "split.csv")
        assert ended.code == 2, command
        assert "--split-file does not apply" in ended.stderr


def test_a_model_file_outside_its_run_says_that_the_split_is_drawn_again(
    zoo: Zoo, run: Path, pics: Path, tmp_path: Path
) -> None:
    shutil.copy(run / "best.safetensors", tmp_path / "m.safetensors")
    found = zoo("evaluate", tmp_path / "m.safetensors", "--data", pics, "--json").json
    assert "lies in no run" in " ".join(found["notes"])


def test_a_class_without_training_pictures_is_an_error(
    zoo: Zoo, run: Path, pics: Path, tmp_path: Path
) -> None:
    lines = (run / "split.csv").read_text().splitlines()
    moved = [line.replace(",train", ",test") if "circle" in line else line for line in lines]
    (tmp_path / "split.csv").write_text("\n".join(moved) + "\n")
    ended = zoo("train", "lenet5", "--data", pics, "--split-file", tmp_path / "split.csv",
                "--set", "dataset.test=0.2", "-o", tmp_path / "r")  # fmt: skip
    assert ended.code == 4
    assert "No picture of circle is left in train" in ended.stderr


def test_a_split_file_of_other_pictures_is_an_error(zoo: Zoo, run: Path, tmp_path: Path) -> None:
    ended = zoo("train", "lenet5", "--split-file", run / "split.csv", "-o", tmp_path / "r")
    assert ended.code == 4
    assert "None of the pictures is in the split file" in ended.stderr
    assert not (tmp_path / "r").exists()
    ended = zoo("train", "lenet5", "--split-file", tmp_path / "none.csv")
    assert ended.code == 4


def test_without_test_pictures_validation_is_evaluated_and_said(
    zoo: Zoo, pics: Path, tmp_path: Path
) -> None:
    ended = zoo("train", "lenet5", "--data", pics, "--max-steps", 1, "-o", tmp_path / "r", "--json")
    assert ended.json["test"] is None
    found = zoo("evaluate", tmp_path / "r", "--json").json
    assert found["split"] == "validation"
    assert "no test pictures" in found["notes"][0]
    assert zoo("evaluate", tmp_path / "r", "--split", "test").code == 2


def test_a_split_is_recorded_only_where_zoo_drew_it(zoo: Zoo, tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        write_folder(tmp_path / "pics" / split, count=12)
    ended = zoo("train", "lenet5", "--data", tmp_path / "pics", "--max-steps", 1, "-o",
                tmp_path / "run", "--json")  # fmt: skip
    assert ended.code == 0
    assert ended.json["test"]["images"] == 12
    assert not (tmp_path / "run" / "split.csv").exists()
    surplus = zoo("train", "lenet5", "--data", tmp_path / "pics", "--set", "dataset.test=0.1")
    assert surplus.code == 3
    assert "a test split of its own" in surplus.stderr
    assert "--set dataset.test=null" in surplus.stderr


def test_classes_that_differ_name_the_way_out(run: Path, trained: Path, pics: Path) -> None:
    from zoo.evaluation import evaluate
    from zoo.training.preparation import Request, prepare

    with pytest.raises(DataError, match="are new to the model") as caught:
        evaluate(trained, recipe_name="folder", data_directory=pics)
    assert f"zoo train {trained} --recipe folder" in caught.value.hint
    with pytest.raises(UsageError, match="has weights already"):
        prepare(Request(model=str(run), weights=trained))


def same_figures(one: Path, other: Path) -> bool:
    """Whether the results of two runs differ in nothing but time."""
    times = ("seconds", "images_per_second")
    tables = []
    for run in (one, other):
        rows = list(csv.DictReader((run / "results.csv").read_text().splitlines()))
        tables.append([{k: v for k, v in row.items() if k not in times} for row in rows])
    assert tables[0]
    return tables[0] == tables[1]


def test_a_run_is_repeated_to_the_bit(zoo: Zoo, in_tmp: Path) -> None:
    made = zoo("train", "lenet5", "--epochs", 2, "--lr", "1e-3", "--seed", 3, "--quiet",
               "--set", "augment.rotation_range=25", "--set", "dataset.seed=5")  # fmt: skip
    assert made.code == 0, made.stderr
    first = Path("runs/lenet5-digits")
    for number, place in enumerate((first, first / "run.json"), start=2):
        ended = zoo("train", "lenet5", "--recipe", place, "--json", "--quiet")
        assert ended.code == 0, ended.stdout
        again = Path(f"runs/lenet5-digits-{number}")  # named after the run's recipe
        assert ended.json["run"] == str(again)
        assert json.loads((again / "run.json").read_text())["recipe"] == "digits"
        for name in ("last.safetensors", "best.safetensors", "split.csv"):
            assert (again / name).read_bytes() == (first / name).read_bytes(), name
        assert same_figures(first, again)
    changed = zoo("train", "lenet5", "--recipe", first, "--seed", 4, "--max-steps", 2, "--quiet")
    assert changed.code == 0
    last = Path("runs/lenet5-digits-4")
    assert not same_figures(first, last)
    recipes = [
        json.loads((run / "run.json").read_text())["resolved_recipe"] for run in (first, last)
    ]
    assert recipes[1].pop("train") == {**recipes[0].pop("train"), "seed": 4}
    assert recipes[0] == recipes[1]


def repeat(run: Path, **options: Any) -> Task:
    return task_of(modelfile.resolve("lenet5"), recipe_name=str(run), **options)


def test_a_repeated_run_finds_its_pictures_and_keeps_its_split(
    zoo: Zoo, run: Path, pics: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    ended = zoo("train", "lenet5", "--recipe", run, "-o", again, "--json", "--quiet")
    assert ended.code == 0, ended.stdout
    assert (again / "last.safetensors").read_bytes() == (run / "last.safetensors").read_bytes()
    assert (again / "split.csv").read_bytes() == (run / "split.csv").read_bytes()
    task = repeat(run)
    assert (task.name, task.given, task.must_match) == ("folder", pics, False)
    assert task.recorded is not None
    assert len(task.recorded) == 60


def test_a_repeated_run_takes_what_is_asked_instead(run: Path, pics: Path, tmp_path: Path) -> None:
    assert repeat(run, data=tmp_path).given == tmp_path
    other = tmp_path / "split.csv"
    lines = (run / "split.csv").read_text().splitlines()
    other.write_text("\n".join(lines[:11]) + "\n")
    task = repeat(run, split_file=other)
    assert task.must_match
    assert task.recorded is not None
    assert len(task.recorded) == 10
    assert task.given == pics
    assert repeat(run, overrides=("dataset.seed=1",)).recorded is None
    assert repeat(run, overrides=("dataset.seed=1",)).given == pics
    assert repeat(run, overrides=("dataset.root=/elsewhere",)).given is None
    assert repeat(run, overrides=("train.lr=0.5",)).recorded == repeat(run).recorded


def without_pictures(run: Path, copy: Path, **dataset: str) -> Path:
    """A copy of the run whose pictures have vanished, and its recipe changed."""
    shutil.copytree(run, copy)
    document = json.loads((copy / "run.json").read_text())
    document["resolved_recipe"]["dataset"].update(dataset)
    document["data"] = str(copy.parent / "gone")
    (copy / "run.json").write_text(json.dumps(document))
    return copy


def test_pictures_that_vanished_are_named(zoo: Zoo, run: Path, tmp_path: Path) -> None:
    moved = without_pictures(run, tmp_path / "moved")
    commands = (
        ("evaluate", moved),
        ("train", moved, "-o", tmp_path / "r"),
        ("train", "lenet5", "--recipe", moved, "-o", tmp_path / "r"),
    )
    for command in commands:
        ended = zoo(*command)
        assert ended.code == 4, command
        assert f"There is no directory {tmp_path / 'gone'}." in ended.stderr
        assert "--data DIR" in ended.stderr


def test_pictures_that_moved_are_looked_for_as_ever(run: Path, tmp_path: Path) -> None:
    for name, dataset in (("rooted", {"root": "/elsewhere"}), ("named", {"source": "mnist"})):
        assert repeat(without_pictures(run, tmp_path / name, **dataset)).given is None
    moved = without_pictures(run, tmp_path / "moved")
    assert repeat(moved).recorded == repeat(run).recorded
    (moved / "split.csv").unlink()
    assert repeat(moved).recorded is None


def test_what_a_model_learned_stays_apart_when_another_run_is_repeated(
    run: Path, tmp_path: Path
) -> None:
    """The model's own split wins over that of the run whose recipe is asked for."""
    other = tmp_path / "other"
    shutil.copytree(run, other)
    lines = (run / "split.csv").read_text().splitlines()
    swapped = [line.replace(",test", ",train") for line in lines]
    surplus = "new.png,0123456789abcdef,test"
    (other / "split.csv").write_text("\n".join([*swapped, surplus]) + "\n")
    own = repeat(run).recorded
    assert own is not None
    for task in (
        task_of(modelfile.resolve(str(run)), recipe_name=str(other)),
        repeat(other, weights=run),
    ):
        assert task.recorded == {**own, "0123456789abcdef": "test"}
    shutil.copy(run / "best.safetensors", tmp_path / "m.safetensors")
    alone = task_of(modelfile.resolve(str(tmp_path / "m.safetensors")), recipe_name=str(run))
    assert alone.recorded == own
    assert alone.notes == ()


def test_a_runs_recipe_is_a_recipe_for_every_command(zoo: Zoo, run: Path, pics: Path) -> None:
    file = run / "run.json"
    assert zoo("recipes", "validate", run, file).stdout == f"{run}: ok\n{file}: ok\n"
    shown = zoo("recipes", "show", file)
    assert shown.code == 0
    assert "source: folder" in shown.stdout
    assert "{" not in shown.stdout.partition("\n")[0]
    assert zoo("recipes", "show", run, "--json").json["name"] == "folder"
    checked = zoo("data", "check", run, "--data", pics, "--json").json
    assert checked["recipe"] == "folder"
    assert zoo("recipes", "validate", run, "--set", "train.epochs=-1").code == 3


def test_a_damaged_run_can_not_be_repeated(zoo: Zoo, run: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(run, damaged)
    text = (damaged / "run.json").read_text()
    (damaged / "run.json").write_text(text[: len(text) // 2])
    ended = zoo("train", "lenet5", "--recipe", damaged, "-o", tmp_path / "r", "--json")
    assert ended.code == 3
    assert ended.json["error"]["kind"] == "RecipeError"
    (detail,) = ended.json["error"]["details"]
    assert detail["file"] == str(damaged / "run.json")
    assert detail["line"] > 1
    assert detail["column"] >= 1
    assert not (tmp_path / "r").exists()
