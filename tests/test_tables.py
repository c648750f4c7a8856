"""The tables say what the installed libraries say, and listing them is quick."""

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
import torchvision

from zoo import catalog, modelfile, tables
from zoo.catalog import CARDS, Architecture
from zoo.description import describe
from zoo.errors import NotFoundError, UsageError
from zoo.summary import summarize
from zoo.tables import Row, of_timm
from zoo.training.losses import split_outputs

OF_TORCHVISION = catalog.cards_of("torchvision")
FEW = ("alexnet", "googlenet", "maxvit_t", "regnet_x_400mf", "swin_v2_t", "vit_b_32")
EACH_OF_TORCHVISION = pytest.mark.parametrize(
    "card",
    [
        card if card.options["name"] in FEW else pytest.param(card, marks=pytest.mark.slow)
        for card in OF_TORCHVISION
    ],
    ids=lambda card: card.name,
)
EVERY_120TH_OF_TIMM = pytest.mark.parametrize(
    "card", catalog.cards_of("timm")[::120], ids=lambda card: card.name
)


def hold_the_counts(card: Architecture) -> None:
    found = summarize(modelfile.outline(describe(card)), card.input_shape)
    assert (found.torch_params, found.total_params) == (card.params, card.total_params)
    assert card.mult_adds in (None, found.mult_adds)


@EACH_OF_TORCHVISION
def test_counts_of_torchvision(card: Architecture) -> None:
    hold_the_counts(card)


@EACH_OF_TORCHVISION
def test_torchvisions_networks_take_other_classes_and_channels(card: Architecture) -> None:
    described = describe(card, num_classes=7, in_channels=1)
    network = modelfile.outline(described).eval()
    pictures = torch.zeros(2, *described.input_shape, device="meta")
    assert split_outputs(network(pictures))[0].shape == (2, 7)


@EVERY_120TH_OF_TIMM
def test_counts_of_timm(card: Architecture) -> None:
    hold_the_counts(card)


def test_the_tables_are_of_the_installed_libraries() -> None:
    names = {library: [row.name for row in tables.rows_of(library)] for library in tables.LIBRARIES}
    if tables.installed_version("timm") == tables.version_of("timm"):
        assert names["timm"] == sorted(timm.list_models())
        rows = tables.rows_of("timm")
        for row in (
            rows[0],
            rows[len(rows) // 2],
            *(row for row in rows if row.name == "resnet50"),
        ):
            counts = {key: getattr(row, key) for key in ("params", "total_params", "mult_adds")}
            stated = of_timm.row_of(row.name)
            assert stated is not None
            assert replace(stated, **counts) == row
    if torchvision.__version__.partition("+")[0] == tables.version_of("torchvision"):
        listed = torchvision.models.list_models(module=torchvision.models)
        assert names["torchvision"] == sorted(listed)


def test_curated_cards_agree_with_the_table() -> None:
    table = {row.name: row for row in tables.rows_of("torchvision")}
    curated = [card for card in CARDS if card.builder.endswith(":torchvision_model")]
    assert curated
    for card in curated:
        row = table[card.options["name"]]
        for key in ("input_shape", "params", "total_params", "mult_adds"):
            assert getattr(row, key) == getattr(card, key), (card.name, key)
        if card.family != "vit":
            assert row.smallest_px == card.smallest_px


def test_rows_survive_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [*tables.rows_of("torchvision"), Row(name="x", family="y", input_shape=(3, 8, 9),
                                                num_classes=2)]  # fmt: skip
    monkeypatch.setattr(tables, "path_of", lambda library: tmp_path / library)
    tables.write("mine", "1.2.3", rows)
    monkeypatch.undo()
    monkeypatch.setattr(tables, "path_of", lambda library: tmp_path / library)
    assert tables.rows_of("mine") == tuple(sorted(rows, key=lambda row: row.name))
    assert (tables.version_of("mine"), tables.count_of("mine")) == ("1.2.3", len(rows))


def test_names() -> None:
    for name in ("timm/vit_tiny_patch16_224", "TIMM/ViT-tiny-patch16-224"):
        assert catalog.find(name).name == "timm/vit_tiny_patch16_224"
    assert catalog.find("torchvision/resnet50").options == {"name": "resnet50"}
    assert catalog.lookup("timm/vit_tiny_patch16_224.safetensors") is None  # may be a file


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("timm/vit_tny_patch16_224", "Did you mean timm/vit_tiny_patch16_224?", "--search timm"),
        ("torchvision/resnet5", "Did you mean torchvision/resnet5", "--search torchvision"),
        ("convnextv2_tiny", "Did you mean timm/convnextv2_tiny?", "zoo list --all"),
        ("swin_t", "Did you mean torchvision/swin_t?", "zoo list --all"),
        ("timm/resnet50.a1_in1k", "names weights", "timm/resnet50 --weights a1_in1k"),
    ],
)
def test_what_is_misspelt_is_suggested(name: str, message: str, hint: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        catalog.find(name)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_network_of_a_newer_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    without = tuple(row for row in tables.rows_of("timm") if row.name != "test_vit")
    monkeypatch.setattr(tables, "rows_of", lambda library: without)
    monkeypatch.setattr(tables, "version_of", lambda library: "0.9")
    catalog._by_name_in.cache_clear()
    try:
        card = catalog.find("timm/test_vit")
        assert (card.name, card.params) == ("timm/test_vit", None)
        assert card.input_shape == (3, 160, 160)
        assert modelfile.outline(describe(card))
        with pytest.raises(NotFoundError):
            catalog.find("timm/test_vat")
    finally:
        catalog._by_name_in.cache_clear()


def test_select_among_all() -> None:
    found = catalog.select(search="convnext tiny", libraries=True)
    names = [card.name for card in found]
    for name in ("convnext-tiny", "torchvision/convnext_tiny", "timm/convnext_tiny"):
        assert name in names
    assert not [name for name in names if "convnext" not in name.lower()]
    by_params = catalog.select(max_params=400_000, sort="params", libraries=True)
    assert [card.params for card in by_params] == sorted(card.params or 0 for card in by_params)
    assert catalog.select(family="vision_transformer", libraries=True)
    with pytest.raises(UsageError, match="No family"):
        catalog.select(family="vision_transformer")
