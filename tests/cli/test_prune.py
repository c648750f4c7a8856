"""`zoo prune`."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import Ended
from zoo import modelfile
from zoo.edit_texts import sentences
from zoo.shrinking import changes, latencies_ms
from zoo.summary import summarize
from zoo.surgery import Pop

Zoo = Callable[..., Ended]


def test_json_keys(zoo: Zoo, in_tmp: Path) -> None:
    document = zoo("prune", "keras-mnist-cnn", "--pop", 2, "-o", "k", "--json").json
    assert document["output"] == "k"
    assert document["edits"] == [{"edit": "pop", "layers": 2}]
    keys = {"total_params", "torch_params", "mult_adds", "file_bytes", "latency_ms"}
    assert keys == {*document["before"]} == {*document["after"]}
    assert document["before"]["total_params"] == 87_290
    assert document["after"]["total_params"] == 86_640
    assert document["after"]["file_bytes"] == Path("k").stat().st_size
    assert document["after"]["latency_ms"] > 0
    assert [layer["name"] for layer in document["layers"]] == ["dropout_3", "dense_2"]
    assert document["notes"] == ["the weights are random: nothing is trained yet"]
    assert zoo("summary", "k", "--json").json["total_params"] == 86_640
    assert "pop: the last 2 layers taken off" in zoo("show", "k").stdout
    assert "none: its top was taken off" in zoo("show", "k").stdout


def test_a_trial_writes_nothing_and_counts_the_same(zoo: Zoo, in_tmp: Path) -> None:
    tried = zoo("prune", "lenet5", "--pop", 1, "--dry-run", "--json").json
    assert tried["output"] is None
    assert [*in_tmp.iterdir()] == []
    zoo("build", "lenet5", "-o", "whole.safetensors")
    done = zoo("prune", "whole.safetensors", "--pop", 1, "-o", "m.safetensors", "--json").json
    for side, file in (("before", "whole.safetensors"), ("after", "m.safetensors")):
        assert {**done[side], "latency_ms": None} == tried[side]
        assert Path(file).stat().st_size == tried[side]["file_bytes"]
    assert tried["layers"] == done["layers"]
    assert "Nothing was written" in zoo("prune", "lenet5", "--pop", 1, "--dry-run").stdout


def test_blocks_are_taken_out(zoo: Zoo, in_tmp: Path) -> None:
    globs = ("--layers", "stage3.[12]", "--layers", "stage2.2.*", "--layers", "stage2.2")
    document = zoo("prune", "resnet20", *globs, "-o", "m", "--json").json
    assert document["edits"] == [
        {"edit": "remove", "layer": name, "activations": []}
        for name in ("stage2.2", "stage3.1", "stage3.2")
    ]
    gone = {layer["name"] for layer in document["layers"]}
    assert {layer["output_shape_after"] for layer in document["layers"]} == {None}
    rows = {layer["name"] for layer in zoo("summary", "m", "--json").json["layers"]}
    before = {layer["name"] for layer in zoo("summary", "resnet20", "--json").json["layers"]}
    assert rows == before - gone
    assert document["after"]["mult_adds"] < 0.8 * document["before"]["mult_adds"]
    network = modelfile.load("m")
    assert type(network).__name__ != "GraphModule"
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
    assert "2. remove stage3.1" in zoo("show", "m").stdout
    assert zoo("train", "m", "--max-steps", 1, "-o", "run").code == 0


def test_what_is_gone_counts_no_more(zoo: Zoo, in_tmp: Path) -> None:
    zoo("prune", "keras-mnist-cnn", "--layers", "dropout*", "-o", "m")
    rows = [layer["name"] for layer in zoo("summary", "m", "--json").json["layers"]]
    assert rows == [
        "conv1_1", "max_pooling2d_1", "conv1_2", "max_pooling2d_2", "flatten_1", "dense_1",
        "batch_normalization_1", "dense_2",
    ]  # fmt: skip
    explained = zoo("explain", "layers", "m", "--json").json["layers"]
    assert [layer["name"] for layer in explained] == rows
    assert zoo("prune", "m", "--pop", 2, "-o", "popped").code == 0
    left = zoo("summary", "popped", "--json").json["layers"]
    assert [layer["name"] for layer in left] == rows[:-2]
    first = zoo("freeze", "m", "--first", 3, "--dry-run", "--json").json
    assert first["edits"][-1]["layers"] == ["conv1_1", "conv1_2"]
    again = zoo("prune", "m", "--layers", "dropout_1", "--dry-run")
    assert (again.code, "No layer matches 'dropout_1'" in again.stderr) == (2, True)


def test_what_goes_along_and_what_stays_is_said(zoo: Zoo, in_tmp: Path) -> None:
    globs = ("--layers", "bn1", "--layers", "layer1.0.bn1")
    ended = zoo("prune", "resnet18", *globs, "--dry-run")
    assert "note: with bn1 goes its activation, relu" in ended.stderr
    assert "after layer1.0.bn1 stays: layer1.0.relu, which works elsewhere too" in ended.stderr
    assert "Activation after" in ended.stdout
    layers = zoo("prune", "resnet18", *globs, "--dry-run", "--json").json["layers"]
    assert [
        (layer["name"], layer["activation"], layer["activation_after"], layer["params_after"])
        for layer in layers
    ] == [
        ("bn1", "relu", None, None),
        ("layer1.0.conv1", None, "relu", 36_864),
        ("layer1.0.bn1", "relu", None, None),
    ]


def test_edits_in_words() -> None:
    edit = {"edit": "remove", "layer": "c2"}
    assert sentences([edit, edit | {"activations": []}, edit | {"activations": ["c2_elu"]}]) == [
        "remove c2 alone: what follows, an activation too, reads what it read",
        "remove c2: what follows reads what it has read",
        "remove c2 with its activation c2_elu: what follows reads what it has read",
    ]


def test_what_never_runs_is_no_change() -> None:
    class Stood(torch.nn.Module):
        """Another module's code stands in for its dropout."""

        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = torch.nn.Conv2d(1, 1, 1), torch.nn.Conv2d(1, 1, 1)
            self.drop, self.unused = torch.nn.Dropout(), torch.nn.Conv2d(1, 1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.two(self.one(x))
            return out

    whole = Stood()
    popped = Pop(layers=1).apply(whole, (1, 4, 4))
    before, after = (summarize(network, (1, 4, 4)).layers for network in (whole, popped))
    assert {row.name for row in before} == {"one", "two", "drop", "unused"}
    assert [change.name for change in changes(before, after)] == ["two", "unused"]


def test_accuracy_before_and_after(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    # Nothing that learns goes, so that what is left is as good.
    ended = zoo("prune", trained, "--layers", "c1_tanh", "--recipe", "digits", "-o", "m", "--json")
    assert ended.code == 0, ended.stdout
    figures = zoo("evaluate", trained, "--json").json
    assert ended.json["before"]["top1"] == figures["top1"]
    assert ended.json["after"]["top1"] == zoo("evaluate", "m", "--json").json["top1"]
    assert zoo("show", "m", "--json").json["metrics"] == {}
    assert zoo("show", "m", "--json").json["classes"] == figures["classes"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lenet5", "--pop", "1"), "Missing option '--output'"),
        (("lenet5", "-o", "m"), "What to take away is missing"),
        (("lenet5", "--pop", "1", "--layers", "c1", "-o", "m"), "exclude one another"),
        (("lenet5", "--pop", "0", "-o", "m"), "takes nothing off"),
        (("lenet5", "--pop", "7", "-o", "m"), "the network has 7 layers"),
        (("resnet18", "--pop", "4", "--dry-run"), "no single tensor"),
        (("lenet5", "--layers", "conv*", "--dry-run"), "No layer matches 'conv*'"),
        (("lenet5", "--layers", "c3", "--dry-run"), "makes 16×10×10 of 6×14×14"),
        (("lenet5", "--pop", "1", "--dry-run", "--force"), "--force can't go with --dry-run"),
        (
            ("lenet5", "--pop", "1", "--dry-run", "--recipe", "digits", "--threads", "1"),
            "--recipe and --threads can't go with --dry-run",
        ),
        (("lenet5", "--pop", "1", "--recipe", "digits", "-o", "m"), "nothing trained"),
        (("lenet6", "--pop", "1", "-o", "m"), "Did you mean lenet5"),
        (("lenet5", "--pop", "1", "-o", "no/such/m"), "does not exist"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: tuple[str, ...], message: str, zoo: Zoo, in_tmp: Path
) -> None:
    ended = zoo("prune", *arguments)
    assert ended.code == 2
    assert message in ended.stderr
    assert [*in_tmp.iterdir()] == []


def test_features_have_no_accuracy(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    ended = zoo("prune", trained, "--pop", 1, "--recipe", "digits", "-o", "m")
    assert ended.code == 2
    assert "--recipe does not apply: what is left gives features" in ended.stderr
    assert [*in_tmp.iterdir()] == []


def test_an_existing_output_needs_force(zoo: Zoo, in_tmp: Path) -> None:
    Path("m").write_text("mine")
    assert zoo("prune", "lenet5", "--pop", 1, "-o", "m").code == 2
    assert Path("m").read_text() == "mine"
    assert zoo("prune", "lenet5", "--pop", 1, "-o", "m", "--force").code == 0


class Slow(torch.nn.Module):
    """Takes its time."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(self.times):
            x = torch.tanh(x)
        return x


def test_the_slower_network_is_found_slower() -> None:
    from zoo.precision import choose

    arithmetic = choose("fp32", torch.device("cpu"))
    slow, fast = latencies_ms([Slow(40), Slow(1)], (3, 64, 64), arithmetic, seconds=0.2)
    assert slow > 4 * fast > 0
