"""A new head on an old backbone."""

import json
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from tests.cards import EVERY_CARD_THE_LARGE_SLOWLY
from tests.pictures import write_folder
from zoo import catalog, modelfile
from zoo.data.loader import TrainingBatches
from zoo.description import describe, read_description
from zoo.heads import auxiliary_heads, find_head
from zoo.precision import Precision
from zoo.schema import Train
from zoo.training.engine import train
from zoo.training.learner import Learner
from zoo.training.preparation import Request, prepare
from zoo.training.transfer import frozen_below, learning_layers, top_layers, trainable_share

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


@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("googlenet-2014", ["auxiliary1.out", "auxiliary2.out"]),
        ("googlenet", ["aux1.fc2", "aux2.fc2"]),
        ("inception-v3", ["AuxLogits.fc"]),
        ("resnet20", []),
    ],
)
def test_auxiliary_classifiers_have_heads_too(name: str, heads: list[str]) -> None:
    described = describe(name)
    network = modelfile.outline(described)
    found = auxiliary_heads(network, described.input_shape)
    names = [path for path, module in network.named_modules() if module in found]
    assert names == heads
    assert not network.get_submodule(names[0] if names else "out")._forward_hooks


def test_inside_only_the_head_learns() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
    network[0].bias.requires_grad_(False)
    network.train()
    with frozen_below(network, [network[3]]):
        assert [p.requires_grad for p in network.parameters()] == [False] * 4 + [True] * 2
        assert [module.training for module in network] == [False, False, False, True]
    expected = [True, False, True, True, True, True]  # what was frozen before stays so
    assert [p.requires_grad for p in network.parameters()] == expected
    assert all(module.training for module in network)


def test_none_freezes_nothing() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).train()
    with frozen_below(network, None):
        assert all(module.training for module in network.modules())
        assert all(p.requires_grad for p in network.parameters())


def test_an_error_inside_leaves_nothing_frozen() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).train()
    with pytest.raises(KeyboardInterrupt), frozen_below(network, []):
        raise KeyboardInterrupt
    assert all(module.training for module in network.modules())
    assert all(p.requires_grad for p in network.parameters())


