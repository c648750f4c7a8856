"""Whole channels go, with all that depends on them, and nothing else changes."""

import copy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

from tests.cards import is_small
from tests.pruning.dense import blind_to, built, outputs, settle
from zoo import description, modelfile
from zoo.catalog import CARDS, Architecture
from zoo.errors import StructureError, UsageError
from zoo.export import export_file
from zoo.heads import find_head
from zoo.pruning.channels import candidates, prune_channels
from zoo.pruning.choosing import Importance, Policy, Scored, chosen
from zoo.pruning.cutting import Cut
from zoo.summary import summarize

PLAIN = {
    "keras-mnist-cnn": None, "resnet20": None, "resnet18": 64, "googlenet": 64, "mobilenet-v2": 64,
    "squeezenet1-1": 64, "mobilenet-v3-small": 64, "regnet-y-400mf": 64,
}  # fmt: skip
"""Networks without normalizations that mix channels, and small pictures for them."""
OFTEN = ("keras-mnist-cnn", "resnet20", "googlenet", "mobilenet-v2")
REFUSED = {"lenet5-1998": "s2 is of type Subsampling", "shufflenet-v2-x1-0": "it shuffles them"}


@pytest.mark.parametrize(
    "name",
    [n if n in OFTEN else pytest.param(n, marks=pytest.mark.slow) for n in PLAIN],
)
def test_what_goes_is_all_that_changes(name: str) -> None:
    network, described = built(name, PLAIN[name])
    shape = described.input_shape
    policy = Policy(importance="random", seed=1)
    cut = Cut.of(network, chosen(candidates(network, shape, policy=policy), 0.3, policy))
    dense = blind_to(network, cut)
    cut.apply(shape)
    picture = torch.rand(1, *shape)
    expected, actual = outputs(dense, picture), outputs(network, picture)
    assert len(actual) == len(expected)
    for ours, theirs in zip(actual, expected, strict=True):
        assert theirs.std() > 1e-3
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_sizes_of_a_residual_network() -> None:
    network, described = built("resnet20")
    kept = {"conv1", "stage1.0.conv2", "stage3.2.conv2", "out"}
    before = {path: network.get_submodule(path).weight.shape for path in kept}
    edit = prune_channels(network, described.input_shape, ratio=0.5)
    sizes = {path: size.model_dump() for path, size in edit.layers.items()}
    # Only inside the blocks: the shortcuts have no parameters that could follow.
    assert sizes["stage1.0.conv1"] == {"in_channels": 16, "out_channels": 8, "groups": 1}
    assert sizes["stage1.0.bn1"] == {"num_features": 8}
    assert sizes["stage1.0.conv2"] == {"in_channels": 8, "out_channels": 16, "groups": 1}
    assert not {"conv1", "bn1", "out", "stage1.0.bn2"} & sizes.keys()
    assert network.get_submodule("conv1").weight.shape == before["conv1"]


def test_the_smallest_channels_go() -> None:
    network, described = built("lenet5")
    for name, weight in network.named_parameters():
        if name == "c1.weight":
            weight.data[[1, 4]] *= 1e-3
        if name == "c3.weight":
            weight.data[:, [1, 4]] *= 1e-3
    left = network.get_parameter("c1.weight")[[0, 2, 3, 5]].clone()
    prune_channels(network, described.input_shape, ratio=0.34)
    assert torch.equal(network.get_parameter("c1.weight"), left)


@pytest.mark.parametrize("importance", ["l1", "l2", "taylor", "random"])
def test_every_importance(importance: Importance) -> None:
    network, described = built("keras-mnist-cnn")
    policy = Policy(importance=importance, seed=3)
    again, asked = copy.deepcopy(network), []

    def gradients(given: nn.Module) -> dict[str, torch.Tensor]:
        asked.append(given)
        given(torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))).sum().backward()
        return {name: p.grad.clone() for name, p in given.named_parameters() if p.grad is not None}

    edits = [
        prune_channels(n, described.input_shape, ratio=0.3, policy=policy, gradients=gradients)
        for n in (network, again)
    ]
    assert edits[0] == edits[1]
    assert torch.equal(*(n.get_parameter("conv1_1.weight") for n in (network, again)))
    assert asked == ([network, again] if importance == "taylor" else [])
    assert all(parameter.grad is None for parameter in network.parameters())


def test_taylor_keeps_what_the_loss_depends_on() -> None:
    network, described = built("lenet5")
    marked = network.get_parameter("f6.weight").detach()[:42].clone()
    found = {name: parameter.detach() * 0 for name, parameter in network.named_parameters()}
    found["f6.weight"][:42] = 1  # the first half of 84
    prune_channels(
        network, described.input_shape, ratio=0.5, policy=Policy("taylor"),
        keep=["c*"], gradients=lambda _: found,
    )  # fmt: skip
    assert torch.equal(network.get_parameter("f6.weight"), marked)


