"""Formulas agree with the summary for every card and many kinds of layers."""

import math
import re

import pytest
import torch
from torch import nn
from torchvision import models

from zoo import catalog, modelfile
from zoo.catalog import Architecture
from zoo.errors import NotFoundError
from zoo.explain.anatomy import Anatomy, Explained, explain, find
from zoo.summary import summarize

CARDS = pytest.mark.parametrize("card", catalog.CARDS, ids=lambda card: card.name)


def value(text: str) -> float:
    """What a formula's side gives."""
    code = text.replace(",", "").replace("·", "*").replace("−", "-")
    code = re.sub("⌊(.*?)⌋", r"math.floor(\1)", code)
    code = re.sub("⌈(.*?)⌉", r"math.ceil(\1)", code)
    return float(eval(code, {"math": math}))


def check(anatomy: Anatomy, network: nn.Module, input_shape: tuple[int, ...]) -> None:
    """Every formula gives the figure of the summary."""
    rows = summarize(network, input_shape).layers
    assert [one.row for one in anatomy.layers] == list(rows)
    for one in anatomy.layers:
        for formula, figure in (
            (one.params, one.row.params),
            (one.mult_adds, one.row.mult_adds),
        ):
            for side in formula.text.split(" = "):
                assert value(side) == figure, (one.row.name, formula)
        for formula in one.output_size:
            left, equals, right = formula.text.partition(" = ")
            if equals:
                assert value(left) == value(right), (one.row.name, formula)
                assert one.row.output_shape is not None
                assert int(value(right)) in one.row.output_shape


def of(module: nn.Module, *input_shape: int) -> Explained:
    """The one layer of a network on the meta device."""
    network = nn.Sequential(module).to("meta")
    anatomy = explain(network, input_shape)
    check(anatomy, network, input_shape)
    (layer,) = anatomy.layers
    return layer


def size(layer: Explained) -> list[str]:
    return [formula.text for formula in layer.output_size]


@CARDS
def test_every_card(card: Architecture) -> None:
    description = modelfile.resolve(card.name).description
    network = modelfile.outline(description)
    anatomy = explain(network, description.input_shape)
    check(anatomy, network, description.input_shape)
    assert sum(one.row.params for one in anatomy.layers) == card.total_params
    assert anatomy.problem == ""
    for one in anatomy.layers:
        if one.field is not None:
            assert not one.field.unknown, one.row.name


