"""`zoo freeze`."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import Ended
from zoo import modelfile

Zoo = Callable[..., Ended]


def test_keras_counts(zoo: Zoo, in_tmp: Path) -> None:
    ended = zoo("freeze", "keras-mnist-cnn", "--first", 3, "-o", "k.safetensors", "--json")
    assert ended.code == 0
    document = ended.json
    assert document["output"] == "k.safetensors"
    assert document["edits"] == [{"edit": "freeze", "layers": ["conv1_1"], "frozen": True}]
    before = {
        "total_params": 87_290, "trainable_params": 87_162, "non_trainable_params": 128,
        "torch_params": 87_162,
    }  # fmt: skip
    assert document["before"] == before
    after = {"trainable_params": 86_122, "non_trainable_params": 1_168}
    assert document["after"] == before | after
    found = zoo("summary", "k.safetensors", "--json").json
    assert {key: found[key] for key in after} == after
    assert [row["name"] for row in found["layers"] if row["trainable"] is False] == ["conv1_1"]
    assert "Trainable params: 86,122" in zoo("summary", "k.safetensors", "--style", "keras").stdout
    assert "1. freeze 1 layer: conv1_1\n" in zoo("show", "k.safetensors").stdout


def test_edits_follow_one_another(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    assert zoo("freeze", trained, "--all", "--unfreeze", "out", "-o", "a").code == 0
    ended = zoo("freeze", "a", "--unfreeze", "f?", "--layers", "out", "-o", "b", "--csv")
    assert ended.stdout == (
        "name,type,params,trainable\nout,Linear,850,False\nf6,Linear,10164,True\n"
    )
    shown = zoo("show", "b").stdout
    assert "1. freeze 4 layers: c1, c3, c5, f6\n" in shown
    assert "2. freeze 1 layer: out\n  3. unfreeze 1 layer: f6\n" in shown
    frozen, before = modelfile.load("b"), modelfile.load(trained)
    assert [n for n, p in frozen.named_parameters() if p.requires_grad] == [
        "f6.weight", "f6.bias",
    ]  # fmt: skip
    for name, tensor in before.state_dict().items():
        assert torch.equal(tensor, frozen.state_dict()[name])
    # Nothing was learned or forgotten: the accuracy stays.
    figures = [zoo("evaluate", model, "--json").json["top1"] for model in (trained, "b")]
    assert figures[0] == figures[1]


def test_a_dry_run_says_all_and_writes_nothing(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    ended = zoo("freeze", trained, "--until", "c5", "--dry-run")
    assert ended.code == 0
    assert ended.stdout == (
        "Name   Type     Parameters   Change\n"
        "───────────────────────────────────\n"
        "c1     Conv2d          156   frozen\n"
        "c3     Conv2d        2,416   frozen\n"
        "c5     Conv2d       48,120   frozen\n"
        "\n"
        "3 layers frozen; parameters with batch-norm statistics:\n"
        "  trainable      61,706 before, 11,014 after\n"
        "  not trainable  0 before, 50,692 after\n"
        "\n"
        "nothing is written: --dry-run\n"
    )
    (in_tmp / "m").write_text("mine")
    assert zoo("freeze", trained, "--all", "--dry-run", "-o", "m").code == 2  # as without it
    document = zoo("freeze", trained, "--all", "--dry-run", "-o", "n", "--json").json
    assert document["output"] is None
    assert document["after"]["trainable_params"] == 0
    assert [path.name for path in in_tmp.iterdir()] == ["m"]


def test_what_changes_nothing_says_so(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    ended = zoo("freeze", trained, "--unfreeze", "c1", "-o", "m")
    assert ended.code == 0
    assert "nothing changes: these layers are so already" in ended.stderr
    assert modelfile.resolve("m").description.edits == ()


def test_random_and_fresh_weights_are_told(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    assert "the weights are random" in zoo("freeze", "lenet5", "--all", "--dry-run").stderr
    assert zoo("freeze", trained, "--all", "--dry-run").stderr == ""
    zoo("build", "lenet5", "--weights", trained, "--num-classes", 3, "-o", "three")
    assert "out has fresh weights" in zoo("freeze", "three", "--all", "--dry-run").stderr
    assert zoo("freeze", "three", "--all-but-head", "--dry-run").stderr == ""


def test_structures_are_compared_without_what_is_frozen(
    zoo: Zoo, trained: Path, in_tmp: Path
) -> None:
    zoo("freeze", trained, "--first", 1, "-o", "frozen")
    ended = zoo("build", "lenet5", "--weights", "frozen", "-o", "free")
    assert "another structure" not in ended.stderr
    assert modelfile.resolve("free").description.edits == ()


def test_an_existing_output_needs_force(zoo: Zoo, in_tmp: Path) -> None:
    (in_tmp / "m").write_text("mine")
    assert zoo("freeze", "lenet5", "--all", "-o", "m").code == 2
    assert (in_tmp / "m").read_text() == "mine"
    assert zoo("freeze", "lenet5", "--all", "-o", "m", "--force").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lenet5", "--all"), "Missing option '--output'"),
        (("lenet5", "-o", "m"), "Which layers?"),
        (("lenet5", "-o", "m", "--first", "0"), "'--first': must be greater than or equal to 1"),
        (("lenet5", "-o", "m", "--first", "8"), "lenet5 has 7 layers, not 8."),
        (("lenet5", "-o", "m", "--layers", "conv*"), "No layer matches 'conv*'."),
        (("lenet5", "-o", "m", "--layers", "outt"), "Did you mean out?"),
        (("lenet5", "-o", "m", "--until", "outt"), "No layer is called 'outt'. Did you mean out?"),
        (("lenet5", "-o", "m", "--first", "1", "--all"), "--first and --all exclude one another."),
        (("lenet5", "-o", "m", "--all", "--layers", "c1"), "--layers can't go with --all"),
        (("lenet6", "-o", "m", "--all"), "Did you mean lenet5?"),
    ],
    ids=" ".join,
)
def test_what_is_wrong_is_said(
    arguments: tuple[str, ...], message: str, zoo: Zoo, in_tmp: Path
) -> None:
    ended = zoo("freeze", *arguments)
    assert ended.code == 2
    assert message in ended.stderr
    assert not list(in_tmp.iterdir())
