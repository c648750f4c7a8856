"""AlexNet as lectures tabulate it, on one device or in the paper's two groups."""

from collections import OrderedDict

from torch import nn
from torch.nn import init


def _response_norm() -> nn.LocalResponseNorm:
    # Section 3.3: k = 2, n = 5, α = 1e-4, β = 0.75. PyTorch divides α by n, the paper does not.
    return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2)


class AlexNet(nn.Sequential):
    """AlexNet, 62,378,344 parameters for a thousand classes; 60,965,224 in two groups.

    Source: Krizhevsky et al. 2012, section 3 and figure 2, in the form of today's lecture tables;
    the cards in `zoo.catalog` list the departures.

    Args:
        num_classes: length of the output.
        in_channels: channels of the picture.
        input_size: height and width.
        groups: in C3, C6 and C7: 2 is the paper's, whose two GPUs each hold half of the maps and
            see the other's in C5 alone; 1 lets every map see all.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        input_size: tuple[int, int] = (227, 227),
        groups: int = 1,
    ) -> None:
        # 227 -> C1 55 -> S2 27 -> S4 13 -> S7 6
        height, width = ((side - 35) // 32 for side in input_size)
        layers: list[tuple[str, nn.Module]] = [
            ("c1", nn.Conv2d(in_channels, 96, kernel_size=11, stride=4)),  # (N, 96, 55, 55)
            ("c1_relu", nn.ReLU()),
            ("c1_norm", _response_norm()),
            ("s2", nn.MaxPool2d(3, stride=2)),  # (N, 96, 27, 27)
            ("c3", nn.Conv2d(96, 256, kernel_size=5, padding=2, groups=groups)),
            ("c3_relu", nn.ReLU()),
            ("c3_norm", _response_norm()),  # (N, 256, 27, 27)
            ("s4", nn.MaxPool2d(3, stride=2)),  # (N, 256, 13, 13)
            ("c5", nn.Conv2d(256, 384, kernel_size=3, padding=1)),  # (N, 384, 13, 13)
            ("c5_relu", nn.ReLU()),
            ("c6", nn.Conv2d(384, 384, kernel_size=3, padding=1, groups=groups)),
            ("c6_relu", nn.ReLU()),  # (N, 384, 13, 13)
            ("c7", nn.Conv2d(384, 256, kernel_size=3, padding=1, groups=groups)),
            ("c7_relu", nn.ReLU()),  # (N, 256, 13, 13)
            ("s7", nn.MaxPool2d(3, stride=2)),  # (N, 256, 6, 6)
            ("flatten", nn.Flatten()),  # (N, 9216)
            ("f8_dropout", nn.Dropout(0.5)),
            ("f8", nn.Linear(256 * height * width, 4096)),
            ("f8_relu", nn.ReLU()),
            ("f9_dropout", nn.Dropout(0.5)),
            ("f9", nn.Linear(4096, 4096)),
            ("f9_relu", nn.ReLU()),
            ("out", nn.Linear(4096, num_classes)),
        ]
        super().__init__(OrderedDict(layers))
        # Section 5: ones where they give the ReLUs positive inputs to begin with.
        for name, layer in layers:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                init.normal_(layer.weight, std=0.01)
                assert layer.bias is not None
                init.constant_(layer.bias, float(name in ("c3", "c6", "c7", "f8", "f9")))
