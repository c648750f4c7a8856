"""Receptive fields against gradients, and against published figures."""

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from zoo.explain.receptive import receptive_fields


def sides(network: nn.Module, side: int = 224, channels: int = 3) -> dict[str, int | None]:
    fields = receptive_fields(network.to("meta"), (channels, side, side))
    return {name: None if field.whole else field.height.size for name, field in fields.items()}


def test_published_figures() -> None:
    """Araujo et al. 2019, "Computing receptive fields of CNNs", and by hand."""
    alexnet, vgg, resnet = models.alexnet(), models.vgg16(), models.resnet18()
    assert sides(alexnet)["features.12"] == 195
    assert sides(vgg)["features.30"] == 212
    assert sides(resnet)["layer4.1.bn2"] == 435
    with torch.device("meta"):
        mobilenet = models.mobilenet_v2()
    assert sides(mobilenet)["features.18.0"] == 491


class Branches(nn.Module):
    """Pools, branches of different width, a dilation, a concatenation and a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 3, stride=2, padding=1)
        self.narrow = nn.Conv2d(2, 2, 1)
        self.wide = nn.Conv2d(2, 2, (3, 5), padding=(2, 4), dilation=2)
        self.pool = nn.MaxPool2d(3, 1, 1)
        self.last = nn.Conv2d(6, 2, 3, stride=2)
        self.skip = nn.Conv2d(6, 2, 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.cat([self.narrow(x), self.wide(x), self.pool(x)], dim=1)
        return self.last(x) + self.skip(x)[..., 1:, 1:].relu()


def reach(network: nn.Module, side: int) -> tuple[int, int, int]:
    """Height, width and jump that the gradient of one output in the middle has."""
    picture = torch.rand(1, 1, side, side, requires_grad=True)
    output = network(picture)[0, 0]
    middle = output.shape[0] // 2
    spans = []
    for column in (middle, middle + 1):
        (gradient,) = torch.autograd.grad(output[middle, column], picture, retain_graph=True)
        rows, columns = gradient[0, 0].nonzero(as_tuple=True)
        spans.append((rows.min(), rows.max(), columns.min(), columns.max()))
    (top, bottom, left, right), (_, _, next_left, _) = spans
    return int(bottom - top + 1), int(right - left + 1), int(next_left - left)


def test_a_gradient_reaches_as_far() -> None:
    network = nn.Sequential(Branches(), nn.Conv2d(2, 1, 2))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()  # nothing cancels
    # A maximum passes a gradient to one pixel alone: the mean has the same field.
    network[0].pool = nn.AvgPool2d(3, 1, 1)
    expected = reach(network, 64)
    field = receptive_fields(network.to("meta"), (1, 64, 64))["1"]
    assert (field.height.size, field.width.size, field.width.jump) == expected
    assert field.height.jump == expected[2]
    assert [link.layer for link in field.chain()][-1] == "1"


def test_global_layers_see_the_whole_picture() -> None:
    with torch.device("meta"):
        vit, squeezed = models.vit_b_16(), models.mobilenet_v3_small()
    fields = sides(vit)
    assert fields["conv_proj"] == 16
    assert fields["encoder.layers.encoder_layer_0.ln_1"] == 16
    assert fields["encoder.layers.encoder_layer_0.self_attention"] is None
    assert fields["heads.head"] is None
    fields = sides(squeezed)
    assert fields["features.1.block.0.0"] == 7
    assert fields["features.1.block.2.0"] is None  # after squeeze and excitation


def test_a_linear_layer_sees_everything_and_one_on_channels_does_not() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3)
            self.pointwise = nn.Linear(4, 4)
            self.dense = nn.Linear(4 * 36, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.pointwise(self.conv(x).permute(0, 2, 3, 1))
            return self.dense(x.flatten(1))

    fields = receptive_fields(Mixed().to("meta"), (1, 8, 8))
    assert fields["pointwise"].height.size == 3
    assert fields["dense"].whole
    assert fields["dense"].chain()[-1].text == "every input at once"


def test_what_can_not_be_followed_says_why() -> None:
    class Sorted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3)
            self.after = nn.Conv2d(1, 1, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.after(torch.sort(self.conv(x), dim=2).values)

    fields = receptive_fields(Sorted().to("meta"), (1, 8, 8))
    assert fields["conv"].height.size == 3
    assert fields["after"].unknown == "sort can't be followed"


@pytest.mark.parametrize("training", [True, False])
def test_the_networks_mode_stays(training: bool) -> None:
    network = models.alexnet().train(training)
    receptive_fields(network.to("meta"), (3, 64, 64))
    assert all(module.training is training for module in network.modules())
