"""Model files: everything needed to use a network again, and nothing that runs."""

import json
import os
import pickle
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tests.cards import EVERY_CARD, EVERY_CARD_THE_LARGE_SLOWLY
from zoo import catalog, description, modelfile, tensorfile
from zoo.catalog import Architecture, find
from zoo.errors import ModelFileError, NotFoundError, StructureError, UsageError
from zoo.surgery import SetHyperparameter

PREPROCESSING = description.describe(find("lenet5")).preprocessing.model_dump(mode="json")


def save(card: Architecture, path: Path, **arguments: Any) -> nn.Module:
    described = description.describe(card, **arguments)
    network = modelfile.build(described, seed=3)
    modelfile.save(path, network, described)
    return network


@pytest.fixture
def lenet5(tmp_path: Path) -> Path:
    path = tmp_path / "lenet5.safetensors"
    save(find("lenet5"), path)
    return path


@EVERY_CARD_THE_LARGE_SLOWLY
def test_a_round_trip_answers_the_same(card: Architecture, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    network = save(card, path, num_classes=7).eval()
    loaded = modelfile.load(path)
    pictures = torch.randn(5, *card.input_shape)
    assert torch.equal(network(pictures), loaded(pictures))
    assert not loaded.training
    assert type(loaded) is type(network)
    assert not [name for name, t in modelfile._tensors(loaded).items() if t.is_meta]


def test_modules_that_ask_for_the_version_of_their_names_get_it() -> None:
    network = torchvision.models.mnasnet0_5()
    modelfile.assign(network, dict(network.state_dict()), "itself")


@EVERY_CARD_THE_LARGE_SLOWLY
def test_equal_models_are_equal_bytes(card: Architecture, tmp_path: Path) -> None:
    save(card, tmp_path / "1")
    save(card, tmp_path / "2")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


@EVERY_CARD
def test_a_skeleton_allocates_no_weights(card: Architecture) -> None:
    network = modelfile.skeleton(description.describe(card))
    assert all(parameter.is_meta for parameter in network.parameters())
    assert not any(buffer.is_meta for buffer in network.buffers())


@pytest.mark.parametrize("name", ["resnet20", "torchvision/vit_b_16", "torchvision/regnet_x_400mf"])
def test_a_skeleton_draws_nothing_for_which_torch_imports_a_compiler(name: str) -> None:
    drawn = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if isinstance(args[0], torch.Tensor) and args[0].is_meta:
                drawn.append(func.overloadpacket.__name__)
            return func(*args, **(kwargs or {}))

    with Watch():
        modelfile.skeleton(description.describe(find(name)))
    assert "fill_" in drawn, "nothing was seen"
    assert not {"normal_", "erfinv_"} & {*drawn}


@EVERY_CARD_THE_LARGE_SLOWLY
def test_building_outside_is_undisturbed(card: Architecture) -> None:
    state = torch.random.get_rng_state()
    modelfile.skeleton(description.describe(card))
    modelfile.build(description.describe(card), seed=1)
    assert torch.equal(state, torch.random.get_rng_state())
    assert not nn.Linear(2, 2).weight.is_meta


def test_a_parameter_registered_twice_stays_tied_under_the_skeleton() -> None:
    with modelfile._meta_parameters():
        first, second = nn.Linear(2, 2), nn.Linear(2, 2)
        first.weight = second.weight
    assert first.weight is second.weight


def test_tied_parameters_come_back_tied() -> None:
    from tests.test_summary import Tied

    torch.manual_seed(0)
    saved, loaded = Tied(), Tied()
    modelfile.assign(loaded, saved.state_dict(), "x")
    assert loaded.first.weight is loaded.second.weight
    assert torch.equal(loaded.first.weight, saved.first.weight)
    differing = {**saved.state_dict(), "second.weight": torch.zeros(4, 4)}
    with pytest.raises(ModelFileError, match="are one tensor, but differ"):
        modelfile.assign(Tied(), differing, "x")


def test_a_loaded_network_is_no_window_on_the_file(lenet5: Path) -> None:
    network = modelfile.load(lenet5)
    before = network.get_parameter("c1.weight").clone()
    with lenet5.open("r+b") as file:
        file.seek(-200_000, 2)
        file.write(b"\xff" * 200_000)
    assert torch.equal(network.get_parameter("c1.weight"), before)


def test_the_document_holds_no_time_and_no_path(lenet5: Path) -> None:
    text = json.dumps(tensorfile.read_header(lenet5).document)
    assert str(lenet5.parent) not in text
    assert set(json.loads(text)) == {
        "architecture", "arguments", "classes", "digest", "edits", "format", "metrics",
        "origin", "preprocessing", "published", "states_scale", "training", "untrained", "versions",
    }  # fmt: skip


def test_edits_replay(tmp_path: Path) -> None:
    edit = SetHyperparameter(layer="c1", field="out_channels", value=9)
    described = modelfile.with_edits(description.describe(find("lenet5")), [edit])
    network = modelfile.build(described).eval()
    modelfile.save(tmp_path / "m", network, described)
    loaded = modelfile.load(tmp_path / "m")
    pictures = torch.randn(2, 1, 32, 32)
    assert torch.equal(network(pictures), loaded(pictures))
    assert loaded.get_submodule("c1").out_channels == 9


def rewrite(path: Path, **changes: Any) -> None:
    """The same file with another document and a digest that fits it."""
    header = tensorfile.read_header(path)
    document = {**(header.document or {}), **changes}
    document.pop("digest")
    tensorfile.write(path, document, tensorfile.read_tensors(path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, "has format 99"),
        ({"architecture": "lenet9000"}, "which this zoo .* lacks"),
        ({"arguments": {"num_classes": -1}}, "is no model file"),
        ({"arguments": 3}, "is no model file"),
        (
            {
                "arguments": {"num_classes": 10, "in_channels": 1, "input_size": [3, 3]},
                "preprocessing": PREPROCESSING | {"size": [3, 3]},
            },
            "describes a network that can't be",
        ),
        (
            {"arguments": {"num_classes": 10, "in_channels": 1, "input_size": [10**9, 32]}},
            "is no model file",
        ),
        (
            {"arguments": {"num_classes": 4, "in_channels": 1, "input_size": [32, 32]}},
            "out.bias is 10 float32 where the network has 4 float32",
        ),
        ({"edits": [{"edit": "explode"}]}, "edit is not known"),
        ({"preprocessing": PREPROCESSING | {"std": [0.0]}}, "is no model file"),
        ({"preprocessing": PREPROCESSING | {"mean": []}}, "a value for each channel"),
        ({"preprocessing": PREPROCESSING | {"size": [40, 40]}}, "other pictures than"),
        (
            {"edits": [{"edit": "set", "layer": "c9", "field": "stride", "value": 2}]},
            "describes a network that can't be",
        ),
    ],
)
def test_a_document_that_does_not_fit_is_refused(
    changes: dict[str, Any], message: str, lenet5: Path
) -> None:
    rewrite(lenet5, **changes)
    with pytest.raises(ModelFileError, match=message):
        modelfile.load(lenet5)


