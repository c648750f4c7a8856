"""Which layers are frozen: from what is asked for to exact layers."""

import pytest

from tests.cards import EVERY_CARD_THE_LARGE_SLOWLY
from zoo import catalog, modelfile
from zoo.description import describe
from zoo.errors import UsageError
from zoo.freezing import Choice, plan
from zoo.layers import ordered
from zoo.surgery import Freeze, NoTop


def frozen_layers(name: str, choice: Choice) -> list[str]:
    return [row.name for row in plan(name, describe(name), choice).freeze]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(first=1), "c1"),
        (Choice(first=2), "c1"),  # the second is a pooling
        (Choice(first=3), "c1 c3"),
        (Choice(first=7), "c1 c3 c5 f6 out"),
        (Choice(until="c5"), "c1 c3 c5"),
        (Choice(until="s4"), "c1 c3"),
        (Choice(everything=True), "c1 c3 c5 f6 out"),
        (Choice(all_but_head=True), "c1 c3 c5 f6"),
        (Choice(globs=("c?",)), "c1 c3 c5"),
        (Choice(globs=("[co]*",), first=1), "c1 c3 c5 out"),
        (Choice(globs=("out", "c1")), "c1 out"),
        (Choice(everything=True, unfreeze=("c*", "f6")), "out"),
        (Choice(until="f6", unfreeze=("c3",)), "c1 c5 f6"),
    ],
    ids=str,
)
def test_the_rows_of_the_summary(choice: Choice, expected: str) -> None:
    assert frozen_layers("lenet5", choice) == expected.split()


def test_blocks_stand_for_the_layers_in_them() -> None:
    block = frozen_layers("resnet18", Choice(globs=("layer2.0",)))
    assert len(block) == 6
    assert all(name.startswith("layer2.0.") for name in block)
    until = frozen_layers("resnet18", Choice(until="layer1"))
    assert until == [
        "conv1", "bn1",
        *(f"layer1.{i}.{name}" for i in (0, 1) for name in ("conv1", "bn1", "conv2", "bn2")),
    ]  # fmt: skip
    norms = frozen_layers("resnet18", Choice(globs=("*bn*", "*.downsample.1")))
    assert len(norms) == 20


def test_a_containers_own_tensors_are_rows() -> None:
    description = describe("vit-b-16")
    planned = plan("vit-b-16", description, Choice(first=4))
    expected = [layer.name for layer in ordered(
        modelfile.outline(description), description.input_shape
    ).layers[:4]]  # fmt: skip
    learning = [row.name for row in planned.freeze]
    assert learning == [name for name in expected if "drop" not in name]
    assert {"class_token", "encoder.pos_embedding"} <= {*planned.edits[0].layers}
    modelfile.skeleton(modelfile.with_edits(description, planned.edits))


@EVERY_CARD_THE_LARGE_SLOWLY
def test_all_but_the_head_of_every_architecture(card: catalog.Architecture) -> None:
    description = describe(card)
    edits = plan(card.name, description, Choice(all_but_head=True)).edits
    network = modelfile.outline(modelfile.with_edits(description, edits))
    learning = {path for path, p in network.named_parameters() if p.requires_grad}
    assert len({path.rpartition(".")[0] for path in learning}) == 1
    network.train()
    norms = [m for m in network.modules() if "running_mean" in m._buffers]
    assert not any(norm.training for norm in norms)


def test_what_is_frozen_can_be_free_again_and_no_more() -> None:
    first = plan("lenet5", describe("lenet5"), Choice(until="c5")).edits
    description = modelfile.with_edits(describe("lenet5"), first)
    planned = plan("x", description, Choice(unfreeze=("c3", "f6")))
    assert planned.edits == (Freeze(layers=("c3",), frozen=False),)
    swapped = plan("x", description, Choice(globs=("out",), unfreeze=("c1",)))
    assert [row.name for row in swapped.freeze] == ["out"]
    assert [row.name for row in swapped.unfreeze] == ["c1"]
    assert plan("x", description, Choice(first=3)).edits == ()


def test_what_starts_fresh_always_learns() -> None:
    planned = plan("lenet5", describe("lenet5"), Choice(globs=("*",)), fresh=("out",))
    assert [row.name for row in planned.freeze] == ["c1", "c3", "c5", "f6"]
    assert [row.name for row in planned.fresh] == ["out"]


def test_a_fixed_layer_of_the_architecture_is_no_frozen_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    construct = modelfile._construct

    def with_a_fixed_layer(description: object) -> object:
        network = construct(description)  # type: ignore[arg-type]
        network.get_submodule("c3").requires_grad_(False)
        return network

    monkeypatch.setattr(modelfile, "_construct", with_a_fixed_layer)
    assert frozen_layers("lenet5", Choice(until="c5")) == ["c1", "c5"]
    with pytest.raises(UsageError, match="nothing in there can be frozen"):
        plan("lenet5", describe("lenet5"), Choice(unfreeze=("c3",)))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice(first=8), "lenet5 has 7 layers, not 8."),
        (Choice(globs=("conv*",)), "No layer matches 'conv*'."),
        (Choice(globs=("outt",)), "No layer matches 'outt'. Did you mean out?"),
        (Choice(until="out6"), "No layer is called 'out6'. Did you mean out?"),
        (Choice(until="c*"), "No layer is called 'c*'."),
        (Choice(globs=("c1",), unfreeze=("nope",)), "No layer matches 'nope'."),
        (Choice(globs=("s*",)), "s2, s4: nothing in there can be frozen"),
    ],
    ids=str,
)
def test_what_can_not_be_is_said(choice: Choice, message: str) -> None:
    with pytest.raises(UsageError) as said:
        plan("lenet5", describe("lenet5"), choice)
    assert str(said.value).startswith(message)
    assert said.value.hint == "zoo summary lenet5 lists the layers."


def test_a_network_without_a_head() -> None:
    bare = modelfile.with_edits(describe("lenet5"), [NoTop()])
    with pytest.raises(UsageError, match="--all-but-head does not apply: bare has no head"):
        plan("bare", bare, Choice(all_but_head=True))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice(), "Which layers"),
        (Choice(first=1, until="c1"), "--first and --until exclude"),
        (Choice(everything=True, all_but_head=True), "--all and --all-but-head exclude"),
        (Choice(everything=True, globs=("c1",)), "--layers can't go with --all"),
        (Choice(all_but_head=True, globs=("c1",)), "--layers can't go with --all-but-head"),
    ],
    ids=str,
)
def test_choices_that_contradict_themselves(choice: Choice, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        choice.check()
