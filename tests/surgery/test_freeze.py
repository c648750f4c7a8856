"""The edit `freeze`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from zoo import frozen, modelfile
from zoo.description import describe
from zoo.errors import ModelFileError, StructureError
from zoo.summary import summarize
from zoo.surgery import Edit, Freeze, NoTop, SetHyperparameter


def trainable(network: nn.Module) -> set[str]:
    return {name for name, p in network.named_parameters() if p.requires_grad}


def built(name: str, *edits: Edit) -> nn.Module:
    return modelfile.build(modelfile.with_edits(describe(name), edits))


def test_frozen_and_free_again() -> None:
    network = built("lenet5", Freeze(layers=("c1", "f6")), Freeze(layers=("f6",), frozen=False))
    assert trainable(network) == trainable(built("lenet5")) - {"c1.weight", "c1.bias"}


def test_batch_norms_keep_their_statistics_until_they_are_free() -> None:
    freeze = Freeze(layers=("bn1", "layer1.0.conv1"))
    network = built("resnet18", freeze).train()
    assert not network.bn1.training
    assert network.layer1[0].bn1.training
    modes = [built("resnet18", freeze, Freeze(layers=("bn1",), frozen=False)).train().bn1.training]
    assert modes == [True]


def test_a_containers_own_tensors() -> None:
    network = built("vit-b-16", Freeze(layers=("class_token", "encoder.pos_embedding")))
    assert trainable(built("vit-b-16")) - trainable(network) == {
        "class_token", "encoder.pos_embedding",
    }  # fmt: skip


def test_an_unknown_layer() -> None:
    with pytest.raises(StructureError, match=r"No layer is called 'out2'\. Did you mean out\?"):
        built("lenet5", Freeze(layers=("out2",)))


def test_a_layer_that_is_made_anew_afterwards_learns() -> None:
    network = built(
        "lenet5", Freeze(layers=("c1", "c3")), SetHyperparameter(
            layer="c1", field="out_channels", value=8
        ),
    )  # fmt: skip
    assert {"c1.weight", "c3.weight"} <= trainable(network)  # c3 reads other channels now


def test_frozen_layers_stay_so_where_the_top_comes_off() -> None:
    network = built("resnet18", Freeze(layers=("conv1", "bn1")), NoTop()).train()
    assert not {"conv1.weight", "bn1.weight"} & trainable(network)
    assert frozen.is_held(network.get_submodule("bn1"))
    assert not network.get_submodule("bn1").training


REPLAY = """
import json, sys, zoo, torch
network = zoo.load(sys.argv[1]).train()
print(json.dumps([
    sorted(name for name, p in network.named_parameters() if p.requires_grad),
    [name for name, m in network.named_modules() if not m.training],
    zoo.summarize(network, (3, 32, 32)).trainable_params,
]))
"""


def test_a_new_process_replays_it(tmp_path: Path) -> None:
    description = modelfile.with_edits(
        describe("resnet20"), [Freeze(layers=("conv1", "bn1", "stage1.0.bn2"))]
    )
    network = modelfile.build(description)
    modelfile.save(tmp_path / "m", network, description)
    ended = subprocess.run(
        [sys.executable, "-c", REPLAY, str(tmp_path / "m")], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    names, still, count = json.loads(ended.stdout)
    assert names == sorted(trainable(network))
    assert still == ["bn1", "stage1.0.bn2"]
    assert count == summarize(network, (3, 32, 32)).trainable_params


def test_the_weights_are_the_same_bits(tmp_path: Path) -> None:
    plain = describe("lenet5")
    network = modelfile.build(plain)
    described = modelfile.with_edits(plain, [Freeze(layers=("c1",))])
    modelfile.save(tmp_path / "m", network, described)
    loaded = modelfile.load(tmp_path / "m")
    assert not loaded.get_parameter("c1.weight").requires_grad
    assert all(torch.equal(t, loaded.state_dict()[n]) for n, t in network.state_dict().items())


def test_a_file_that_freezes_what_is_not_there_is_refused(tmp_path: Path) -> None:
    described = modelfile.with_edits(describe("lenet5"), [Freeze(layers=("nowhere",))])
    modelfile.save(tmp_path / "m", modelfile.build(describe("lenet5")), described)
    with pytest.raises(ModelFileError, match="describes a network that can't be"):
        modelfile.load(tmp_path / "m")