def retensor(path: Path, change: dict[str, torch.Tensor | None]) -> None:
    document = dict(tensorfile.read_header(path).document or {})
    document.pop("digest")
    tensors = tensorfile.read_tensors(path) | change  # type: ignore[operator]
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    tensorfile.write(path, document, kept)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"c1.weight": None}, "missing: c1.weight"),
        ({"c9.weight": torch.ones(2)}, "surplus: c9.weight"),
        ({"c1.bias": torch.ones(7)}, "c1.bias is 7 float32 where the network has 6 float32"),
        ({"c1.bias": torch.ones(6).half()}, "c1.bias is 6 float16"),
    ],
    ids=["missing", "surplus", "shape", "type"],
)
def test_tensors_that_do_not_fit_are_named(
    change: dict[str, torch.Tensor | None], message: str, lenet5: Path
) -> None:
    retensor(lenet5, change)
    with pytest.raises(ModelFileError, match=message):
        modelfile.load(lenet5)


def test_a_foreign_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.ones(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ModelFileError, match="another program") as caught:
        modelfile.load(tmp_path / "foreign.safetensors")
    assert "--weights" in caught.value.hint


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.mark),))


@pytest.mark.parametrize("name", ["m.safetensors", "m.pt", "m"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "raw"])
def test_a_pickle_is_refused_and_never_run(
    name: str, zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    mark = tmp_path / "mark"
    if zipped:
        torch.save(Bomb(mark), tmp_path / name)
    else:
        (tmp_path / name).write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(ModelFileError, match="is a pickle"):
        modelfile.load(tmp_path / name)
    assert not mark.exists()


def test_an_architecture_wins_over_a_path_of_its_name(lenet5: Path, in_tmp: Path) -> None:
    lenet5.rename(in_tmp / "lenet5")
    assert modelfile.resolve("lenet5").path is None
    assert modelfile.resolve("./lenet5").path == Path("lenet5")


def test_a_run_means_its_best_weights(trained: Path) -> None:
    assert modelfile.resolve(str(trained)).path == trained / "best.safetensors"


def test_what_is_no_model(tmp_path: Path, lenet5: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(NotFoundError, match="no run"):
        modelfile.resolve(str(tmp_path / "run"))
    (tmp_path / "run" / "run.json").write_text("{}")
    with pytest.raises(NotFoundError, match="no epoch was finished"):
        modelfile.resolve(str(tmp_path / "run"))
    with pytest.raises(NotFoundError, match="Did you mean lenet5"):
        modelfile.resolve("lennet5")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotFoundError, match="no regular file"):
        modelfile.resolve(str(tmp_path / "pipe"))
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for nothing in (str(tmp_path / "loop"), "x" * 5000, ""):
        with pytest.raises(NotFoundError, match=r"^(No architecture|There is no file)"):
            modelfile.resolve(nothing)
    with pytest.raises(UsageError, match="already"):
        modelfile.resolve(str(lenet5), num_classes=3)


def test_a_network_too_large_for_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.architectures import lenet5 as module
    from zoo.errors import OutOfMemoryError

    def fail(**arguments: Any) -> nn.Module:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes")

    monkeypatch.setattr(module, "LeNet5", fail)
    with pytest.raises(OutOfMemoryError, match="does not fit into memory"):
        modelfile.build(description.describe(find("lenet5")))


def test_preprocessing_that_a_card_and_a_recipe_decide() -> None:
    from zoo.schema import Preprocess

    card = find("lenet5")
    plain = description.describe(card)
    assert (plain.preprocessing.fit, plain.preprocessing.content) == ("pad", (28, 28))
    large = description.describe(card, in_channels=3, input_size=(64, 64))
    assert large.preprocessing.content == (56, 56)
    assert large.preprocessing.mean == (0.0, 0.0, 0.0)
    wished = Preprocess(size=(40, 40), channels=3, mean=(0.1, 0.2, 0.3), fit="resize")
    decided = description.describe(card, preprocess=wished)
    assert decided.input_shape == (3, 40, 40)
    assert decided.preprocessing.content == (40, 40)
    with pytest.raises(UsageError, match="has 2 values, but the network 3 channels"):
        description.describe(card, preprocess=wished.model_copy(update={"mean": (0.1, 0.2)}))


def test_the_mean_of_rgb_becomes_that_of_gray() -> None:
    from zoo.data.fit import fit, mean_and_std
    from zoo.schema import Preprocess

    torch.manual_seed(0)
    rgb = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    rgb[:, 0] //= 2
    taken = description.describe(find("lenet5"), in_channels=3).preprocessing
    mean, _ = mean_and_std([fit(rgb, taken)], taken)
    gray = description.describe(
        find("lenet5"), in_channels=1, preprocess=Preprocess(mean=mean, std=(0.2, 0.2, 0.2))
    ).preprocessing
    (expected,), _ = mean_and_std([fit(rgb, gray)], gray)
    assert gray.mean[0] == pytest.approx(expected, abs=2e-3)  # gray is rounded to whole numbers
    assert gray.std == pytest.approx((0.2,))


def test_a_header_length_that_lies(tmp_path: Path) -> None:
    path = tmp_path / "lie"
    path.write_bytes(struct.pack("<Q", 5) + b'{"a":' + b"\0" * 10)
    with pytest.raises(ModelFileError):
        modelfile.load(path)


def test_structure_errors_of_the_user_stay_theirs() -> None:
    edit = SetHyperparameter(layer="c5", field="kernel_size", value=9)
    with pytest.raises(StructureError):
        modelfile.build(modelfile.with_edits(description.describe(find("lenet5")), [edit]))


class Family(nn.Module):
    """One of a family of networks, with a classifier that small pictures go without."""

    def __init__(
        self,
        depth: int,
        num_classes: int,
        in_channels: int,
        input_size: tuple[int, int],
        auxiliary: bool,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(in_channels, in_channels) for _ in range(depth)))
        self.out = nn.Linear(in_channels, num_classes)
        self.aux = nn.Linear(in_channels, num_classes) if auxiliary else None


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> Architecture:
    card = replace(
        find("lenet5"),
        name="family",
        builder=f"{__name__}:Family",
        options={"depth": 3},
        auxiliary_from=16,
        smallest_px=1,
    )
    monkeypatch.setitem(catalog._BY_NAME, "family", card)
    return card