def test_what_is_left_is_rounded() -> None:
    network, described = built("mobilenet-v2", 64)
    prune_channels(network, described.input_shape, ratio=0.3, policy=Policy(round_to=8))
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert {m.out_channels % 8 for m in convolutions} == {0}
    assert sum(m.out_channels for m in convolutions) < 0.8 * 17_000


def test_grouped_convolutions_keep_their_groups() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.Conv2d(8, 16, 3, groups=2), nn.ReLU(),
        nn.Conv2d(16, 8, 3, groups=4), nn.Flatten(), nn.Linear(32, 5),
    ).eval()  # fmt: skip
    shape, policy = (3, 8, 8), Policy()
    found: list[Scored] = candidates(network, shape, policy=policy)
    assert [scored.group.grouped for scored in found] == [4, 4, 2]  # from the back
    assert found[-1].channels([0, 3]) == [0, 3, 4, 7]
    cut = Cut.of(network, chosen(found, 0.5, policy))
    dense, edit = blind_to(network, cut), cut.apply(shape)
    assert edit is not None
    assert [size.model_dump() for size in edit.layers.values()] == [
        {"in_channels": 3, "out_channels": 4, "groups": 1},
        {"in_channels": 4, "out_channels": 8, "groups": 2},
        {"in_channels": 8, "out_channels": 4, "groups": 4},
        {"in_features": 16, "out_features": 5},
    ]
    picture = torch.rand(2, *shape)
    torch.testing.assert_close(network(picture), dense(picture))


def test_global_takes_more_from_some_layers() -> None:
    network, described = built("keras-mnist-cnn")
    network.get_parameter("conv1_1.weight").data[:15] *= 1e-3
    network.get_parameter("conv1_2.weight").data[:, :15] *= 1e-3
    edit = prune_channels(network, described.input_shape, ratio=0.2, policy=Policy(is_global=True))
    left = edit.layers["conv1_1"].model_dump()["out_channels"]
    assert left == 40 - 15
    total = 40 + 32 + 64
    gone = (
        total
        - left
        - sum(
            edit.layers[path]
            .model_dump()
            .get("out_channels", edit.layers[path].model_dump().get("out_features"))
            if path in edit.layers
            else width
            for path, width in (("conv1_2", 32), ("dense_1", 64))
        )
    )
    assert gone == int(0.2 * total)


def test_keep_and_what_it_holds() -> None:
    network, described = built("resnet18", 64)
    edit = prune_channels(network, described.input_shape, ratio=0.5, keep=["layer[123]*", "conv1"])
    widths = {p: s.model_dump().get("out_channels") for p, s in edit.layers.items()}
    # layer4 alone: the widths of its stream and inside its blocks; conv1's stream reaches layer1.
    assert {path.partition(".")[0] for path in widths} == {"layer4", "fc"}
    assert widths["layer4.0.conv1"] == widths["layer4.1.conv2"] == 256


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_a_target_of_multiply_adds(share: float) -> None:
    network, described = built("resnet20")
    before = summarize(network, described.input_shape).mult_adds
    prune_channels(network, described.input_shape, target_mult_adds=share)
    after = summarize(network, described.input_shape).mult_adds
    assert 0.85 * share < after / before <= share


def test_the_head_and_its_classes_stay() -> None:
    for name in ("lenet5", "resnet20", "squeezenet1-1"):
        network, described = built(name, 64 if name == "squeezenet1-1" else None)
        head = find_head(network, described.input_shape)
        outputs_before = head.weight.shape[0]
        prune_channels(network, described.input_shape, ratio=0.6)
        head = find_head(network, described.input_shape)
        assert head.weight.shape[0] == outputs_before
        assert type(network).__name__ != "GraphModule"


def test_attention_networks_lose_only_inside_their_mlps() -> None:
    network = VisionTransformer(32, 16, 2, 2, hidden_dim=32, mlp_dim=64, num_classes=5)
    edit = prune_channels(network, (3, 32, 32), ratio=0.5)
    assert len(edit.layers) == 4
    assert all(".mlp." in path for path in edit.layers)
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 5)


def test_modes_and_frozen_layers_stay() -> None:
    network, described = built("keras-mnist-cnn")
    network.train()
    network.get_parameter("conv1_1.weight").requires_grad_(False)
    prune_channels(network, described.input_shape, ratio=0.3)
    assert all(module.training for module in network.modules())
    frozen = [name for name, p in network.named_parameters() if not p.requires_grad]
    assert frozen == ["conv1_1.weight"]
    assert type(network.get_submodule("conv1_1").forward).__name__ == "method"


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_pruned_is_refused_with_the_reason(name: str) -> None:
    described = description.describe(name)
    network = modelfile.build(described)
    with pytest.raises(StructureError, match=REFUSED[name]) as refused:
        prune_channels(network, described.input_shape, ratio=0.3)
    assert "--sparsity" in refused.value.hint


