"""LeNet-5 as its paper has it (LeCun et al. 1998, section II.B): exactly 60,000 parameters."""

import math

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor, nn

# Table I: which of S2's six maps each of C3's sixteen maps reads. 60 pairs.
C3_READS = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip

# Figure 3, redrawn: ten digits of 7×12 pixels, side by side.
DIGIT_BITMAPS = """
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
..###..  ...#...  ..###..  #######  .....#.  #######  ..####.  #######  ..###..  ..###..
.#...#.  ..##...  .#...#.  .....#.  ....##.  #......  .#.....  ......#  .#...#.  .#...#.
#.....#  .#.#...  #.....#  ....#..  ...#.#.  #......  #......  .....#.  #.....#  #.....#
#.....#  ...#...  ......#  ...#...  ..#..#.  #......  #......  .....#.  #.....#  #.....#
#.....#  ...#...  .....#.  ..###..  .#...#.  #.###..  #.###..  ....#..  .#...#.  #....##
#.....#  ...#...  ....#..  .....#.  #....#.  ##...#.  ##...#.  ....#..  ..###..  .#...##
#.....#  ...#...  ...#...  ......#  #######  ......#  #.....#  ...#...  .#...#.  ..###.#
#.....#  ...#...  ..#....  ......#  .....#.  ......#  #.....#  ...#...  #.....#  ......#
#.....#  ...#...  .#.....  #.....#  .....#.  #.....#  #.....#  ..#....  #.....#  ......#
.#...#.  ...#...  #......  .#...#.  .....#.  .#...#.  .#...#.  ..#....  .#...#.  .....#.
..###..  .#####.  #######  ..###..  .....#.  ..###..  ..###..  ..#....  ..###..  .####..
"""


def class_codes(num_classes: int) -> Tensor:
    """Target activations of F6, (num_classes, 84), each -1 or +1.

    The first ten are the digits' bitmaps, row by row, black being +1. The paper draws the rest of
    ASCII; further classes here get random codes, always the same ones.
    """
    rows = [line.split() for line in DIGIT_BITMAPS.split("\n") if line]
    bitmaps = ["".join(row[digit] for row in rows) for digit in range(10)]
    pixels = [[1.0 if pixel == "#" else -1.0 for pixel in bitmap] for bitmap in bitmaps]
    generator = torch.Generator().manual_seed(1998)
    random = torch.randint(0, 2, (max(0, num_classes - 10), 84), generator=generator) * 2.0 - 1.0
    return torch.cat([torch.tensor(pixels), random])[:num_classes]


def _draw(parameter: Tensor, fan_in: int) -> None:
    """Uniform in ±2.4 / fan-in, as appendix A says."""
    nn.init.uniform_(parameter, -2.4 / fan_in, 2.4 / fan_in)


class ScaledTanh(nn.Tanh):
    """1.7159 tanh(2x/3), so that ±1 is mapped to itself (equation 6 and appendix A)."""

    activation_name = "scaled tanh"

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise; the shape stays."""
        return 1.7159 * torch.tanh(x * (2 / 3))


class Conv2d(nn.Conv2d):
    """A convolution with the paper's initial weights."""

    def reset_parameters(self) -> None:
        """Draws new weights."""
        fan_in = self.weight[0].numel()
        _draw(self.weight, fan_in)
        if self.bias is not None:
            _draw(self.bias, fan_in)


class Linear(nn.Linear):
    """A full connection with the paper's initial weights."""

    def reset_parameters(self) -> None:
        """Draws new weights."""
        _draw(self.weight, self.in_features)
        if self.bias is not None:
            _draw(self.bias, self.in_features)


class Subsampling(nn.Module):
    """Sums each 2×2 field, times a trainable coefficient, plus a trainable bias (S2 and S4)."""

    kernel_size = stride = 2

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))
        _draw(self.weight, 4)
        _draw(self.bias, 4)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, 2H, 2W) to (N, channels, H, W)."""
        sums = 4 * F.avg_pool2d(x, 2)
        return sums * self.weight[:, None, None] + self.bias[:, None, None]

    def mult_adds(self, output_shape: tuple[int, ...]) -> int:
        """One per output: the coefficient times the sum, plus the bias."""
        return math.prod(output_shape)


class SparseConv2d(nn.Module):
    """C3: a 5×5 convolution in which each map reads only its row of table I. 1,516 parameters."""

    in_channels, out_channels, kernel_size = 6, 16, 5

    def __init__(self) -> None:
        super().__init__()
        pairs = [(o, i) for o, reads in enumerate(C3_READS) for i in reads]
        self.pairs = tuple(zip(*pairs, strict=True))
        fan_in = torch.tensor([25.0 * len(reads) for reads in C3_READS])
        bound = 2.4 / fan_in
        kernels = torch.empty(len(pairs), 5, 5).uniform_(-1, 1)
        self.weight = nn.Parameter(kernels * bound[list(self.pairs[0]), None, None])
        self.bias = nn.Parameter(torch.empty(16).uniform_(-1, 1) * bound)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 6, H, W) to (N, 16, H - 4, W - 4)."""
        outputs, inputs = (torch.tensor(index, device=x.device) for index in self.pairs)
        dense = self.weight.new_zeros(16, 6, 5, 5).index_put((outputs, inputs), self.weight)
        return F.conv2d(x, dense, self.bias)


class EuclideanRBF(nn.Module):
    """Negative squared distance of F6 to each class's code, the paper's output layer.

    Trained by cross-entropy this is equation 9 without the constant j. Computed in fp32, because
    distances of up to 84 · 2.7² leave bf16 no digit for their differences.
    """

    codes: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.register_buffer("codes", class_codes(num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, num_classes) of features (N, 84)."""
        differences = x.float()[:, None, :] - self.codes  # (N, num_classes, 84)
        return -(differences**2).sum(dim=2)

    def mult_adds(self, output_shape: tuple[int, ...]) -> int:
        """One per class and feature: a difference times itself, added up."""
        return output_shape[0] * self.codes.shape[1]


class LeNet5Of1998(nn.Module):
    """LeNet-5 of the paper: 156, 12, 1,516, 32, 48,120 and 10,164 trainable parameters.

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
        self.c1 = Conv2d(in_channels, 6, kernel_size=5)
        self.c1_tanh = ScaledTanh()
        self.s2 = Subsampling(6)
        self.s2_tanh = ScaledTanh()
        self.c3 = SparseConv2d()
        self.c3_tanh = ScaledTanh()
        self.s4 = Subsampling(16)
        self.s4_tanh = ScaledTanh()
        self.c5 = Conv2d(16, 120, kernel_size=5)
        self.c5_tanh = ScaledTanh()
        self.f6 = Linear(120 * height * width, 84)
        self.f6_tanh = ScaledTanh()
        self.out = EuclideanRBF(num_classes)

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
