"""`zoo build timm/NAME --weights TAG`: from a hub on this machine."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save

from tests.conftest import Ended
from tests.mirror import Mirror
from zoo import catalog, modelfile, places, published
from zoo.catalog import Architecture
from zoo.data.decode import decode
from zoo.data.fit import fit, normalize
from zoo.description import read_description

Zoo = Callable[..., Ended]
NAME = "mobilenetv3_small_050"
HUB_PATH = f"/timm/{NAME}.lamb_in1k/resolve/main/model.safetensors"
CARD = Architecture(
    name=f"timm/{NAME}",
    builder="tests.timm_models:timm_model",
    options={"name": NAME},
    family="mobilenet",
    year=2019,
    title="MobileNetV3 as timm has it",
    paper="Howard et al. 2019",
    input_shape=(3, 224, 224),
    params=0,
    total_params=0,
    mult_adds=0,
    weights=("lamb_in1k",),
)


@pytest.fixture
def network() -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made: torch.nn.Module = timm.create_model(NAME).eval()
    return made


@pytest.fixture(autouse=True)
def _hub(
    mirror: Mirror, network: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", mirror.url)
    if catalog.lookup(CARD.name) is None:
        monkeypatch.setitem(catalog._BY_NAME, catalog.canonical(CARD.name), CARD)
    mirror.files[HUB_PATH] = save(network.state_dict())


def cached() -> list[str]:
    directory = places.cache_directory() / "weights" / "timm" / f"{NAME}.lamb_in1k"
    return sorted(os.listdir(directory))


@pytest.mark.parametrize("name", ["imagenet", "lamb_in1k", "LAMB-in1k"])
def test_answers_are_timms(
    name: str, zoo: Zoo, network: torch.nn.Module, mirror: Mirror, in_tmp: Path
) -> None:
    ended = zoo("build", f"timm/{NAME}", "--weights", name, "-o", "m")
    assert ended.code == 0, ended.stderr
    assert "downloading model.safetensors (size unknown) from 127.0.0.1" in ended.stderr
    assert "lamb_in1k: apache-2.0" in ended.stderr
    assert cached() == ["model.safetensors"]
    described = read_description(Path("m"))
    assert described.classes == tuple(published.imagenet_classes().values())
    noise = torch.randint(0, 256, (300, 450, 3), generator=torch.Generator().manual_seed(1))
    Image.fromarray(noise.byte().numpy()).save("noise.png")
    config = timm.data.resolve_data_config(model=network)
    transforms = timm.data.create_transform(**config)
    image = fit(decode(Path("noise.png").read_bytes())[None], described.preprocessing)
    with torch.inference_mode():
        theirs = network(transforms(Image.open("noise.png"))[None])
        ours = modelfile.load("m")(normalize(image, described.preprocessing))
    assert (theirs.softmax(1) - ours.softmax(1)).abs().max() < 1e-3
    assert (theirs - ours).abs().max() < 0.05 * theirs.std()


def test_a_cut_file_is_refused_and_not_kept(zoo: Zoo, mirror: Mirror, in_tmp: Path) -> None:
    mirror.files[HUB_PATH] = mirror.files[HUB_PATH][:-100]
    assert zoo("build", f"timm/{NAME}", "--weights", "imagenet", "-o", "m").code == 4
    assert cached() == []


def test_zoo_mirror_comes_first(
    zoo: Zoo, mirror: Mirror, monkeypatch: pytest.MonkeyPatch, in_tmp: Path
) -> None:
    monkeypatch.setenv("ZOO_MIRROR", mirror.url)
    path = f"/weights/timm/{NAME}.lamb_in1k/model.safetensors"
    mirror.files[path] = mirror.files.pop(HUB_PATH)
    assert zoo("build", f"timm/{NAME}", "--weights", "imagenet", "-o", "m").code == 0
    assert [request.path for request in mirror.requests] == [path]
    flags = ("--weights", "imagenet", "--num-classes", 3, "--offline")
    ended = zoo("build", f"timm/{NAME}", *flags, "-o", "n")
    assert ended.code == 0, ended.stderr
    assert "classifier starts fresh" in ended.stderr


def test_an_unknown_tag(zoo: Zoo, in_tmp: Path) -> None:
    ended = zoo("build", f"timm/{NAME}", "--weights", "lamb_in2k", "-o", "m")
    assert ended.code == 2
    assert "Did you mean lamb_in1k?" in ended.stderr
