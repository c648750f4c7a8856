"""LeNet-5 as lectures tabulate it: dense C3, plain average pooling, linear output."""

from torch import Tensor, nn


class LeNet5(nn.Module):
    """LeNet-5, 61,706 parameters for ten classes of 1@32×32.

    Source: LeCun et al. 1998, section II.B and figure 2, in the form of today's lecture tables;
    the card in `zoo.catalog` lists the departures.

    Args:
        num_classes: length of the output.
        in_channels: channels of the picture.
        input_size: height and width, each at least 32.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        input_size: tuple[int, int] = (32, 32),
    ) -> None:
        super().__init__()
        # 32 -> C1 28 -> S2 14 -> C3 10 -> S4 5 -> C5 1
        height, width = (((side - 4) // 2 - 4) // 2 - 4 for side in input_size)
        self.c1 = nn.Conv2d(in_channels, 6, kernel_size=5)
        self.c1_tanh = nn.Tanh()
        self.s2 = nn.AvgPool2d(2)
        self.s2_tanh = nn.Tanh()
        self.c3 = nn.Conv2d(6, 16, kernel_size=5)
        self.c3_tanh = nn.Tanh()
        self.s4 = nn.AvgPool2d(2)
        self.s4_tanh = nn.Tanh()
        self.c5 = nn.Conv2d(16, 120, kernel_size=5)
        self.c5_tanh = nn.Tanh()
        self.f6 = nn.Linear(120 * height * width, 84)
        self.f6_tanh = nn.Tanh()
        self.out = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, num_classes) of pictures (N, in_channels, 32, 32)."""
        x = self.c1_tanh(self.c1(x))  # (N, 6, 28, 28)
        x = self.s2_tanh(self.s2(x))  # (N, 6, 14, 14)
        x = self.c3_tanh(self.c3(x))  # (N, 16, 10, 10)
        x = self.s4_tanh(self.s4(x))  # (N, 16, 5, 5)
        x = self.c5_tanh(self.c5(x))  # (N, 120, 1, 1)
        x = self.f6_tanh(self.f6(x.flatten(1)))  # (N, 84)
        logits: Tensor = self.out(x)
        return logits
