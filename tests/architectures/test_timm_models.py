"""timm's networks go through every command; a small one of each of twenty families."""

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from tests.conftest import Ended
from tests.pictures import write_folder
from zoo import catalog, modelfile
from zoo.architectures.timm_models import timm_model
from zoo.description import describe
from zoo.errors import NotFoundError, StructureError, UsageError
from zoo.input_sizes import check_takes
from zoo.summary import summarize

Zoo = Callable[..., Ended]

TINY = ("test_resnet", "test_efficientnet", "test_convnext", "test_vit")
FAMILIES = (
    "coat_lite_tiny", "convnext_atto", "deit_tiny_patch16_224", "densenet121", "dla46_c",
    "efficientnet_lite0", "hrnet_w18_small", "inception_v3", "levit_128s",
    "maxvit_rmlp_pico_rw_256", "mixer_s32_224", "mobilenetv3_small_050", "nf_regnet_b0",
    "regnetx_002", "resnet18", "resnext50_32x4d", "swin_tiny_patch4_window7_224", "vgg11",
    "vit_tiny_patch16_224", "xception41", "convit_tiny", "mobilevit_xxs",
    "swinv2_tiny_window8_256", "vit_tiny_r_s16_p8_224",  # these use their weights while built
)  # fmt: skip
EACH = pytest.mark.parametrize(
    "name", [*TINY, *(pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES)]
)


@EACH
def test_a_model_file_gives_the_same_outputs(name: str, tmp_path: Path) -> None:
    described = describe(f"timm/{name}", num_classes=5, in_channels=1)
    built = modelfile.build(described, seed=3)
    with torch.no_grad():
        for parameter in built.parameters():  # layer scales and the like start at zero
            parameter.add_(0.01 * torch.randn_like(parameter))
    modelfile.save(tmp_path / "m", built, described)
    loaded = modelfile.load(tmp_path / "m")
    assert not [tensor for tensor in loaded.state_dict().values() if tensor.is_meta]
    pictures = torch.rand(2, *described.input_shape)
    with torch.no_grad():
        expected = built.eval()(pictures)
        assert expected.shape == (2, 5)
        assert torch.equal(loaded(pictures), expected)


@EACH
def test_the_commands(name: str, zoo: Zoo, tmp_path: Path) -> None:
    summary = zoo("summary", f"timm/{name}", "--json").json
    card = catalog.find(f"timm/{name}")
    assert (summary["torch_params"], summary["total_params"]) == (card.params, card.total_params)
    assert sum(layer["params"] for layer in summary["layers"]) == card.total_params

    run = tmp_path / "run"
    small = ("--set", "dataset.validation=0.02", "--set", "dataset.test=0.02")
    flags = ("--recipe", "digits", *small, "--max-steps", 1, "--batch-size", 4, "-o", run)
    ended = zoo("train", f"timm/{name}", *flags, "--json")
    assert ended.code == 0, ended.stdout
    assert zoo("evaluate", run, "--json").json["images"] == ended.json["test"]["images"]
    picture = next(write_folder(tmp_path / "pictures", count=3).rglob("*.png"))
    (found,) = zoo("predict", run, picture, "--json").json["predictions"]
    assert found["label"] in set("0123456789")


def test_runs_are_named_without_the_slash(zoo: Zoo, in_tmp: Path) -> None:
    pictures = write_folder(in_tmp / "pictures", count=6)
    ended = zoo("train", "timm/test_vit", "--data", pictures, "--max-steps", 1, "--json")
    assert ended.json["run"] == "runs/timm-test_vit-folder"


def test_build_and_its_sizes(zoo: Zoo, tmp_path: Path) -> None:
    out = tmp_path / "m"
    assert zoo("build", "timm/test_vit", "--input-size", "64x48", "-o", out).code == 0
    assert modelfile.load(out)(torch.zeros(1, 3, 64, 48)).shape == (1, 1000)
    assert zoo("build", "timm/test_resnet", "--input-size", "32", "-o", out, "--force").code == 0


@pytest.mark.parametrize(
    ("name", "size", "fitting"),
    [
        ("vit_tiny_patch16_224", (8, 8), 16),
        ("dla46_c", (20, 20), 32),
        ("xcit_nano_12_p8_224", (100, 100), 96),
    ],
)
def test_sizes_that_do_not_pass_name_some_that_do(
    name: str, size: tuple[int, int], fitting: int
) -> None:
    card = catalog.find(f"timm/{name}")
    with pytest.raises(StructureError, match=f"takes .*{fitting}×{fitting}") as caught:
        check_takes(describe(card, input_size=size))
    assert caught.value.hint == f"--input-size {fitting}"
    check_takes(describe(card, input_size=(fitting, fitting)))


def test_a_network_that_can_not_be_followed_says_so_and_does_the_rest(
    zoo: Zoo, tmp_path: Path
) -> None:
    flags = ("--set", "patch_embed.proj.out_channels=8", "-o", tmp_path / "m")
    ended = zoo("build", "timm/convit_tiny", *flags)
    assert ended.code == 2
    assert "can't be followed" in ended.stderr
    described = describe("timm/convit_tiny")
    summarize(modelfile.outline(described), described.input_shape)


def test_without_timm_the_extra_is_named(
    zoo: Zoo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    modelfile.save(tmp_path / "m", nn.Identity(), describe("timm/resnet18"))
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    assert zoo("show", "timm/resnet18").code == 0
    assert zoo("list", "--search", "timm/resnet18").code == 0
    for command in (
        ("summary", "timm/resnet18"),
        ("build", "timm/resnet18", "-o", tmp_path / "n"),
        ("train", "timm/resnet18"),
        ("summary", tmp_path / "m"),
    ):
        ended = zoo(*command, "--json")
        assert ended.json["error"]["code"] == 2
        assert ended.json["error"]["hint"] == "pip install 'cnn-zoo[timm]'"


def test_a_network_that_the_installed_timm_lacks() -> None:
    with pytest.raises(NotFoundError, match=f"timm {timm.__version__}.* has no resnet9000; timm 7"):
        timm_model("resnet9000", listed_in="7")


def test_what_timm_itself_refuses_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="can't be made"):
        timm_model("xcit_nano_12_p8_224", input_size=(100, 100))