def test_a_builder_gets_the_options_of_its_card(family: Architecture) -> None:
    network = modelfile.build(description.describe(family))
    assert isinstance(network, Family)
    assert len(network.layers) == 3


def test_small_pictures_go_without_auxiliary_classifiers(
    family: Architecture, tmp_path: Path
) -> None:
    for size, sees in (((16, 99), True), ((99, 15), False)):
        described = description.describe(family, input_size=size)
        network = modelfile.build(described)
        assert isinstance(network, Family)
        assert (network.aux is not None) == described.arguments.auxiliary == sees
        assert ("at least 16×16, not 99×15" in "".join(described.notes)) == (not sees)
        modelfile.save(tmp_path / "m", network, described)
        assert type(modelfile.load(tmp_path / "m")) is Family  # it says so itself


def test_a_file_from_before_auxiliary_classifiers_loads(lenet5: Path) -> None:
    described = modelfile.read_description(lenet5).model_dump(mode="json")
    del described["arguments"]["auxiliary"]
    assert description.Description.model_validate(described).arguments.auxiliary


class ReadsItsWeights(nn.Module):
    """Uses weights while it is built, as timm's hybrid transformers do; two of them are tied."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(3, 3)
        self.two = nn.Linear(3, 3)
        self.two.weight = self.one.weight
        self.register_buffer("scale", torch.tensor(self.one.weight.abs().max().item()))


def test_a_network_that_uses_its_weights_while_it_is_built_has_a_skeleton_too() -> None:
    before = torch.get_rng_state()
    network = modelfile.without_weights(ReadsItsWeights)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.is_meta for parameter in network.parameters())
    assert network.one.weight is network.two.weight
    assert network.get_buffer("scale") > 0


class BuffersBesideWeights(nn.Module):
    """Makes a buffer on the device of its weights that no file holds, as timm's Swin does."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(3, 3)
        mask = torch.ones(2, device=self.one.weight.device)
        self.register_buffer("mask", mask, persistent=False)


def test_a_skeletons_buffers_are_real() -> None:
    network = modelfile.without_weights(BuffersBesideWeights)
    assert network.one.weight.is_meta
    assert torch.equal(network.get_buffer("mask"), torch.ones(2))


def test_other_errors_of_a_builder_are_not_tried_twice() -> None:
    built = []

    def construct() -> nn.Module:
        built.append(1)
        raise RuntimeError("no such thing")

    with pytest.raises(RuntimeError, match="no such thing"):
        modelfile.without_weights(construct)
    assert len(built) == 1
