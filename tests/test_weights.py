"""Weights from elsewhere."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.test_modelfile import Bomb
from zoo import description, modelfile
from zoo.catalog import find
from zoo.errors import ModelFileError, UsageError
from zoo.weights import load_weights, read_donor

LENET5 = description.describe(find("lenet5"))


@pytest.fixture
def network() -> nn.Module:
    return modelfile.build(LENET5, seed=0)


@pytest.fixture
def donor() -> nn.Module:
    return modelfile.build(LENET5, seed=1)


def assert_equal(one: nn.Module, two: nn.Module) -> None:
    theirs = two.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in one.state_dict().items())


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "model_state_dict", "net"])
def test_a_pickled_state_dict(
    wrapper: str | None, network: nn.Module, donor: nn.Module, tmp_path: Path
) -> None:
    state = donor.state_dict()
    torch.save({wrapper: state, "epoch": 3} if wrapper else state, tmp_path / "w.pth")
    found = read_donor(tmp_path / "w.pth")
    load_weights(network, found)
    assert found.origin.startswith("a state dict, SHA-256 ")
    assert found.description is None
    assert_equal(network, donor)


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."]
)
def test_the_prefixes_of_wrapped_networks_are_dropped(
    prefix: str, network: nn.Module, donor: nn.Module, tmp_path: Path
) -> None:
    state = {prefix + name: tensor for name, tensor in donor.state_dict().items()}
    torch.save(state, tmp_path / "w.pt")
    load_weights(network, read_donor(tmp_path / "w.pt"))
    assert_equal(network, donor)


def test_the_old_pickle_format(network: nn.Module, donor: nn.Module, tmp_path: Path) -> None:
    torch.save(donor.state_dict(), tmp_path / "w.pt", _use_new_zipfile_serialization=False)
    load_weights(network, read_donor(tmp_path / "w.pt"))
    assert_equal(network, donor)


def test_plain_safetensors_in_half_precision(
    network: nn.Module, donor: nn.Module, tmp_path: Path
) -> None:
    halves = {name: tensor.half() for name, tensor in donor.state_dict().items()}
    save_file(halves, tmp_path / "w.anything")
    load_weights(network, read_donor(tmp_path / "w.anything"))
    assert_equal(network, donor.half().float())


def test_a_model_file_says_what_it_is(network: nn.Module, donor: nn.Module, tmp_path: Path) -> None:
    modelfile.save(tmp_path / "m", donor, LENET5)
    found = read_donor(tmp_path / "m")
    load_weights(network, found)
    assert found.description is not None
    assert found.description.architecture == "lenet5"
    assert_equal(network, donor)


def test_no_size_of_a_header_makes_a_pickle(
    network: nn.Module, donor: nn.Module, tmp_path: Path
) -> None:
    for length in range(0, 256, 8):
        save_file(donor.state_dict(), tmp_path / "w", metadata={"note": "x" * length})
        load_weights(network, read_donor(tmp_path / "w"))


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_code_in_a_pickle_never_runs(
    name: str, network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    torch.save({"c1.weight": Bomb(tmp_path / "mark")}, tmp_path / name)
    with pytest.raises(ModelFileError, match="Nothing in it was run"):
        load_weights(network, read_donor(tmp_path / name))
    assert not (tmp_path / "mark").exists()


def test_missing_and_surplus_tensors_are_named(
    network: nn.Module, donor: nn.Module, tmp_path: Path
) -> None:
    state = donor.state_dict()
    state["head.weight"] = state.pop("out.weight")
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(ModelFileError, match=r"missing: out\.weight; surplus: head\.weight"):
        load_weights(network, read_donor(tmp_path / "w.pt"))


@pytest.mark.parametrize("content", [3, ["a"], {"a": 3}, {}], ids=str)
def test_what_holds_no_state_dict(content: object, network: nn.Module, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(ModelFileError, match=r"no state dict|does not fit"):
        load_weights(network, read_donor(tmp_path / "w.pt"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really", b"\x80\x02garbage", b"GIF89a"])
def test_damaged_files(content: bytes, network: nn.Module, tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(ModelFileError):
        load_weights(network, read_donor(tmp_path / "w.pt"))


def test_a_missing_file(network: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no weights file"):
        load_weights(network, read_donor(tmp_path / "nowhere.pt"))


def test_an_old_batch_norm_without_its_counter(tmp_path: Path) -> None:
    described = description.describe(find("keras-mnist-cnn"))
    donor, network = modelfile.build(described, seed=1), modelfile.build(described, seed=0)
    state = donor.state_dict()
    del state["batch_normalization_1.num_batches_tracked"]
    torch.save(state, tmp_path / "w.pt")
    load_weights(network, read_donor(tmp_path / "w.pt"))
    assert_equal(network, donor)


def test_a_sparse_tensor_is_named(network: nn.Module, donor: nn.Module, tmp_path: Path) -> None:
    torch.save(donor.state_dict() | {"c1.bias": torch.zeros(6).to_sparse()}, tmp_path / "w.pt")
    with pytest.raises(ModelFileError, match=r"c1\.bias is no plain tensor"):
        load_weights(network, read_donor(tmp_path / "w.pt"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(
    value: float, network: nn.Module, donor: nn.Module, tmp_path: Path
) -> None:
    state = donor.state_dict()
    state["out.bias"][1] = value
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(ModelFileError, match="NaN or infinite numbers"):
        load_weights(network, read_donor(tmp_path / "w.pt"))
