"""Training what has no head, or the head of other classes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import Ended
from zoo import modelfile
from zoo.evaluation import evaluate
from zoo.schema import Dataset

Zoo = Callable[..., Ended]


@pytest.mark.parametrize(
    ("command", "flags", "head"),
    [
        (("prune", "--pop", "1"), (), "head"),
        (("build", "--no-top"), ("--head", "flatten"), "head.fc"),
    ],
)
def test_a_network_without_a_head_learns(
    command: tuple[str, ...], flags: tuple[str, ...], head: str, zoo: Zoo, trained: Path,
    in_tmp: Path,
) -> None:  # fmt: skip
    name, *options = command
    assert zoo(name, trained, *options, "-o", "bare").code == 0
    for other in (["evaluate", "bare"], ["predict", "bare", "x.png"]):
        refused = zoo(*other)
        assert refused.code == 2
        assert "zoo train bare puts a new head on it" in refused.stderr
    ended = zoo("train", "bare", *flags, "--epochs", 2, "-o", "run", "--json")
    assert ended.code == 0, ended.stdout
    assert "a new head for the 10 classes of digits starts fresh" in ended.json["notes"]
    assert ended.json["test"]["top1"] > 0.85  # what lies below has learned already
    assert zoo("evaluate", "run", "--json").json["top1"] == ended.json["test"]["top1"]
    network = modelfile.load("run")
    assert any(path.startswith(head) for path, _ in network.named_modules())
    edits = zoo("show", "run", "--json").json["edits"]
    assert edits[-1]["edit"] == "head"
    assert edits[-1]["num_classes"] == 10


def test_other_classes_replace_the_head(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    flags = ("--recipe", "shapes", "--set", "dataset.images=120", "--max-steps", 2)
    ended = zoo("train", trained, *flags, "-o", "run", "--json")
    assert ended.code == 0, ended.stdout
    assert (
        f"out starts fresh: the 6 classes of shapes are not those of {trained}"
        in (ended.json["notes"])
    )
    found = zoo("show", "run", "--json").json
    assert found["edits"] == [{"edit": "head", "num_classes": 6, "layers": ["out"], "form": "pool"}]
    assert len(found["classes"]) == 6
    assert "a new one for 6 classes in place of out" in zoo("show", "run").stdout
    network = modelfile.load("run")
    assert type(network).__name__ == "LeNet5"
    assert network(torch.zeros(1, 1, 32, 32)).shape == (1, 6)
    assert zoo("evaluate", "run").code == 0
    further = zoo("train", "--resume", "run", "--max-steps", 4, "--json")
    assert further.code == 0, further.stdout
    kept = zoo("train", trained, *flags, "--keep-head", "-o", "kept")
    assert kept.code == 2
    assert "The head can't be kept" in kept.stderr
    assert not Path("kept").exists()


def test_a_run_with_a_new_head_goes_on_to_the_same_bits(zoo: Zoo, in_tmp: Path) -> None:
    zoo("prune", "lenet5", "--pop", 2, "-o", "bare")
    flags = ("--set", "train.schedule=constant", "--batch-size", 256)
    for name, epochs in (("whole", 2), ("halves", 1)):
        assert zoo("train", "bare", *flags, "--epochs", epochs, "-o", name).code == 0
    assert zoo("train", "--resume", "halves", "--epochs", 2).code == 0
    one, other = (modelfile.load(f"{name}/last.safetensors").state_dict()
                  for name in ("whole", "halves"))  # fmt: skip
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lenet5", "--head", "flatten"), "--head does not apply"),
        (("lenet5", "--keep-head"), "--keep-head does not apply: lenet5 is an architecture"),
        (("RUN", "--head", "pool"), "--head does not apply"),
        (("POPPED", "--head", "flatten"), "what POPPED gives is one vector already"),
        (("BARE", "--keep-head"), "the top of BARE was taken off"),
        (("--resume", "RUN", "--keep-head"), "--keep-head can't go with --resume"),
        (("--resume", "RUN", "--head", "pool"), "--head can't go with --resume"),
    ],
)
def test_flags_that_do_not_apply(
    arguments: tuple[str, ...], message: str, zoo: Zoo, trained: Path, in_tmp: Path
) -> None:
    if "BARE" in arguments:
        zoo("build", "lenet5", "--no-top", "-o", "BARE")
    if "POPPED" in arguments:
        zoo("prune", "lenet5", "--pop", 1, "-o", "POPPED")
    words = [str(trained) if word == "RUN" else word for word in arguments]
    ended = zoo("train", *words, "--max-steps", 1)
    assert ended.code == 2
    assert message in ended.stderr


def test_classes_in_another_order_are_mapped_by_name(
    zoo: Zoo, trained: Path, in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from zoo.data import sources

    before = evaluate(trained).figures
    read = sources.read

    def reversed_classes(dataset: Dataset, *others: object) -> object:
        found = read(dataset, *others)  # type: ignore[arg-type]
        train = found.train
        last = len(train.classes) - 1
        turned = replace(train, classes=train.classes[::-1], targets=last - train.targets)
        return replace(found, train=turned)

    monkeypatch.setattr(sources, "read", reversed_classes)
    after = evaluate(trained)
    assert after.figures.top1 == before.top1
    assert after.figures.confusion == before.confusion
    note = "the classes stand in another order than the model's: they are mapped by name"
    assert note in after.notes
    ended = zoo("train", trained, "--keep-head", "--max-steps", 1, "-o", "run", "--json")
    assert ended.code == 0, ended.stdout
    assert note in ended.json["notes"]
    assert ended.json["test"]["top1"] > 0.8
    found = json.loads(zoo("show", "run", "--json").stdout)
    assert found["classes"] == list(before.classes)
    assert found["edits"] == []
    assert zoo("train", "--resume", "run", "--max-steps", 2).code == 0
