"""`zoo build`."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import Ended
from zoo import modelfile

Zoo = Callable[..., Ended]


def test_json_keys(zoo: Zoo, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    document = zoo("build", "lenet5", "-o", out, "--set", "c1.out_channels=12", "--json").json
    assert document["output"] == str(out)
    assert document["edits"] == [
        {"edit": "set", "layer": "c1", "field": "out_channels", "value": 12}
    ]
    assert document["before"]["total_params"] == 61_706
    assert document["after"]["total_params"] == 64_262
    assert document["notes"] == ["the weights are random: nothing is trained yet"]


def test_the_seed_decides_the_weights(zoo: Zoo, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        zoo("build", "lenet5", "-o", tmp_path / name, "--seed", seed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_arguments(zoo: Zoo, tmp_path: Path) -> None:
    flags = ("--num-classes", 3, "--in-channels", 3, "--input-size", 64)
    zoo("build", "lenet5-1998", *flags, "-o", tmp_path / "m")
    assert modelfile.load(tmp_path / "m")(torch.zeros(2, 3, 64, 64)).shape == (2, 3)


def test_weights_bring_what_a_model_file_knows(zoo: Zoo, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    ended = zoo("build", "lenet5", "--weights", trained, "-o", out)
    assert ended.code == 0
    assert "classes, preprocessing and recipe come with the weights" in ended.stderr
    assert "started from   a model file, SHA-256 " in zoo("show", out).stdout
    assert (
        zoo("evaluate", out, "--json").json["top1"]
        == (zoo("evaluate", trained, "--json").json["top1"])
    )


def test_a_file_can_be_edited(zoo: Zoo, trained: Path, tmp_path: Path) -> None:
    ended = zoo("build", trained, "--set", "c5.out_channels=60", "-o", tmp_path / "m")
    assert ended.code == 0
    assert "layers that changed start with fresh weights" in ended.stderr
    assert zoo("show", tmp_path / "m", "--json").json["metrics"] == {}
    assert zoo("build", trained, "--seed", 3, "-o", tmp_path / "n").code == 2
    kept = modelfile.load(tmp_path / "m").get_parameter("c3.weight")
    assert torch.equal(kept, modelfile.load(trained).get_parameter("c3.weight"))


def test_an_existing_output_needs_force(zoo: Zoo, tmp_path: Path) -> None:
    out = tmp_path / "m"
    out.write_text("mine")
    assert zoo("build", "lenet5", "-o", out).code == 2
    assert out.read_text() == "mine"
    assert zoo("build", "lenet5", "-o", out, "--force").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("lenet5",), 2, "Missing option '--output'"),
        (("lenet5", "-o", "no/such/directory/m"), 2, "does not exist"),
        (("lenet5", "-o", "."), 2, "is a directory"),
        (("lenet5", "-o", "m", "--weights", "nowhere.pt"), 2, "no weights file"),
        (("lenet5", "-o", "m", "--weights", "text.pt"), 5, "no safetensors file"),
        (("lenet5", "-o", "m", "--input-size", "8"), 2, "at least 32×32"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: tuple[str, ...], code: int, message: str, zoo: Zoo, in_tmp: Path
) -> None:
    (in_tmp / "text.pt").write_text("hello, I am a text")
    ended = zoo("build", *arguments)
    assert ended.code == code
    assert message in ended.stderr
    assert sorted(path.name for path in in_tmp.iterdir()) == ["text.pt"]


def test_weights_that_do_not_fit_are_named(zoo: Zoo, in_tmp: Path) -> None:
    torch.save({"c1.weight": torch.ones(6, 1, 5, 5), "extra": torch.ones(2)}, "w.pt")
    ended = zoo("build", "lenet5", "-o", "m", "--weights", "w.pt")
    assert ended.code == 5
    assert "missing: c1.bias, c3.weight, c3.bias, c5.weight, c5.bias and 4 more" in ended.stderr
    assert "surplus: extra" in ended.stderr
    assert not (in_tmp / "m").exists()


def test_a_network_without_its_top(zoo: Zoo, in_tmp: Path) -> None:
    ended = zoo("build", "keras-mnist-cnn", "--no-top", "-o", "bare.safetensors", "--json")
    assert ended.code == 0, ended.stdout
    assert ended.json["edits"] == [{"edit": "no-top"}]
    assert ended.json["after"]["torch_params"] == 1_040 + 11_552
    found = zoo("summary", "bare.safetensors", "--json").json
    assert found["torch_params"] == 1_040 + 11_552
    assert found["layers"] == zoo("summary", "keras-mnist-cnn", "--no-top", "--json").json["layers"]
    assert "no-top" in zoo("show", "bare.safetensors").stdout
    for arguments in (["evaluate"], ["predict", "x.png"]):
        command, *others = arguments
        ended = zoo(command, "bare.safetensors", *others)
        assert ended.code == 2
        assert "top was taken off" in ended.stderr or "nothing trained" in ended.stderr


def test_why_a_model_files_weights_do_not_fit(zoo: Zoo, in_tmp: Path) -> None:
    zoo("build", "keras-mnist-cnn", "-o", "k.safetensors")
    zoo("build", "keras-mnist-cnn", "--no-top", "-o", "bare.safetensors")
    other = zoo("build", "resnet20", "--weights", "k.safetensors", "-o", "x.safetensors")
    assert other.code == 5
    assert "The weights are those of keras-mnist-cnn." in other.stderr
    assert "its top was taken off" in zoo("show", "bare.safetensors").stdout


def test_what_to_do_with_weights_of_a_changed_network(
    zoo: Zoo, trained: Path, in_tmp: Path
) -> None:
    def hint(*arguments: object) -> str:
        ended = zoo(*arguments, "--json")
        assert ended.code == 5, ended.stdout
        return str(ended.json["error"]["hint"])

    assert zoo("prune", trained, "--pop", 1, "-o", "p.safetensors").code == 0
    of_popped = "The top of p.safetensors was taken off: zoo train p.safetensors puts a new head on"
    assert hint("build", "lenet5", "--weights", "p.safetensors", "-o", "x").startswith(of_popped)
    assert hint("build", "lenet5", "--weights", "p.safetensors", "--no-top", "-o", "x").startswith(
        of_popped
    )
    assert hint("train", "lenet5", "--weights", "p.safetensors", "-o", "x").startswith(of_popped)
    trains = zoo("train", "p.safetensors", "--recipe", "digits", "--max-steps", 1, "-o", "run")
    assert trains.code == 0, trains.stderr

    assert zoo("prune", trained, "--channels", 0.5, "-o", "c.safetensors").code == 0
    assert "zoo train c.safetensors goes on with it" in hint(
        "build", "lenet5", "--weights", "c.safetensors", "-o", "x"
    )
    changed = ["--set", "c1.out_channels=12"]
    command = hint("build", "lenet5", "--weights", trained, *changed, "-o", "x")
    found = f"zoo build {trained}/best.safetensors --set c1.out_channels=12 -o FILE"
    assert found in command
    assert zoo("build", f"{trained}/best.safetensors", *changed, "-o", "x").code == 0

    assert zoo("build", "lenet5", "--num-classes", 3, "-o", "three.safetensors").code == 0
    three = hint("build", "lenet5", "--weights", "three.safetensors", "-o", "y")
    assert "3 classes apart, the network 10: an architecture takes --num-classes 3." in three


def test_what_weights_leave_behind_is_said_once(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    assert zoo("prune", trained, "--sparsity", 0.9, "-o", "s.safetensors").code == 0
    assert zoo("freeze", trained, "--first", 3, "-o", "f.safetensors").code == 0
    brought = "classes, preprocessing and recipe come with the weights"
    expected = {
        "s.safetensors": "s.safetensors has weights pruned to zero, but its weights alone do not "
        "keep them so in training: zoo train s.safetensors does",
        "f.safetensors": "f.safetensors has frozen layers, but its weights alone do not bring "
        "that: zoo train f.safetensors keeps them frozen",
    }
    for name, note in expected.items():
        built = zoo("build", "lenet5", "--weights", name, "-o", "built", "--force", "--json")
        assert built.json["notes"] == [note, brought]
        once = ("--recipe", "digits", "--max-steps", 1, "--epochs", 1, "--json")
        ended = zoo("train", "lenet5", "--weights", name, *once, "-o", f"run-{name}").json
        assert [said for said in ended["notes"] if name in said] == [note]
    built = zoo("build", "lenet5", "--weights", trained, "-o", "built", "--force", "--json")
    assert built.json["notes"] == [brought]


def test_what_weights_do_not_bring_is_said(zoo: Zoo, in_tmp: Path) -> None:
    zoo("build", "lenet5", "-o", "fresh.safetensors")
    still_random = zoo("build", "lenet5", "--weights", "fresh.safetensors", "-o", "a.safetensors")
    assert "the weights are random" in still_random.stderr
    torch.save(modelfile.load("fresh.safetensors").state_dict(), "w.pth")
    bare = zoo("build", "lenet5", "--weights", "w.pth", "-o", "b.safetensors")
    assert "the weights name no mean and std" in bare.stderr
    assert "random" not in bare.stderr


def test_exported_tensors_bring_what_they_say(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    assert zoo("export", trained, "-o", "t.safetensors").code == 0
    ended = zoo("build", "lenet5", "--weights", "t.safetensors", "-o", "m.safetensors")
    assert ended.code == 0
    assert ended.stderr == "note: classes, preprocessing and recipe come with the weights\n"
    ours, theirs = (modelfile.resolve(str(one)).description for one in ("m.safetensors", trained))
    assert (ours.preprocessing, ours.classes) == (theirs.preprocessing, theirs.classes)
    for name, tensor in modelfile.load("m.safetensors").state_dict().items():
        assert torch.equal(tensor, modelfile.load(trained).state_dict()[name])
