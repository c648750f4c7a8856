"""A whole training, from MODEL and a recipe to a run directory."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from zoo import modelfile
from zoo.description import read_description
from zoo.errors import DataError, RecipeError, UsageError
from zoo.surgery import SetHyperparameter
from zoo.training.outcome import Outcome
from zoo.training.preparation import Request, prepare


def finished(**request: Any) -> Outcome:
    request.setdefault("overrides", ("train.epochs=1",))
    session = prepare(Request(**request))
    for _ in session.epochs():
        pass
    return session.outcome()


def test_two_runs_with_one_seed_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("1", "2"):
        finished(model="keras-mnist-cnn", output=tmp_path / name, max_steps=12)
    for file in ("last.safetensors", "best.safetensors", "split.csv"):
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "2" / file).read_bytes()
    other = finished(
        model="keras-mnist-cnn", output=tmp_path / "3", max_steps=12, overrides=("train.seed=1",)
    )
    last = (other.run / "last.safetensors").read_bytes()
    assert last != (tmp_path / "1" / "last.safetensors").read_bytes()
    # Another seed has other weights, but the same test pictures.
    assert (other.run / "split.csv").read_bytes() == (tmp_path / "1" / "split.csv").read_bytes()


def test_the_model_file_says_everything(trained: Path) -> None:
    description = read_description(trained / "best.safetensors")
    assert description.classes == tuple("0123456789")
    assert description.training is not None
    assert description.training.recipe == "digits"
    assert description.preprocessing.mean == (0.306,)
    assert set(description.metrics) == {"epoch", "val_top1", "val_loss"}


def test_the_run_says_everything(trained: Path) -> None:
    run = json.loads((trained / "run.json").read_text())
    assert run["status"] == "finished"
    assert run["exit_code"] == 0
    assert run["resolved_recipe"]["train"]["epochs"] == 6
    assert run["pictures"] == {"train": 1295, "validation": 143, "test": 359}
    assert {"seed", "device", "precision", "threads", "versions", "arguments", "test"} <= set(run)


def test_training_goes_on_from_a_run(trained: Path, tmp_path: Path) -> None:
    before = json.loads((trained / "run.json").read_text())["test"]["loss"]
    outcome = finished(
        model=str(trained), output=tmp_path / "on", overrides=("train.epochs=2", "train.lr=5e-4")
    )
    assert outcome.test is not None
    assert outcome.test.loss < before


def test_layer_settings_keep_the_other_layers_weights(trained: Path, tmp_path: Path) -> None:
    edit = SetHyperparameter(layer="c5", field="out_channels", value=60)
    session = prepare(
        Request(model=str(trained), output=tmp_path / "edited", layer_settings=(edit,))
    )
    before = modelfile.load(trained).get_parameter("c1.weight")
    assert torch.equal(session.learner.network.get_parameter("c1.weight"), before)
    assert session.learner.network.get_parameter("c5.weight").shape[0] == 60
    assert modelfile.load(session.run.last).get_parameter("f6.weight").shape == (84, 60)


def test_a_recipe_decides_size_and_channels_of_a_bare_architecture(tmp_path: Path) -> None:
    session = prepare(
        Request(
            model="lenet5",
            output=tmp_path / "run",
            overrides=("preprocess.size=[40, 36]", "preprocess.channels=3"),
        )
    )
    assert session.prepared.description.input_shape == (3, 40, 36)


def test_a_recipe_that_overrides_a_models_preprocessing_is_noted(
    trained: Path, tmp_path: Path
) -> None:
    session = prepare(
        Request(model=str(trained), output=tmp_path / "run", overrides=("preprocess.mean=0.5",))
    )
    assert "replaces that of" in session.prepared.notes[0]
    with pytest.raises(UsageError, match="Pictures of 64×64 are asked for"):
        prepare(Request(model=str(trained), overrides=("preprocess.size=64",)))


def test_without_validation_the_last_epoch_counts(tmp_path: Path) -> None:
    outcome = finished(
        model="lenet5",
        output=tmp_path / "run",
        overrides=("dataset.validation=0", "dataset.test=0", "train.epochs=2"),
    )
    assert outcome.best.epoch == 2
    assert outcome.best.top1 is None
    assert outcome.test is None


def test_nothing_is_made_when_the_request_is_wrong(in_tmp: Path) -> None:
    for wrong, error in (
        ({"model": "lenet6"}, UsageError),
        ({"model": "lenet5", "recipe": "digitz"}, RecipeError),
        ({"model": "lenet5", "device": "cuda:7"}, UsageError),
        ({"model": "lenet5", "overrides": ("dataset.test=0.999",)}, DataError),
    ):
        with pytest.raises(error):
            prepare(Request(**wrong))  # type: ignore[arg-type]
    assert not list(in_tmp.iterdir())
