"""`--weights imagenet`: published weights, from a server on this machine."""

import json
import os
import re
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision.models
from PIL import Image, ImageFilter
from torch import Tensor

from tests.conftest import Ended
from tests.fake_weights import publish, random_network, saved
from tests.mirror import Fault, Mirror
from tests.pictures import write_folder
from zoo import modelfile, places, published
from zoo.data.decode import decode
from zoo.data.fit import fit, normalize
from zoo.description import read_description

Zoo = Callable[..., Ended]
SMALL = "squeezenet1_1"
"""A network of 5 MB."""


@pytest.fixture(autouse=True)
def _cache_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def content() -> bytes:
    return saved(random_network(SMALL).state_dict())


@pytest.fixture
def weights(mirror: Mirror, monkeypatch: pytest.MonkeyPatch, content: bytes) -> published.Weights:
    return publish(mirror, monkeypatch, SMALL, content)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "dog.png"
    noise = torch.randint(0, 256, (30, 45, 3), generator=torch.Generator().manual_seed(1))
    small = Image.fromarray(noise.byte().numpy())
    small.resize((450, 300), Image.Resampling.BICUBIC).filter(ImageFilter.BoxBlur(3)).save(path)
    return path


def cached() -> list[str]:
    directory = places.cache_directory() / "weights" / "torchvision"
    return sorted(os.listdir(directory)) if directory.is_dir() else []


def test_a_picture_has_a_name_at_once(
    zoo: Zoo, weights: published.Weights, picture: Path, mirror: Mirror, tmp_path: Path
) -> None:
    out = tmp_path / "s.safetensors"
    ended = zoo("build", "squeezenet1-1", "--weights", "imagenet", "-o", out)
    assert ended.code == 0, ended.stderr
    file, host = weights.url.rpartition("/")[2], mirror.url.removeprefix("http://")
    assert f"downloading {file} (4.96 MB) from {host} to {tmp_path}/cache/weights" in ended.stderr
    assert "classes and preprocessing come with the weights" in ended.stderr
    assert "imagenet1k-v1: top-1 58.18 % on ImageNet; BSD-3-Clause" in ended.stderr
    assert f"zoo predict {out} PICTURE" in ended.stdout
    assert cached() == [file]
    found = zoo("predict", out, picture, "--top", 3, "--json").json["predictions"][0]
    assert {entry["label"] for entry in found["top"]} <= {*published.imagenet_classes().values()}
    shown = zoo("show", out)
    assert "imagenet1k-v1 of torchvision's squeezenet1_1, BSD-3-Clause" in shown.stdout
    assert "crop to 256×256 (bilinear), the middle 224×224 of it" in shown.stdout
    document = zoo("show", out, "--json").json
    assert document["published"]["weights"] == "imagenet1k-v1"
    assert document["origin"].startswith("imagenet1k-v1 of torchvision's squeezenet1_1, SHA-256 ")


def test_what_is_cached_is_not_fetched_again(
    zoo: Zoo, weights: published.Weights, mirror: Mirror, content: bytes, tmp_path: Path
) -> None:
    arguments = ("build", SMALL, "--weights", "IMAGENET1K_V1", "-o")
    assert zoo(*arguments, tmp_path / "a").code == 0
    assert zoo(*arguments, tmp_path / "b", "--offline").code == 0
    assert len(mirror.requests) == 1
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    (file,) = cached()
    damaged = places.cache_directory() / "weights" / "torchvision" / file
    damaged.write_bytes(content[:-1] + b"?")
    assert zoo(*arguments, tmp_path / "c").code == 0
    assert len(mirror.requests) == 2
    assert damaged.read_bytes() == content


