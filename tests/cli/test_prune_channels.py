"""`zoo prune` of channels and of single weights."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import Ended
from zoo import modelfile
from zoo.description import read_description

Zoo = Callable[..., Ended]


def test_channels(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    ended = zoo(
        "prune", trained, "--channels", 0.3, "--recipe", "digits", "-o", "small", "--json"
    )  # fmt: skip
    assert ended.code == 0
    document = ended.json
    (edit,) = document["edits"]
    assert edit["layers"]["c1"] == {"in_channels": 1, "out_channels": 5, "groups": 1}
    assert edit["layers"]["out"] == {"in_features": 59, "out_features": 10}
    before, after = document["before"], document["after"]
    for figure in ("total_params", "torch_params", "mult_adds", "file_bytes"):
        assert after[figure] < before[figure]
    assert after["file_bytes"] == Path("small").stat().st_size
    assert {"latency_ms", "top1"} <= before.keys() & after.keys()
    assert read_description(Path("small")).metrics == {}
    assert (
        "1. channels: 5 layers made smaller, c1 5, c3 12, c5 84 ..." in zoo("show", "small").stdout
    )
    assert zoo("evaluate", "small", "--json").json["top1"] == after["top1"]
    assert zoo("train", "small", "--max-steps", 1, "-o", "run").code == 0
    assert modelfile.load("run").get_parameter("c1.weight").shape == (5, 1, 5, 5)
    again = zoo("prune", "run", "--channels", 0.3, "-o", "smaller", "--json").json["edits"]
    assert len(again) == 1  # one record of what has become of it
    assert again[0]["layers"]["c1"]["out_channels"] == 4


def test_a_trial_writes_nothing_and_chooses_as_the_real_one(
    zoo: Zoo, trained: Path, in_tmp: Path
) -> None:
    arguments = ("prune", trained, "--target-mult-adds", 0.5, "--global", "--json")
    trial = zoo(*arguments, "--dry-run").json
    assert trial["output"] is None
    assert not list(in_tmp.iterdir())
    real = zoo(*arguments, "-o", "half").json
    assert real["edits"] == trial["edits"]
    assert trial["after"].items() <= {**real["after"], "latency_ms": None, "top1": None}.items()
    assert 0.4 < real["after"]["mult_adds"] / real["before"]["mult_adds"] <= 0.5
    assert {layer["name"] for layer in trial["layers"]} >= {"c5", "f6", "out"}


def test_taylor_and_steps_learn_from_a_recipe(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    by_loss = zoo(
        "prune", trained, "--channels", 0.5, "--importance", "taylor", "--recipe", "digits",
        "-o", "taylor", "--json",
    ).json  # fmt: skip
    anyhow = zoo(
        "prune", trained, "--channels", 0.5, "--importance", "random", "--recipe", "digits",
        "-o", "random", "--json",
    ).json  # fmt: skip
    assert by_loss["after"]["top1"] > 0.5  # one of ten classes guessed is 0.1
    assert by_loss["edits"] == anyhow["edits"]
    kept = [modelfile.load(name).get_parameter("c1.weight") for name in ("taylor", "random")]
    assert not torch.equal(*kept)  # as many channels, but others
    ended = zoo(
        "prune", trained, "--channels", 0.5, "--steps", 2, "--epochs", 2, "--recipe", "digits",
        "-o", "steps", "--json",
    )  # fmt: skip
    in_steps, said = ended.json, ended.stderr.splitlines()
    assert re.fullmatch("step 1 of 2: pruned to [0-9,]+ parameters", said[0])
    assert [line[:9] for line in said[1:3]] == ["epoch 1/2", "epoch 2/2"]
    left = f"{in_steps['after']['torch_params']:,}"
    assert said[3] == f"step 2 of 2: pruned to {left} parameters"
    at_once = zoo(
        "prune", trained, "--channels", 0.5, "--recipe", "digits", "-o", "o", "--json"
    ).json
    assert in_steps["edits"] == at_once["edits"]  # as wide, but other channels
    assert in_steps["after"]["top1"] > at_once["after"]["top1"]
    assert sorted(path.name for path in in_tmp.iterdir()) == ["o", "random", "steps", "taylor"]


def test_figures_are_numbers_in_csv(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    asked = ("prune", trained, "--sparsity", 0.5, "--recipe", "digits", "-o", "m", "--csv")
    rows = {row["figure"]: row for row in csv.DictReader(io.StringIO(zoo(*asked).stdout))}
    assert rows["parameters alone"]["before"] == "61706"
    assert rows["weights that are zero"]["after"] == "30735"
    latency, top1 = rows["latency of one picture, ms"], rows["top-1 on test pictures of digits"]
    assert float(latency["after"]) > 0
    assert 0.5 < float(top1["after"]) < 1


def test_sparsity(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    trial = zoo("prune", trained, "--sparsity", 0.8, "--keep", "out", "--dry-run", "--json").json
    assert trial["zeroed"][0] == {
        "name": "c1.weight",
        "weights": 150,
        "zeros": 0,
        "zeros_after": 120,
    }
    assert [change["name"] for change in trial["zeroed"]] == [
        f"{layer}.weight" for layer in ("c1", "c3", "c5", "f6")
    ]
    assert re.search("c5.weight +48,000 +0 +38,400", zoo(
        "prune", trained, "--sparsity", 0.8, "--dry-run").stdout)  # fmt: skip
    ended = zoo("prune", trained, "--sparsity", 0.8, "--keep", "out", "-o", "sparse", "--json")
    document = ended.json
    assert document["speed_up"] is None
    assert any("nothing is faster or smaller" in note for note in document["notes"])
    network = modelfile.load("sparse")
    shares = {n: float((p == 0).float().mean()) for n, p in network.named_parameters()}
    assert shares["c5.weight"] == pytest.approx(0.8, abs=1e-4)
    assert shares["out.weight"] == 0
    text = zoo("show", "sparse").stdout
    assert "1. sparsity: 80.00 % of the weights of 4 tensors are zero" in text
    assert "no speed-up" in zoo("prune", trained, "--sparsity", 0.8, "-o", "two").stdout
    assert zoo("prune", "sparse", "--channels", 0.3, "-o", "both").code == 0
    assert zoo("train", "both", "--max-steps", 3, "-o", "run").code == 0
    both, run = modelfile.load("both").state_dict(), modelfile.load("run").state_dict()
    assert torch.equal(both["c5.weight"] == 0, run["c5.weight"] == 0)
    assert bool((both["c5.weight"] == 0).any())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--channels 1", "--channels 1 is no share between 0 and 1."),
        ("--channels 30", "--channels 30 is no share between 0 and 1. 30 % is 0.3."),
        ("--sparsity 0", "--sparsity 0 is no share"),
        ("--target-mult-adds nan", "is no share"),
        ("--sparsity 1e-9", "No further weight would become zero: 0 of 61,470 are."),
        ("--channels 0.3 --pop 1", "--pop and --channels exclude one another."),
        ("--channels 0.3 --target-mult-adds 0.5", "exclude one another"),
        ("--pop 1 --keep c1", "--keep does not apply"),
        ("--pop 1 --global", "--global does not apply"),
        ("--sparsity 0.3 --round-to 8", "--round-to does not apply"),
        ("--sparsity 0.3 --importance l1", "--importance does not apply"),
        ("--sparsity 0.3 --steps 2", "--steps does not apply"),
        ("--channels 0.3 --epochs 2", "--epochs does not apply"),
        ("--channels 0.3 --seed 2", "--seed does not apply"),
        ("--channels 0.3 --importance taylor", "--importance taylor needs pictures."),
        ("--channels 0.3 --steps 2", "--steps trains between the steps"),
        ("--channels 0.3 --keep c11", "No layer matches 'c11'. Did you mean c1?"),
        ("--channels 0.97 --global", "This would remove all channels of"),
        ("", "What to take away is missing."),
    ],
)
def test_what_does_not_fit_together_is_refused(
    arguments: str, message: str, zoo: Zoo, in_tmp: Path
) -> None:
    ended = zoo("prune", "lenet5", *arguments.split(), "-o", "out", "--json")
    assert ended.code == 2
    assert message in ended.json["error"]["message"]
    assert not Path("out").exists()


@pytest.mark.parametrize("name", ["lenet5-1998", "shufflenet-v2-x1-0"])
def test_networks_that_can_not_lose_channels(name: str, zoo: Zoo, in_tmp: Path) -> None:
    ended = zoo("prune", name, "--channels", 0.3, "--dry-run", "--json")
    assert ended.code == 2
    assert "can't be pruned" in ended.json["error"]["message"]
    assert "--sparsity" in json.dumps(ended.json["error"]["hint"])
