"""torchvision's networks, as the catalog builds them, against torchvision itself."""

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from zoo import modelfile
from zoo.architectures.torchvision_models import torchvision_model
from zoo.catalog import CARDS, Architecture
from zoo.description import describe
from zoo.errors import StructureError

BORROWED = [card for card in CARDS if "torchvision_models" in card.builder]


def theirs(name: str, **options: object) -> nn.Module:
    """torchvision's own, without weights."""
    if name in ("googlenet", "inception_v3"):
        options = {"init_weights": False, "aux_logits": True, **options}
    with modelfile._meta_parameters():
        network: nn.Module = get_model(name, **options)
    return network.eval()


@pytest.mark.parametrize(
    "card",
    [
        pytest.param(card, marks=pytest.mark.slow) if card.params > 30e6 else card
        for card in BORROWED
    ],
    ids=lambda card: card.name,
)
def test_the_same_weights_answer_the_same(card: Architecture) -> None:
    side = max(card.smallest_px, 32)
    if card.family == "vit":
        side = card.input_shape[1]  # torchvision's own default
    described = describe(card, num_classes=10, input_size=(side, side))
    ours = modelfile.build(described).eval()
    name = card.options["name"]
    auxiliary = {} if described.arguments.auxiliary else {"aux_logits": False}
    reference = theirs(name, num_classes=10, **auxiliary)
    reference.load_state_dict(ours.state_dict(), strict=True, assign=True)
    pictures = torch.randn(2, 3, side, side)
    with torch.no_grad():
        torch.testing.assert_close(ours(pictures), reference(pictures), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("card", BORROWED, ids=lambda card: card.name)
def test_names_and_shapes_are_torchvisions(card: Architecture) -> None:
    ours = modelfile.outline(describe(card))
    reference = theirs(card.options["name"])
    shapes, expected = (
        {name: tensor.shape for name, tensor in network.state_dict().items()}
        for network in (ours, reference)
    )
    assert shapes == expected
    assert repr(ours) == repr(reference)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "squeezenet1_1", "regnet_y_400mf"])
def test_first_weights_are_torchvisions(name: str) -> None:
    torch.manual_seed(3)
    ours = torchvision_model(name).state_dict()
    torch.manual_seed(3)
    expected = get_model(name).state_dict()
    assert all(torch.equal(ours[key], expected[key]) for key in expected)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("card", BORROWED, ids=lambda card: card.name)
def test_only_the_first_convolution_reads_other_channels(card: Architecture, channels: int) -> None:
    plain, other = (
        modelfile.outline(describe(card, in_channels=count)).state_dict() for count in (3, channels)
    )
    assert list(other) == list(plain)
    (first,) = (name for name in plain if other[name].shape != plain[name].shape)
    assert other[first].shape == (plain[first].shape[0], channels, *plain[first].shape[2:])


def test_other_channels_are_drawn_as_the_builder_draws_three() -> None:
    # torchvision draws a ResNet's convolutions by the maps that go out: the spread stays.
    for channels in (1, 3, 8):
        weight = torchvision_model("resnet18", in_channels=channels).get_parameter("conv1.weight")
        assert weight.std().item() == pytest.approx((2 / (64 * 7 * 7)) ** 0.5, rel=0.05)
    # A Vision Transformer's are drawn by those that come in.
    for channels in (1, 3):
        network = torchvision_model("vit_b_16", in_channels=channels, input_size=(16, 16))
        spread = network.get_parameter("conv_proj.weight").std().item()
        assert spread == pytest.approx((1 / (channels * 16 * 16)) ** 0.5, rel=0.03)


def test_building_leaves_torch_as_it_was() -> None:
    before = nn.Conv2d.__init__
    torchvision_model("squeezenet1_1", in_channels=1)
    with pytest.raises(ValueError, match="Unknown model"):
        torchvision_model("resnet19")
    assert nn.Conv2d.__init__ is before
    assert nn.Conv2d(3, 4, 1).in_channels == 3


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        (
            "vit_b_16",
            (224, 240),
            "square pictures of at least 16×16, with sides that are multiples",
        ),
        ("vit_b_32", (48, 48), "multiples of 32, not 48×48"),
        ("maxvit_t", (256, 256), "square pictures of at least 224×224, with sides that"),
        ("maxvit_t", (448, 224), "multiples of 224, not 448×224"),
    ],
)
def test_sizes_that_a_network_is_not_made_for(
    name: str, size: tuple[int, int], message: str
) -> None:
    with pytest.raises(StructureError, match=message):
        torchvision_model(name, input_size=size)


# One of every builder's kind; the catalog has the others.
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("maxvit_t", (224, 224)), ("mnasnet0_5", (32, 64)), ("swin_t", (64, 40)),
        ("swin_v2_t", (64, 40)), ("vit_b_32", (64, 64)), ("wide_resnet50_2", (32, 32)),
        ("efficientnet_v2_s", (40, 40)), ("resnext50_32x4d", (32, 32)), ("vit_h_14", (28, 28)),
    ],
)  # fmt: skip
def test_every_network_of_torchvisions_can_be_built(name: str, size: tuple[int, int]) -> None:
    with modelfile._meta_parameters():
        network = torchvision_model(name, num_classes=5, in_channels=2, input_size=size)
    pictures = torch.zeros(2, 2, *size, device="meta")
    assert network.to("meta").eval()(pictures).shape == (2, 5)


def test_googlenet_takes_pictures_as_they_are() -> None:
    for name in ("googlenet", "inception-v3"):
        network = modelfile.outline(describe(name))
        assert network.transform_input is False