def test_what_torchvision_has_fetched_is_used(
    zoo: Zoo, weights: published.Weights, mirror: Mirror, content: bytes, in_tmp: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(torch.hub, "_hub_dir", str(in_tmp / "hub"))
    path = in_tmp / "hub" / "checkpoints" / weights.url.rpartition("/")[2]
    path.parent.mkdir(parents=True)
    path.write_bytes(content[:-1])
    arguments = ("build", SMALL, "--weights", "imagenet", "--offline", "-o")
    assert zoo(*arguments, "m").code == 4
    path.write_bytes(content)
    assert zoo(*arguments, "m").code == 0
    assert not mirror.requests


def test_offline_says_what_to_fetch(
    zoo: Zoo, weights: published.Weights, mirror: Mirror, in_tmp: Path
) -> None:
    ended = zoo("build", SMALL, "--weights", "imagenet", "-o", "m", "--offline")
    assert ended.code == 4
    assert weights.url in ended.stderr
    assert not mirror.requests
    assert not (in_tmp / "m").exists()


def test_zoo_mirror_comes_first(
    zoo: Zoo, weights: published.Weights, mirror: Mirror, monkeypatch: pytest.MonkeyPatch,
    in_tmp: Path,
) -> None:  # fmt: skip
    monkeypatch.setenv("ZOO_MIRROR", f"{mirror.url}/own")
    file = weights.url.rpartition("/")[2]
    path = f"/own/weights/torchvision/{file}"
    mirror.files[path] = mirror.files.pop(f"/models/{file}")
    assert zoo("build", SMALL, "--weights", "imagenet", "-o", "m").code == 0
    assert [request.path for request in mirror.requests] == [path]


@pytest.mark.parametrize("fault", [Fault(cut_after=100_000, times=5), Fault(status=503)])
def test_a_download_that_fails_leaves_no_weights(
    fault: Fault, zoo: Zoo, weights: published.Weights, mirror: Mirror, in_tmp: Path
) -> None:
    mirror.faults["/" + weights.url.partition("//")[2].partition("/")[2]] = fault
    ended = zoo("build", SMALL, "--weights", "imagenet", "-o", "m")
    assert ended.code == 4
    assert not [name for name in cached() if name.endswith(".pth")]
    assert not (in_tmp / "m").exists()


def test_another_checksum_is_refused(
    zoo: Zoo, weights: published.Weights, mirror: Mirror, in_tmp: Path
) -> None:
    path = "/" + weights.url.partition("//")[2].partition("/")[2]
    mirror.files[path] = mirror.files[path][::-1]
    ended = zoo("build", SMALL, "--weights", "imagenet", "-o", "m", "--json")
    assert ended.code == ended.json["error"]["code"] == 4
    assert "not the expected one" in ended.json["error"]["message"]
    assert cached() == []


def test_a_full_disk(
    zoo: Zoo, weights: published.Weights, monkeypatch: pytest.MonkeyPatch, in_tmp: Path
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 999_999, 1))
    assert zoo("build", SMALL, "--weights", "imagenet", "-o", "m").code == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("squeezenet1-1", "imagenet1k-v2"), "Did you mean imagenet1k-v1?"),
        (("resnet50", "imagenet22k"), "imagenet1k-v2, imagenet1k-v1; imagenet is the first"),
        (("lenet5", "imagenet"), "lenet5 has no published weights"),
        (("squeezenet1-1", "imagenet", "--in-channels", 1), "reads 3 channels, not 1"),
        (("resnet50", "./imagenet"), "no weights file imagenet"),
        (("resnet50", "imagenet.pth"), "no weights file imagenet.pth"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: tuple[str, ...], message: str, zoo: Zoo, weights: published.Weights, in_tmp: Path
) -> None:
    model, name, *others = arguments
    ended = zoo("build", model, "--weights", name, *others, "-o", "m")
    assert ended.code == 2
    assert message in ended.stderr


def test_a_published_name_wins_over_a_path(
    zoo: Zoo, weights: published.Weights, content: bytes, in_tmp: Path
) -> None:
    for name in ("imagenet", "mine"):
        Path(name).write_bytes(content)
    assert "of torchvision's" in built(zoo, "imagenet")
    assert built(zoo, "./imagenet").startswith("a state dict")
    assert built(zoo, "mine").startswith("a state dict")


def built(zoo: Zoo, name: str) -> str:
    ended = zoo("build", SMALL, "--weights", name, "-o", "m", "--force")
    assert ended.code == 0, ended.stderr
    return read_description(Path("m")).origin