# One of each family that the catalog is to hold, and two with unusual layers.
@pytest.mark.parametrize(
    "name",
    [
        "alexnet", "vgg11_bn", "googlenet", "inception_v3", "resnet18", "resnext50_32x4d",
        "densenet121", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "squeezenet1_1",
        "shufflenet_v2_x0_5", "convnext_tiny", "regnet_x_400mf", "regnet_y_400mf", "vit_b_16",
        "swin_t", "mnasnet0_5",
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_torchvisions_networks(name: str) -> None:
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with modelfile._meta_parameters():
        network = getattr(models, name)(**options).to("meta")
    side = 299 if name == "inception_v3" else 224
    anatomy = explain(network, (3, side, side))
    check(anatomy, network, (3, side, side))
    assert anatomy.problem == ""
    for one in anatomy.layers:
        for formula in (one.params, one.mult_adds):
            assert "no simple formula" not in formula.reading, one.row.name
    unknown = {one.field.unknown for one in anatomy.layers if one.field and one.field.unknown}
    expected = {"shifted_window_attention can't be followed"} if name == "swin_t" else set()
    assert unknown == expected


def test_the_lectures_first_layer() -> None:
    layer = of(nn.Conv2d(1, 40, 5, padding=2), 1, 28, 28)
    assert size(layer) == ["(28 + 2·2 − 5)/1 + 1 = 28"]
    assert layer.params.text == "(5·5·1 + 1)·40 = 1,040"
    assert layer.mult_adds.text == "1,040·28·28 = 815,360"


@pytest.mark.parametrize(
    ("module", "input_shape", "sizes", "params"),
    [
        (
            nn.Conv2d(3, 8, (3, 5), stride=(2, 1), padding=(1, 2), bias=False),
            (3, 10, 12),
            ["⌊(10 + 2·1 − 3)/2⌋ + 1 = 5", "(12 + 2·2 − 5)/1 + 1 = 12"],
            "3·5·3·8 = 360",
        ),
        (
            nn.Conv2d(4, 8, 3, dilation=2, groups=2),
            (4, 9, 9),
            ["(9 + 2·0 − 2·(3 − 1) − 1)/1 + 1 = 5"],
            "(3·3·(4/2) + 1)·8 = 152",
        ),
        (
            nn.Conv2d(1, 1, 4, padding="same"),
            (1, 9, 9),
            ["(9 + 1 + 2 − 4)/1 + 1 = 9"],
            "(4·4·1 + 1)·1 = 17",
        ),
        (nn.MaxPool2d(3, 2, ceil_mode=True), (1, 8, 8), ["⌈(8 + 2·0 − 3)/2⌉ + 1 = 4"], "0"),
        (nn.MaxPool2d(1, 2, ceil_mode=True), (1, 4, 4), ["⌈(4 + 2·0 − 1)/2⌉ + 1 − 1 = 2"], "0"),
        (nn.AvgPool2d(2), (1, 7, 8), ["⌊(7 + 2·0 − 2)/2⌋ + 1 = 3", "(8 + 2·0 − 2)/2 + 1 = 4"], "0"),
        (nn.AdaptiveAvgPool2d(1), (5, 7, 7), ["7×7 to 1×1"], "0"),
        (nn.AdaptiveAvgPool2d((3, 2)), (5, 7, 7), ["3×2, whatever comes in"], "0"),
        (
            nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1),
            (4, 5, 5),
            ["(5 − 1)·2 − 2·1 + 1·(3 − 1) + 1 + 1 = 10"],
            "3·3·4·6 + 6 = 222",
        ),
        (nn.BatchNorm2d(6), (6, 4, 4), ["as the input"], "4·6 = 24"),
        (nn.BatchNorm2d(6, track_running_stats=False), (6, 4, 4), ["as the input"], "2·6 = 12"),
        (nn.LayerNorm(6), (4, 4, 6), ["as the input"], "6 + 6 = 12"),
        (nn.Linear(6, 3, bias=False), (6,), ["3 outputs"], "6·3 = 18"),
        (nn.Linear(6, 3), (9, 6), ["3 outputs at each of 9"], "(6 + 1)·3 = 21"),
        (nn.Flatten(), (2, 3, 4), ["2·3·4 = 24"], "0"),
        (nn.Upsample(scale_factor=2), (2, 3, 4), ["2×3×4 to 2×6×8"], "0"),
    ],
    ids=lambda part: type(part).__name__ if isinstance(part, nn.Module) else "",
)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_each_kind_of_layer(
    module: nn.Module, input_shape: tuple[int, ...], sizes: list[str], params: str
) -> None:
    layer = of(module, *input_shape)
    assert size(layer) == sizes
    assert layer.params.text == params


def test_a_layer_that_runs_twice_and_one_with_anothers_tensors() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(4, 4)
            self.second = nn.Linear(4, 4)
            self.second.weight = self.first.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.first(self.first(x)))

    with torch.device("meta"):
        network = Twice()
    anatomy = explain(network, (4,))
    check(anatomy, network, (4,))
    first, second = anatomy.layers
    assert first.mult_adds.text == "20·2 = 40"
    assert "it runs 2×" in first.mult_adds.reading
    assert second.params.text == "4"
    assert "shared" in second.params.reading


def test_an_unknown_layer_is_named() -> None:
    layers = explain(modelfile.outline(modelfile.resolve("lenet5").description), (1, 32, 32)).layers
    assert find(layers, "c3") == 2
    with pytest.raises(NotFoundError, match=r"Did you mean c3\?"):
        find(layers, "c33")
