"""The residual networks that He et al. 2015, section 4.2, train on CIFAR-10: 6n+2 layers."""

import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor, nn
from torch.nn import init


class Shortcut(nn.Module):
    """Option A: no parameters; every second pixel, and zeros for the maps that are new.

    Args:
        in_channels: maps that come in.
        out_channels: maps that go out.
        stride: 2 halves the size.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.new_channels = out_channels - in_channels
        self.kernel_size, self.stride = 1, stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        x = x[:, :, :: self.stride, :: self.stride]
        # Half of the zeros before the maps and half after them.
        before = self.new_channels // 2
        return F.pad(x, (0, 0, 0, 0, before, self.new_channels - before))


class Block(nn.Module):
    """Two 3×3 convolutions and the shortcut around them (figure 2).

    Args:
        in_channels: maps that come in.
        out_channels: maps that go out.
        stride: of the first convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        same = (in_channels, stride) == (out_channels, 1)
        self.shortcut = nn.Identity() if same else Shortcut(in_channels, out_channels, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        residual = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        out: Tensor = self.relu2(residual + self.shortcut(x))
        return out


class ResNetOfCifar(nn.Module):
    """ResNet-20, 32, 44, 56 or 110: three stages of n blocks with 16, 32 and 64 maps.

    Args:
        depth: layers with weights, 6n + 2.
        num_classes: length of the output.
        in_channels: channels of the picture.
        input_size: height and width; every size has the same layers.
    """

    def __init__(
        self,
        depth: int = 20,
        num_classes: int = 10,
        in_channels: int = 3,
        input_size: tuple[int, int] = (32, 32),  # noqa: ARG002 (the pooling takes any)
    ) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu1 = nn.ReLU()
        self.stage1 = nn.Sequential(*(Block(16, 16) for _ in range(blocks)))
        self.stage2 = nn.Sequential(Block(16, 32, 2), *(Block(32, 32) for _ in range(blocks - 1)))
        self.stage3 = nn.Sequential(Block(32, 64, 2), *(Block(64, 64) for _ in range(blocks - 1)))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.out = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                init.kaiming_normal_(module.weight)  # the paper's reference 13

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, num_classes) of pictures (N, in_channels, 32, 32)."""
        x = self.relu1(self.bn1(self.conv1(x)))  # (N, 16, 32, 32)
        x = self.stage1(x)  # (N, 16, 32, 32)
        x = self.stage2(x)  # (N, 32, 16, 16)
        x = self.stage3(x)  # (N, 64, 8, 8)
        logits: Tensor = self.out(self.pool(x).flatten(1))
        return logits