def test_a_whole_layer_does_not_go() -> None:
    network, described = built("lenet5")
    with pytest.raises(StructureError, match="This would remove all channels of") as refused:
        prune_channels(network, described.input_shape, ratio=0.97, policy=Policy(is_global=True))
    assert "--keep" in refused.value.hint


def test_other_bad_wishes() -> None:
    network, described = built("lenet5")
    shape = described.input_shape
    with pytest.raises(UsageError, match="No layer matches 'c9'"):
        prune_channels(network, shape, ratio=0.3, keep=["c9"])
    with pytest.raises(StructureError, match="--keep leaves no layer"):
        prune_channels(network, shape, ratio=0.3, keep=["*"])
    with pytest.raises(StructureError, match="No layer would lose a channel"):
        prune_channels(network, shape, ratio=0.001)
    with pytest.raises(
        StructureError, match=r"leaves 0.01 % of the multiply-adds; .* % is the least"
    ):
        prune_channels(network, shape, target_mult_adds=0.0001)
    with pytest.raises(UsageError, match="not between 0 and 1"):
        prune_channels(network, shape, ratio=1.0)


QUICK = {"keras-mnist-cnn", "resnet20", "resnet18", "mobilenet-v2"}
FRESH = """
import sys, torch
from zoo import modelfile
network = modelfile.load(sys.argv[1])
expected, picture = torch.load(sys.argv[2], weights_only=True)
with torch.no_grad():
    assert torch.equal(network(picture), expected), sys.argv[1]
print(type(network).__name__)
"""


def cards() -> Iterator[object]:
    """Every network that can be pruned; all but some slowly."""
    for card in CARDS:
        if card.name not in REFUSED:
            marks = () if card.name in QUICK or is_small(card) else (pytest.mark.slow,)
            yield pytest.param(card, marks=marks, id=card.name)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What was pruned in this module, to be loaded by a process of its own at the end."""
    directory = tmp_path_factory.mktemp("pruned")
    yield directory
    # With another number of threads, sums are taken in another order.
    script = f"import sys, torch\ntorch.set_num_threads({torch.get_num_threads()})\n"
    script += f"SCRIPT = {FRESH!r}\n"
    script += (
        "from pathlib import Path\n"
        f"for path in sorted(Path({str(directory)!r}).glob('*.safetensors')):\n"
        "    sys.argv[1:] = [str(path), str(path.with_suffix('.pt'))]\n"
        "    exec(SCRIPT)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert len(ended.stdout.splitlines()) == len(list(directory.glob("*.safetensors")))


def small_pictures(card: Architecture) -> int | None:
    """Their side; None is what the network is made for."""
    smallest = card.smallest_px or 64
    return None if is_small(card) else max(64, smallest)


@pytest.mark.slow
@pytest.mark.parametrize(
    "card", [card for card in CARDS if card.name not in REFUSED], ids=lambda card: card.name
)
def test_it_leaves_the_zoo_as_it_is(card: Architecture, tmp_path: Path) -> None:
    network, described = built(card.name, small_pictures(card))
    edit = prune_channels(network, described.input_shape, ratio=0.3)
    settle(network, described.input_shape, torch.Generator().manual_seed(0))
    model = tmp_path / "m.safetensors"
    modelfile.save(model, network, modelfile.with_edits(described, [edit]))
    made = export_file(str(model), tmp_path / "m.pt2")
    assert made.document.parity is not None
    assert made.document.parity.top1_agreement == 1


@pytest.mark.parametrize("card", list(cards()))
def test_it_reloads_anywhere_and_learns(card: Architecture, fresh: Path) -> None:
    network, described = built(card.name, small_pictures(card))
    shape = described.input_shape
    name, path = type(network).__name__, fresh / f"{card.name}.safetensors"
    before = summarize(network, shape)
    edit = prune_channels(network, shape, ratio=0.3)
    after = summarize(network, shape)
    assert after.mult_adds < before.mult_adds
    assert type(network).__name__ == name
    modelfile.save(path, network, modelfile.with_edits(described, [edit]))
    picture = torch.rand(1, *shape)
    with torch.no_grad():
        torch.save((network(picture), picture), path.with_suffix(".pt"))
        assert network(picture).isfinite().all()
    again = modelfile.load(path).train()
    results = outputs(again, torch.rand(2, *shape)) and again(torch.rand(2, *shape))
    logits = results if isinstance(results, torch.Tensor) else results[0]
    logits.logsumexp(1).mean().backward()
    optimizer = torch.optim.SGD(again.parameters(), lr=1e-3)
    optimizer.step()
    trained = [p for p in again.parameters() if p.grad is not None and p.grad.any()]
    assert len(trained) > 0.5 * len(list(again.parameters()))