def test_other_classes_get_a_fresh_head(
    zoo: Zoo, weights: published.Weights, picture: Path, in_tmp: Path
) -> None:
    ended = zoo("build", SMALL, "--weights", "imagenet", "--num-classes", 3, "-o", "m")
    assert ended.code == 0, ended.stderr
    assert "classifier.1 starts fresh: the weights tell other classes apart" in ended.stderr
    assert "zoo train m" in ended.stdout
    described = read_description(Path("m"))
    assert described.untrained == ("classifier.1",)
    assert described.preprocessing.mean == (0.485, 0.456, 0.406)
    refused = zoo("predict", "m", picture)
    assert refused.code == 2
    assert "nothing trained" in refused.stderr


def test_a_model_file_with_other_classes_gets_a_fresh_head_too(
    zoo: Zoo, trained: Path, in_tmp: Path
) -> None:
    ended = zoo("build", "lenet5", "--weights", trained, "--num-classes", 3, "-o", "m")
    assert "out starts fresh" in ended.stderr
    assert zoo("build", "lenet5", "--weights", trained, "--num-classes", 10, "-o", "n").code == 0
    assert len(read_description(Path("n")).classes) == 10


def test_another_input_size_keeps_the_proportion(
    zoo: Zoo, weights: published.Weights, in_tmp: Path
) -> None:
    flags = ("--weights", "imagenet", "--input-size", "112")
    assert zoo("build", SMALL, *flags, "-o", "m").code == 0
    prepared = read_description(Path("m")).preprocessing
    assert (prepared.size, prepared.content) == ((112, 112), (128, 128))


def test_training_starts_from_published_weights(
    zoo: Zoo, weights: published.Weights, in_tmp: Path
) -> None:
    write_folder(in_tmp / "pics", count=24, size=40)
    flags = ("--set", "preprocess.size=64", "--max-steps", 1, "--batch-size", 8, "-o", "run")
    ended = zoo("train", SMALL, "--weights", "imagenet", "--data", "pics", *flags)
    assert ended.code == 0, ended.stderr
    assert "classifier.1 starts fresh" in ended.stderr
    document = json.loads((in_tmp / "run" / "run.json").read_text())
    assert document["weights"] == "imagenet"
    described = read_description(in_tmp / "run" / "best.safetensors")
    assert described.training is not None
    assert described.training.recipe == "folder-finetune"
    assert described.preprocessing.mean == (0.485, 0.456, 0.406)
    assert described.published is not None
    assert described.published.licence == "BSD-3-Clause"


def test_a_built_file_trains_on_its_weights_scale(
    zoo: Zoo, weights: published.Weights, in_tmp: Path
) -> None:
    write_folder(in_tmp / "pics", count=24, size=40, classes=3)
    flags = ("--num-classes", 3, "--input-size", 64, "-o", "m")
    assert zoo("build", SMALL, "--weights", "imagenet", *flags).code == 0
    ended = zoo(
        "train", "m", "--data", "pics", "--max-steps", 1, "--batch-size", 8, "-o", "run"
    )  # fmt: skip
    assert ended.code == 0, ended.stderr
    described = read_description(in_tmp / "run" / "best.safetensors")
    assert described.training is not None
    assert described.training.recipe == "folder-finetune"
    assert described.preprocessing.mean == (0.485, 0.456, 0.406)
    assert described.is_trained


# -- the same answers as torchvision --------------------------------------------------------------


def of_torchvision(name: str, path: Path) -> Tensor:
    """Logits of torchvision's own network after torchvision's own transforms."""
    entry = torchvision.models.get_model_weights(name).DEFAULT
    picture = Image.open(path).convert("RGB")
    with torch.inference_mode():
        return random_network(name)(entry.transforms()(picture)[None])  # type: ignore[no-any-return]