class Tokens(nn.Module):
    """Owns a tensor beside its layers, as transformers do; drops where it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 4))
        self.one = nn.Linear(4, 4)
        self.two = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.one(x + self.token))  # type: ignore[no-any-return]


def test_a_containers_own_tensors_learn_when_all_its_layers_do() -> None:
    block, head = Tokens(), nn.Linear(4, 2)
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), block, head).train()
    with frozen_below(network, [block.two, head]):
        assert [block.token.requires_grad, block.training] == [False, False]
        assert [block.two.weight.requires_grad, block.two.training] == [True, True]
        assert network.training  # auxiliary heads depend on it
    with frozen_below(network, [block.one, block.two, head]):
        assert [block.token.requires_grad, block.training] == [True, True]
        assert not network[1].weight.requires_grad
    with frozen_below(network, [block]):
        assert block.token.requires_grad
        assert not head.weight.requires_grad


def test_a_tied_weight_learns_where_either_of_its_layers_does() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).train()
    network[0].weight = network[1].weight
    with frozen_below(network, [network[1]]):
        assert [p.requires_grad for p in network.parameters()] == [True, False, True]


def test_batch_norms_below_do_not_drift() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, affine=False), nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)
    )
    with frozen_below(network.train(), [network[2], network[3]]):
        network(torch.randn(4, 1, 5, 5))
    assert network[1].running_mean.eq(0).all()
    assert network[3].running_mean.ne(0).all()


def small() -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(),  # 0
        nn.Linear(4, 5),  # 1
        nn.BatchNorm1d(5),  # 2
        nn.ReLU(),
        nn.Dropout(),  # 4
        nn.Linear(5, 6),  # 5
        nn.BatchNorm1d(6, affine=False),  # 6
        nn.Dropout(),  # 7
        nn.Linear(6, 3),  # 8
        nn.LogSoftmax(dim=1),
        nn.Identity(),  # 10
    )


@pytest.mark.parametrize(
    ("share", "first"), [(0, 7), (0.01, 6), (0.25, 6), (0.5, 4), (0.51, 2), (0.75, 2), (0.76, 0)]
)
def test_layers_are_unfrozen_from_the_top_down(share: float, first: int) -> None:
    network = small()
    kept = top_layers(network, network[8], (4, 1, 1), share)
    assert kept is not None
    rows = [place for place in range(first, 11) if place not in (3, 9)]  # activations are no rows
    assert [list(network).index(module) for module in kept] == rows


def test_layers_are_unfrozen_by_name() -> None:
    network = nn.Sequential(
        OrderedDict(
            flat=nn.Flatten(), low=nn.Linear(4, 4), mid=nn.Sequential(nn.Linear(4, 4)),
            top=nn.Linear(4, 4), head=nn.Linear(4, 2),
        )
    )  # fmt: skip
    config = Train(epochs=4, unfreeze={2: ("top",), 4: ("m*d", "low")})
    names = []
    for epoch in range(1, 5):
        kept = learning_layers(config, epoch, network, network.head, (4, 1, 1))
        with frozen_below(network, kept):
            learning = [name for name, p in network.named_parameters() if p.requires_grad]
        names.append([name.partition(".")[0] for name in learning if name.endswith("weight")])
    assert names == [["head"], ["top", "head"], ["top", "head"], ["low", "mid", "top", "head"]]


def test_rounding_errors_unfreeze_no_layer() -> None:
    network = nn.Sequential(nn.Flatten(), *(nn.Linear(4, 4) for _ in range(26)))
    kept = top_layers(network, network[26], (4, 1, 1), 7 / 25)
    assert kept == [*network][-8:]


def test_share_1_is_all() -> None:
    network = small()
    assert top_layers(network, network[8], (4, 1, 1), 1) is None


def test_unfreezing_passes_every_layer_of_a_branching_network_once() -> None:
    torch.manual_seed(0)
    network = torchvision.models.googlenet(
        weights=None, aux_logits=True, init_weights=False, num_classes=10
    ).train()
    shape = (3, 96, 96)
    head = find_head(network, shape)
    assert head is network.fc
    before: set[str] = set()
    for share in (0, 0.35, 1):
        with frozen_below(network, top_layers(network, head, shape, share)):
            learning = {name for name, p in network.named_parameters() if p.requires_grad}
            assert len(network(torch.randn(2, *shape))) == 3  # both auxiliary heads run
        assert before < learning
        before = learning
        if share == 0:
            assert learning == {"fc.weight", "fc.bias"}
    assert before == {name for name, _ in network.named_parameters()}


def test_a_layer_that_never_runs_is_no_head() -> None:
    class Spare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used = nn.Linear(4, 2)
            self.spare = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x.flatten(1))  # type: ignore[no-any-return]

    network = Spare()
    assert find_head(network, (1, 2, 2)) is network.used
    assert top_layers(network, network.used, (1, 2, 2), 0) == [network.used]


def test_the_share_that_learns_rises_evenly() -> None:
    def shares(**config: int) -> list[float]:
        train = Train(epochs=7, **config)
        return [trainable_share(train, epoch) for epoch in range(1, 8)]

    assert shares(head_epochs=2, unfreeze=4) == [0, 0, 0.25, 0.5, 0.75, 1, 1]
    assert shares(head_epochs=2) == [0, 0, 1, 1, 1, 1, 1]
    assert shares() == [1] * 7


def test_head_epochs_leave_the_rest_alone_and_then_all_learn() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 12))
    config = Train(epochs=2, head_epochs=1, backbone_lr_scale=0.1, lr=0.1)
    batches = TrainingBatches(pictures(12), PREPROCESSING, batch_size=4, seed=0)
    states = [{name: tensor.clone() for name, tensor in network.state_dict().items()}]
    fp32 = Precision("fp32", torch.device("cpu"))
    learner = Learner.start(network, config, precision=fp32, input_shape=(1, 2, 2), head=network[3])
    for _ in train(learner, batches, validate=lambda: None):
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
    assert session.prepared.recipe_name == "folder-finetune"
    assert "out starts fresh" in " ".join(session.prepared.notes)
    donor = modelfile.load(trained)
    for name, tensor in session.learner.network.state_dict().items():
        if name.startswith("out."):
            assert tensor.shape[0] == 3
        else:
            assert torch.equal(tensor, donor.state_dict()[name])
    assert session.prepared.description.preprocessing.mean == (0.306,)
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


@EVERY_CARD_THE_LARGE_SLOWLY
def test_every_architecture_takes_weights_of_other_classes(
    card: catalog.Architecture, pics: Path, tmp_path: Path
) -> None:
    described = describe(card, num_classes=10).model_copy(update={"classes": tuple("0123456789")})
    modelfile.save(tmp_path / "ten", modelfile.build(described, seed=5), described)
    session = prepare(
        Request(
            model=card.name, weights=tmp_path / "ten", data=pics, overrides=("train.epochs=1",),
            output=tmp_path / "run",
        )
    )  # fmt: skip
    assert "starts fresh" in " ".join(session.prepared.notes)
    donor, ours = (
        modelfile.load(tmp_path / "ten").state_dict(),
        session.learner.network.state_dict(),
    )
    kept = [name for name in ours if torch.equal(ours[name], donor[name])]
    assert kept[0] == next(iter(ours))
    assert len(kept) < len(ours)


def test_as_many_other_classes_get_a_new_head_too(trained: Path, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pics", count=40, classes=10)
    session = prepare(Request(model="lenet5", weights=trained, data=root, output=tmp_path / "r"))
    donor, ours = modelfile.load(trained).state_dict(), session.learner.network.state_dict()
    fresh = {name for name in ours if not torch.equal(ours[name], donor[name])}
    assert fresh == {"out.weight", "out.bias"}


def test_the_same_classes_keep_the_head(trained: Path, tmp_path: Path) -> None:
    session = prepare(
        Request(model="lenet5", weights=trained, recipe="digits", output=tmp_path / "r")
    )
    donor, ours = modelfile.load(trained).state_dict(), session.learner.network.state_dict()
    assert all(torch.equal(ours[name], donor[name]) for name in ours)
    assert "fresh" not in " ".join(session.prepared.notes)


def test_a_model_keeps_its_mean_and_std_where_another_recipe_is_silent(
    trained: Path, pics: Path, tmp_path: Path
) -> None:
    session = prepare(
        Request(model=str(trained), recipe="folder-finetune", data=pics, output=tmp_path / "r")
    )
    found = session.prepared.description.preprocessing
    assert (found.mean, found.std) == ((0.306,), (0.376,))
    assert "replace" not in " ".join(session.prepared.notes)


def test_a_recipe_that_speaks_of_mean_and_std_says_that_it_replaces_the_weights_own(
    trained: Path, pics: Path, tmp_path: Path
) -> None:
    session = prepare(
        Request(
            model="lenet5", weights=trained, recipe="folder", data=pics, output=tmp_path / "r"
        )
    )  # fmt: skip
    assert session.prepared.description.preprocessing.mean != (0.306,)
    assert "replace those of the weights, 0.306 and 0.376" in " ".join(session.prepared.notes)
