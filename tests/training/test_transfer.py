"""A new head on an old backbone."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.pictures import write_folder
from zoo import catalog, modelfile
from zoo.data.loader import TrainingBatches
from zoo.description import describe, read_description
from zoo.schema import Train
from zoo.training.engine import train
from zoo.training.preparation import Request, prepare
from zoo.training.transfer import find_head, frozen_but

from tests.data.test_loader import PREPROCESSING, pictures  # isort: skip


@pytest.mark.parametrize(
    ("name", "head"), [("lenet5", "out"), ("keras-mnist-cnn", "dense_2"), ("lenet5-1998", "f6")]
)
def test_the_head_is_the_last_layer_that_learns(name: str, head: str) -> None:
    described = describe(name)
    network = modelfile.build(described)
    found = find_head(network, described.input_shape)
    assert [path for path, module in network.named_modules() if module is found] == [head]


def test_every_architecture_has_a_head() -> None:
    for card in catalog.CARDS:
        described = describe(card)
        find_head(modelfile.outline(described), described.input_shape)


def test_inside_only_the_head_learns() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
    network[0].bias.requires_grad_(False)
    network.train()
    with frozen_but(network, network[3]):
        assert [p.requires_grad for p in network.parameters()] == [False] * 4 + [True] * 2
        assert [module.training for module in network] == [False, False, False, True]
    expected = [True, False, True, True, True, True]  # what was frozen before stays so
    assert [p.requires_grad for p in network.parameters()] == expected


def test_head_epochs_leave_the_rest_alone_and_then_all_learn() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 12))
    config = Train(epochs=2, head_epochs=1, backbone_lr=0.1, lr=0.1)
    batches = TrainingBatches(pictures(12), PREPROCESSING, batch_size=4, seed=0)
    states = [{name: tensor.clone() for name, tensor in network.state_dict().items()}]
    for _ in train(
        network, batches, config, validate=lambda: None, device=torch.device("cpu"),
        head=network[3],
    ):  # fmt: skip
        states.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
    first = {name for name in states[0] if not torch.equal(states[0][name], states[1][name])}
    second = {name for name in states[0] if not torch.equal(states[1][name], states[2][name])}
    assert first == {"3.weight", "3.bias"}
    assert second == set(states[0])


@pytest.fixture(scope="module")
def pics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("pics"), count=40)


def test_weights_get_a_new_head_and_keep_their_preprocessing(
    trained: Path, pics: Path, tmp_path: Path
) -> None:
    session = prepare(
        Request(
            model="lenet5", weights=trained, data=pics, overrides=("train.epochs=1",),
            output=tmp_path / "run",
        )
    )  # fmt: skip
    assert session.recipe_name == "folder-finetune"
    assert "out starts fresh" in " ".join(session.notes)
    donor = modelfile.load(trained)
    for name, tensor in session.network.state_dict().items():
        if name.startswith("out."):
            assert tensor.shape[0] == 3
        else:
            assert torch.equal(tensor, donor.state_dict()[name])
    assert session.description.preprocessing.mean == (0.306,)
    for _ in session.epochs():
        pass
    session.outcome()
    described = read_description(tmp_path / "run" / "best.safetensors")
    assert described.origin.startswith("a model file, SHA-256 ")
    assert described.classes == ("circle", "square", "triangle")
    # The head learned for an epoch, the rest not at all.
    after = modelfile.load(tmp_path / "run").state_dict()
    assert torch.equal(after["c1.weight"], donor.state_dict()["c1.weight"])
    assert json.loads((tmp_path / "run" / "run.json").read_text())["weights"] == str(trained)


@pytest.mark.parametrize("card", catalog.CARDS, ids=lambda card: card.name)
def test_every_architecture_takes_weights_of_other_classes(
    card: catalog.Architecture, pics: Path, tmp_path: Path
) -> None:
    described = describe(card).model_copy(update={"classes": tuple("0123456789")})
    modelfile.save(tmp_path / "ten", modelfile.build(described, seed=5), described)
    session = prepare(
        Request(
            model=card.name, weights=tmp_path / "ten", data=pics, overrides=("train.epochs=1",),
            output=tmp_path / "run",
        )
    )  # fmt: skip
    assert "starts fresh" in " ".join(session.notes)
    donor, ours = modelfile.load(tmp_path / "ten").state_dict(), session.network.state_dict()
    kept = [name for name in ours if torch.equal(ours[name], donor[name])]
    assert kept[0] == next(iter(ours))
    assert len(kept) < len(ours)


def test_as_many_other_classes_get_a_new_head_too(trained: Path, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pics", count=40, classes=10)
    session = prepare(Request(model="lenet5", weights=trained, data=root, output=tmp_path / "r"))
    donor, ours = modelfile.load(trained).state_dict(), session.network.state_dict()
    fresh = {name for name in ours if not torch.equal(ours[name], donor[name])}
    assert fresh == {"out.weight", "out.bias"}


def test_the_same_classes_keep_the_head(trained: Path, tmp_path: Path) -> None:
    session = prepare(
        Request(model="lenet5", weights=trained, recipe="digits", output=tmp_path / "r")
    )
    donor, ours = modelfile.load(trained).state_dict(), session.network.state_dict()
    assert all(torch.equal(ours[name], donor[name]) for name in ours)
    assert "fresh" not in " ".join(session.notes)


def test_a_recipe_that_speaks_of_mean_and_std_says_that_it_replaces_the_weights_own(
    trained: Path, pics: Path, tmp_path: Path
) -> None:
    session = prepare(
        Request(
            model="lenet5", weights=trained, recipe="folder", data=pics, output=tmp_path / "r"
        )
    )  # fmt: skip
    assert session.description.preprocessing.mean != (0.306,)
    assert "replace those of the weights, (0.306,), (0.376,)" in " ".join(session.notes)