def of_zoo(model: Path, path: Path) -> Tensor:
    """Logits of the model file on the picture as `zoo predict` prepares it."""
    prepared = read_description(model).preprocessing
    image = normalize(fit(decode(path.read_bytes())[None], prepared), prepared)
    with torch.inference_mode():
        return modelfile.load(model)(image)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "name", [SMALL, "resnet18", "mobilenet_v3_small", "densenet121", "googlenet", "inception_v3"]
)
def test_answers_are_torchvisions(
    name: str, zoo: Zoo, mirror: Mirror, monkeypatch: pytest.MonkeyPatch, picture: Path,
    in_tmp: Path,
) -> None:  # fmt: skip
    publish(mirror, monkeypatch, name, saved(random_network(name).state_dict()))
    ended = zoo("build", name, "--weights", "imagenet", "-o", "m")
    assert ended.code == 0, ended.stderr
    theirs, ours = of_torchvision(name, picture), of_zoo(in_tmp / "m", picture)
    spread = theirs.std()
    assert (theirs - ours).abs().max() < 0.05 * spread
    assert (theirs.softmax(1) - ours.softmax(1)).abs().max() < 1e-3
    told = "auxiliary classifiers start fresh" in ended.stderr
    assert told == (name == "googlenet")


def test_auxiliary_classifiers_are_dropped_where_pictures_are_small(
    zoo: Zoo, mirror: Mirror, monkeypatch: pytest.MonkeyPatch, in_tmp: Path
) -> None:
    content = saved(random_network("inception_v3").state_dict())
    publish(mirror, monkeypatch, "inception_v3", content)
    flags = ("--weights", "imagenet", "--input-size", 96, "--num-classes", 3)
    ended = zoo("build", "inception-v3", *flags, "-o", "m")
    assert ended.code == 0, ended.stderr
    assert "goes without its auxiliary classifiers" in ended.stderr


def test_weights_of_features_alone_leave_the_classifier_fresh(
    zoo: Zoo, mirror: Mirror, monkeypatch: pytest.MonkeyPatch, in_tmp: Path
) -> None:
    """As torchvision's imagenet1k-features of VGG-16, whose file of 528 MB holds NaN there."""
    state = random_network(SMALL).state_dict()
    state = {k: v * float("nan") if k.startswith("classifier") else v for k, v in state.items()}
    entry = publish(mirror, monkeypatch, SMALL, saved(state))
    object.__setattr__(entry, "top1", None)
    ended = zoo("build", SMALL, "--weights", "imagenet", "-o", "m")
    assert ended.code == 0, ended.stderr
    assert "classifier.1 starts fresh: the weights have none for it" in ended.stderr
    assert not read_description(Path("m")).is_trained
    assert all(t.isfinite().all() for t in modelfile.load("m").state_dict().values())


def test_old_names_of_densenets_tensors(
    zoo: Zoo, mirror: Mirror, monkeypatch: pytest.MonkeyPatch, in_tmp: Path
) -> None:
    state = random_network("densenet121").state_dict()
    old = {
        re.sub(r"(denselayer\d+\.)(norm|conv)(\d)", r"\1\2.\3", name): tensor
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked")
    }
    publish(mirror, monkeypatch, "densenet121", saved(old))
    ended = zoo("build", "densenet121", "--weights", "imagenet", "-o", "m")
    assert ended.code == 0, ended.stderr
    last = "features.denseblock4.denselayer16.conv2.weight"
    assert torch.equal(modelfile.load("m").get_parameter(last), state[last])


def test_a_card_lists_its_weights(zoo: Zoo) -> None:
    shown = zoo("show", "resnet50").stdout
    assert "imagenet1k-v2" in shown
    assert "80.86 %" in shown
    assert "BSD-3-Clause" in shown
    assert "non-commercial research" in shown
    document = zoo("show", "resnet50", "--json").json["card"]
    assert document["weights"] == ["imagenet1k-v2", "imagenet1k-v1"]
    assert document["published"][0]["top1"] == 0.80858
    assert zoo("show", "lenet5", "--json").json["card"]["published"] == []


def test_the_list_knows_them(zoo: Zoo) -> None:
    rows = zoo("list", "--pretrained", "--sort", "top1", "--json").json["architectures"]
    accuracies = [row["top1"] for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)
    assert {"resnet50", "vgg16"} <= {row["name"] for row in rows}
    assert "lenet5" not in {row["name"] for row in rows}
