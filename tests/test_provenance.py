"""Which recipe, pictures and split a command works on."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ended
from tests.pictures import write_folder
from zoo import modelfile
from zoo.description import read_description
from zoo.errors import DataError, UsageError
from zoo.provenance import task_of

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
    from zoo.training.preparation import Request, prepare

    with pytest.raises(DataError, match="are new to the model") as caught:
        prepare(Request(model=str(trained), recipe="folder", data=pics))
    assert f"zoo train lenet5 --weights {trained}" in caught.value.hint
    with pytest.raises(UsageError, match="has weights already"):
        prepare(Request(model=str(run), weights=trained))
