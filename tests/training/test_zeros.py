"""Weights that were pruned one by one stay zero, also where training is stopped and goes on."""

from pathlib import Path

import pytest
import torch

from tests.training.test_resumption import ALL_ON, again, assert_same, finish, start
from zoo import description, modelfile
from zoo.errors import InterruptionError
from zoo.pruning.sparse import prune_weights

RECIPES = {
    "adam with an average": ALL_ON,
    "sgd with momentum and weight decay": (
        "train.optimizer=sgd", "train.lr=0.05", "train.weight_decay=0.01",
    ),
}  # fmt: skip


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    described = description.describe("lenet5", 10)
    network = modelfile.build(described)
    edit = prune_weights(network, ratio=0.7)
    path = tmp_path / "sparse.safetensors"
    modelfile.save(path, network, modelfile.with_edits(described, [edit]))
    return path


def zeros(path: Path) -> dict[str, torch.Tensor]:
    return {name: t == 0 for name, t in modelfile.load(path).state_dict().items() if t.ndim > 1}


@pytest.mark.parametrize("name", RECIPES)
def test_the_zeros_stay_bit_for_bit(name: str, sparse: Path, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    finish(start(whole, *RECIPES[name], "train.epochs=2", model=str(sparse)))
    with pytest.raises(InterruptionError):
        finish(start(stopped, *RECIPES[name], "train.epochs=2", model=str(sparse)), stop_after=5)
    finish(again(stopped))
    assert_same(whole, stopped)
    before = modelfile.load(sparse).state_dict()
    for kept in ("best.safetensors", "last.safetensors"):
        after = modelfile.load(whole / kept).state_dict()
        for tensor, mask in zeros(sparse).items():
            assert 0.6 < mask.float().mean() < 0.75
            assert not after[tensor][mask].any()
            assert not torch.equal(after[tensor], before[tensor])  # the others learn
            assert after[tensor][~mask].count_nonzero() == (~mask).sum()


def test_a_later_training_keeps_them_too(sparse: Path, tmp_path: Path) -> None:
    finish(start(tmp_path / "one", "train.epochs=1", model=str(sparse)))
    finish(
        start(
            tmp_path / "two", "train.epochs=1", "train.ema_decay=0.9", model=str(tmp_path / "one")
        )
    )
    first, last = zeros(sparse), zeros(tmp_path / "two")
    assert all(torch.equal(first[name], last[name]) for name in first)


def test_a_zero_that_was_not_pruned_is_free(sparse: Path, tmp_path: Path) -> None:
    """What a weight is when a run is stopped says nothing of what it was at its start."""
    session = start(tmp_path / "run", "train.epochs=2", model=str(sparse))
    weight = session.learner.network.get_parameter("c5.weight")
    assert session.learner.zeros is not None
    free = int(weight.detach().flatten().nonzero()[0])
    weight.data.flatten()[free] = 0
    session.save()
    session.run.release()  # type: ignore[union-attr]
    resumed = again(tmp_path / "run")
    finish(resumed)
    assert resumed.learner.network.get_parameter("c5.weight").flatten()[free] != 0
