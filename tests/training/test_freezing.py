"""Training of networks in which layers are frozen."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.conftest import Ended
from tests.pictures import write_folder
from zoo import modelfile
from zoo.data.loader import TrainingBatches
from zoo.errors import RecipeError, UsageError, ZooError
from zoo.freezing import Choice, freeze_file
from zoo.precision import Precision
from zoo.schema import Train
from zoo.surgery import Freeze
from zoo.training.engine import train
from zoo.training.learner import Learner
from zoo.training.preparation import Request, prepare
from zoo.training.session import Session
from zoo.training.transfer import frozen_below, top_layers

from tests.data.test_loader import PREPROCESSING, pictures  # isort: skip
from tests.training.test_distributed import launch  # isort: skip
from tests.training.test_resumption import ALL_ON, again, assert_same, finish, start  # isort: skip

Zoo = Callable[..., Ended]
FROZEN_LAYERS = {"conv1_1", "conv1_2", "batch_normalization_1"}
"""dense_1 learns below a batch norm that does not."""
RECIPES = {
    "everything, bf16": (*ALL_ON, "train.precision=bf16", "train.weight_decay=0.1"),
    "adamw, fp32": (*ALL_ON, "train.precision=fp32", "train.optimizer=adamw",
                    "train.weight_decay=0.1", "augment.mixup=0", "augment.cutmix=0.5"),
    "unfreezing by name": ("train.unfreeze={1: dense_1, 2: '*'}", "train.optimizer=sgd"),
    "unfreezing, sgd": ("train.head_epochs=1", "train.unfreeze=1", "train.optimizer=sgd",
                        "train.backbone_lr_scale=0.1", "train.ema_decay=0.9"),
}  # fmt: skip


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """keras-mnist-cnn with some layers frozen, and statistics unlike those it would learn."""
    path = tmp_path_factory.mktemp("part") / "part.safetensors"
    globs = ("conv1_?", "batch_normalization_1")
    made = freeze_file("keras-mnist-cnn", Choice(globs=globs), path)
    network = modelfile.load(path)
    with torch.no_grad():
        network.get_parameter("conv1_1.bias")[:3] = torch.tensor([-0.0, 1e-42, 3.0])
        network.get_buffer("batch_normalization_1.running_mean").uniform_(-1, 1)
    modelfile.save(path, network, made.description)
    return path


def bits(tensor: Tensor) -> bytes:
    return bytes(tensor.contiguous().numpy().tobytes())


@pytest.mark.parametrize("name", RECIPES)
def test_frozen_tensors_keep_every_bit_and_the_others_learn(
    name: str, part: Path, tmp_path: Path
) -> None:
    finish(start(tmp_path / "run", "train.epochs=2", *RECIPES[name], model=str(part)))
    before = modelfile.load(part).state_dict()
    frozen = {key for key in before if key.rpartition(".")[0] in FROZEN_LAYERS}
    for file in ("best", "last"):
        network = modelfile.load(tmp_path / "run" / f"{file}.safetensors")
        same = {key for key, t in network.state_dict().items() if bits(t) == bits(before[key])}
        # The best epoch may be one that trained the head alone.
        assert frozen == (same if file == "last" else same & frozen)
        assert not network.get_parameter("conv1_1.weight").requires_grad


def test_a_frozen_run_goes_on_to_the_same_bits(part: Path, tmp_path: Path) -> None:
    overrides = ("train.epochs=2", *RECIPES["everything, bf16"])
    finish(start(tmp_path / "whole", *overrides, model=str(part)))
    run = tmp_path / "stopped"
    with pytest.raises(ZooError):
        finish(start(run, *overrides, model=str(part)), stop_after=9)
    session = again(run)
    assert session.learner.frozen == [
        "conv1_1.weight", "conv1_1.bias", "conv1_2.weight", "conv1_2.bias",
        "batch_normalization_1.weight", "batch_normalization_1.bias",
    ]  # fmt: skip
    finish(session)
    assert_same(tmp_path / "whole", run)


@pytest.mark.parametrize("where", ["network", "average", "best"])
def test_a_frozen_tensor_that_changes_is_a_bug_of_ours(
    where: str, part: Path, tmp_path: Path
) -> None:
    session = start(tmp_path / "run", "train.ema_decay=0.9", "train.epochs=1", model=str(part))

    def spoil(network: nn.Module) -> None:
        network.get_buffer("batch_normalization_1.running_mean")[0] += 1

    def spoil_best() -> None:
        path = tmp_path / "run" / "best.safetensors"
        network, description = modelfile.load(path), modelfile.resolve(str(path)).description
        spoil(network)
        modelfile.save(path, network, description)

    def trained_and_spoilt() -> None:
        for _ in session.epochs():
            if where == "network":
                spoil(session.learner.network)
            elif where == "average":
                assert session.learner.average is not None
                spoil(session.learner.average.network)
            else:
                spoil_best()
        session.outcome()

    with pytest.raises(ZooError, match=r"changed while training: batch_normalization_1\.running_m"):
        trained_and_spoilt()
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (document["status"], document["exit_code"]) == ("failed", 1)


@pytest.mark.slow
def test_several_processes_leave_frozen_alone(part: Path, tmp_path: Path) -> None:
    options = ("--recipe", "digits", "--epochs", "2", "--set", "train.ema_decay=0.9")
    process = launch(2, part, *options, "-o", tmp_path / "run")
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    before = modelfile.load(part).state_dict()
    after = modelfile.load(tmp_path / "run").state_dict()
    same = {key.rpartition(".")[0] for key in before if bits(before[key]) == bits(after[key])}
    assert same == FROZEN_LAYERS


def network_of_blocks() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1),
        nn.Flatten(), nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Linear(16, 12),
    )  # fmt: skip


def learner_of(network: nn.Module, **config: Any) -> Learner:
    chosen = Train(**{"epochs": 1, **config})
    fp32 = Precision("fp32", torch.device("cpu"))
    return Learner.start(
        network, chosen, precision=fp32, input_shape=(1, 2, 2),
        head=network[7] if isinstance(network, nn.Sequential) else None,
    )  # fmt: skip


def test_below_the_first_layer_that_learns_there_is_no_graph() -> None:
    network = network_of_blocks()
    Freeze(layers=("0", "1", "3", "6")).apply(network, (1, 2, 2))
    graphs: dict[str, set[bool]] = {}
    reached: set[str] = set()
    for name, module in network.named_children():
        module.register_forward_hook(
            lambda _m, _i, output, name=name: graphs.setdefault(name, set()).add(
                output.grad_fn is not None
            )
        )
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            parameter.register_hook(lambda _grad, name=name: reached.add(name))
    learner = learner_of(network)
    batches = TrainingBatches(pictures(12), PREPROCESSING, batch_size=4, seed=0)
    assert len(list(train(learner, batches, validate=lambda: None))) == 1
    assert graphs == {str(place): {place >= 5} for place in range(8)}
    assert reached == {"5.weight", "5.bias", "7.weight", "7.bias"}
    trained = {id(p) for group in learner.optimizer.param_groups for p in group["params"]}
    assert trained == {id(p) for p in network.parameters() if p.requires_grad}


def test_unfreezing_leaves_frozen_what_the_edit_froze() -> None:
    network = network_of_blocks()
    Freeze(layers=("0", "1", "6")).apply(network, (1, 2, 2))
    network.train()
    kept = top_layers(network, network[7], (1, 2, 2), 0.5)
    assert kept is not None
    assert kept[0] is network[4]  # of 3 and 5, the upper one
    for share in (0.0, 0.5, 1.0):
        with frozen_below(network, top_layers(network, network[7], (1, 2, 2), share)):
            assert not network[1].training
            assert not network[6].training
            assert not network[0].weight.requires_grad
            assert not network[6].weight.requires_grad
    assert [place for place, m in enumerate(network) if not m.training] == [1, 6]


def prepared(tmp_path: Path, *, epochs: int = 1, **request: Any) -> Session:
    overrides = (f"train.epochs={epochs}", *request.pop("overrides", ()))
    return prepare(Request(overrides=overrides, output=tmp_path / "run", **request))


def test_freeze_is_recorded_as_an_edit(trained: Path, tmp_path: Path) -> None:
    session = prepared(tmp_path, model=str(trained), recipe="digits", freeze=("all-but-head",))
    finish(session)
    edit = {"edit": "freeze", "layers": ["c1", "c3", "c5", "f6"], "frozen": True}
    for description in (
        session.prepared.description,
        modelfile.resolve(str(tmp_path / "run")).description,
    ):
        assert [{**e, "layers": list(e["layers"])} for e in description.edits] == [edit]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["edits"] == [edit]
    assert "frozen: 60,856 of 61,706 parameters" in session.prepared.notes
    again_trained = prepare(Request(model=str(tmp_path / "run"), output=tmp_path / "next"))
    assert again_trained.learner.frozen == session.learner.frozen


def test_a_head_that_starts_fresh_always_learns(trained: Path, tmp_path: Path) -> None:
    pics = write_folder(tmp_path / "pics", count=30)
    session = prepared(tmp_path, model="lenet5", weights=trained, data=pics, freeze=("*",))
    assert "out starts fresh, and so is not frozen" in session.prepared.notes
    assert "no effect of train.head_epochs and train.backbone_lr_scale" in " ".join(
        session.prepared.notes
    )
    learning = [n for n, p in session.learner.network.named_parameters() if p.requires_grad]
    assert learning == ["out.weight", "out.bias"]
    finish(session)


def test_weights_do_not_bring_what_is_frozen(trained: Path, tmp_path: Path) -> None:
    freeze_file(str(trained), Choice(first=3), tmp_path / "frozen")
    session = prepared(tmp_path, model="lenet5", weights=tmp_path / "frozen", recipe="digits")
    assert session.learner.frozen == []
    assert "has frozen layers, but its weights alone do not bring that" in " ".join(
        session.prepared.notes
    )


@pytest.mark.parametrize(
    ("choice", "overrides", "message"),
    [
        (Choice(everything=True), (), "Every layer of this network is frozen"),
        (Choice(globs=("out",)), ("train.head_epochs=1",), "but the head is frozen"),
        (Choice(globs=("out",)), ("train.unfreeze={2: f6}",), "but the head is frozen"),
    ],
    ids=["everything", "the head", "the head, unfreezing"],
)
def test_nothing_to_learn(
    choice: Choice, overrides: tuple[str, ...], message: str, trained: Path, tmp_path: Path
) -> None:
    freeze_file(str(trained), choice, tmp_path / "frozen")
    with pytest.raises(UsageError, match=message):
        prepared(tmp_path, model=str(tmp_path / "frozen"), overrides=overrides, epochs=2)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("globs", "message"),
    [
        ("conv1", "train.unfreeze: No layer matches 'conv1'."),
        ("[c3, c1]", "train.unfreeze names c1, which is frozen in the model or by --freeze."),
        ("s2", "train.unfreeze names s2, which has no parameters."),
    ],
)
def test_layers_that_can_not_be_unfrozen(
    globs: str, message: str, trained: Path, tmp_path: Path
) -> None:
    unfreeze = f"train.unfreeze={{2: {globs}}}"
    with pytest.raises(RecipeError, match=re.escape(message)):
        prepared(tmp_path, model=str(trained), overrides=(unfreeze,), epochs=2, freeze=("c1",))


def test_what_unfreezing_leaves_out_is_said(trained: Path, tmp_path: Path) -> None:
    unfreeze = "train.unfreeze={1: f6, 2: c1}"
    session = prepared(tmp_path, model=str(trained), overrides=(unfreeze,), epochs=2)
    note = "train.unfreeze leaves 50,536 of 61,706 parameters as they are"
    assert note in session.prepared.notes
    before = modelfile.load(trained).state_dict()
    finish(session)
    after = modelfile.load(tmp_path / "run" / "last.safetensors").state_dict()
    changed = {name.partition(".")[0] for name, t in after.items() if not t.equal(before[name])}
    assert changed == {"out", "f6", "c1"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lenet5", "--freeze", "all-but-head"), "--freeze would keep random weights: those of le"),
        (("random", "--freeze", "c1"), "--freeze would keep random weights: those of random"),
        (("lenet5", "--weights", "random", "--freeze", "c1"), "those of random have learned noth"),
        (("RUN", "--freeze", "*"), "Every layer of this network is frozen"),
        (("RUN", "--freeze", "*", "--find-lr"), "Every layer of this network is frozen"),
        (("RUN", "--freeze", "conv1"), "No layer matches 'conv1'."),
        (("RUN", "--freeze", "c1", "--freeze", "all-but-head"), "all-but-head says it all"),
        (("--resume", "RUN", "--freeze", "c1"), "--freeze can't go with --resume RUN."),
        (("RUN", "--freeze", "c1", "--set", "c5.out_channels=60"), "--set LAYER.FIELD can't go"),
    ],
    ids=" ".join,
)
def test_what_is_wrong_is_said(
    arguments: tuple[str, ...], message: str, zoo: Zoo, trained: Path, in_tmp: Path
) -> None:
    zoo("build", "lenet5", "-o", "random")
    words = [str(trained) if word == "RUN" else word for word in arguments]
    ended = zoo("train", *words)
    assert ended.code == 2, ended.stderr
    assert message in ended.stderr.replace(str(trained), "RUN")
    assert [path.name for path in in_tmp.iterdir()] == ["random"]


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("backbone_lr", "It is train.backbone_lr_scale."),
        ("unfreeze_epochs", "It is train.unfreeze."),
        ("freeze", "It is --freeze of zoo train, or zoo freeze."),
    ],
)
def test_other_names_lead_to_the_recipes_own(key: str, place: str, zoo: Zoo) -> None:
    ended = zoo("train", "lenet5", "--set", f"train.{key}=2")
    assert ended.code == 3
    assert place in ended.stderr
