"""GoogLeNet as its paper tabulates it (Szegedy et al. 2014, table 1): no batch norm."""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import init


def _convolution(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1
) -> nn.Sequential:
    """A convolution that keeps the size, or halves it, and its ReLU."""
    padding = kernel_size // 2
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding),
            relu=nn.ReLU(),
        )
    )


class Inception(nn.Module):
    """Figure 2(b): four branches side by side; the arguments are table 1's columns.

    Args:
        in_channels: maps that come in.
        conv1x1: maps of the first branch.
        reduce3x3: 1×1 maps before the 3×3.
        conv3x3: maps of the second branch.
        reduce5x5: 1×1 maps before the 5×5.
        conv5x5: maps of the third branch.
        project: 1×1 maps after the pooling, the fourth branch.
    """

    def __init__(
        self,
        in_channels: int,
        conv1x1: int,
        reduce3x3: int,
        conv3x3: int,
        reduce5x5: int,
        conv5x5: int,
        project: int,
    ) -> None:
        super().__init__()
        self.conv1x1 = _convolution(in_channels, conv1x1, 1)
        self.reduce3x3 = _convolution(in_channels, reduce3x3, 1)
        self.conv3x3 = _convolution(reduce3x3, conv3x3, 3)
        self.reduce5x5 = _convolution(in_channels, reduce5x5, 1)
        self.conv5x5 = _convolution(reduce5x5, conv5x5, 5)
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.project = _convolution(in_channels, project, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, conv1x1 + conv3x3 + conv5x5 + project, H, W)."""
        branches = (
            self.conv1x1(x),
            self.conv3x3(self.reduce3x3(x)),
            self.conv5x5(self.reduce5x5(x)),
            self.project(self.pool(x)),
        )
        return torch.cat(branches, dim=1)


class Auxiliary(nn.Sequential):
    """The classifiers on the side of section 5, which run in training alone.

    Args:
        in_channels: maps that come in.
        size: their height and width.
        num_classes: length of the output.
    """

    def __init__(self, in_channels: int, size: tuple[int, int], num_classes: int) -> None:
        height, width = ((side - 5) // 3 + 1 for side in size)
        super().__init__(
            OrderedDict(
                pool=nn.AvgPool2d(5, stride=3),  # (N, in_channels, 4, 4)
                conv=nn.Conv2d(in_channels, 128, kernel_size=1),  # (N, 128, 4, 4)
                conv_relu=nn.ReLU(),
                flatten=nn.Flatten(),  # (N, 2048)
                fc=nn.Linear(128 * height * width, 1024),
                fc_relu=nn.ReLU(),
                dropout=nn.Dropout(0.7),
                out=nn.Linear(1024, num_classes),
            )
        )


class GoogLeNetOf2014(nn.Module):
    """GoogLeNet, 6,998,552 parameters for a thousand classes, 13,378,280 with both classifiers.

    Source: Szegedy et al. 2014, table 1 and section 5; the card in `zoo.catalog` lists the
    departures.

    Args:
        num_classes: length of the output.
        in_channels: channels of the picture.
        input_size: height and width.
        auxiliary: with the two classifiers on the side.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        input_size: tuple[int, int] = (224, 224),
        auxiliary: bool = True,
    ) -> None:
        super().__init__()
        # Poolings round up, as the sizes of table 1 ask for: 112 -> 56 -> 28 -> 14 -> 7.
        self.conv1 = _convolution(in_channels, 64, 7, stride=2)
        self.pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.norm1 = nn.LocalResponseNorm(5)
        self.conv2_reduce = _convolution(64, 64, 1)
        self.conv2 = _convolution(64, 192, 3)
        self.norm2 = nn.LocalResponseNorm(5)
        self.pool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception_3a = Inception(192, 64, 96, 128, 16, 32, 32)
        self.inception_3b = Inception(256, 128, 128, 192, 32, 96, 64)
        self.pool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception_4a = Inception(480, 192, 96, 208, 16, 48, 64)
        self.inception_4b = Inception(512, 160, 112, 224, 24, 64, 64)
        self.inception_4c = Inception(512, 128, 128, 256, 24, 64, 64)
        self.inception_4d = Inception(512, 112, 144, 288, 32, 64, 64)
        self.inception_4e = Inception(528, 256, 160, 320, 32, 128, 128)
        self.pool4 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception_5a = Inception(832, 256, 160, 320, 32, 128, 128)
        self.inception_5b = Inception(832, 384, 192, 384, 48, 128, 128)
        self.pool5 = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.4)
        self.out = nn.Linear(1024, num_classes)
        self.auxiliary1 = self.auxiliary2 = None
        if auxiliary:
            # 224 -> conv1 112 -> pool1 56 -> pool2 28 -> pool3 14
            height, width = ((side + 1) // 16 for side in input_size)
            self.auxiliary1 = Auxiliary(512, (height, width), num_classes)
            self.auxiliary2 = Auxiliary(528, (height, width), num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                init.xavier_uniform_(module.weight)
                assert module.bias is not None
                init.constant_(module.bias, 0.2)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits (N, num_classes) of pictures (N, in_channels, 224, 224).

        In training the logits of the auxiliary classifiers follow, if they are there.
        """
        x = self.norm1(self.pool1(self.conv1(x)))  # (N, 64, 56, 56)
        x = self.pool2(self.norm2(self.conv2(self.conv2_reduce(x))))  # (N, 192, 28, 28)
        x = self.inception_3a(x)  # (N, 256, 28, 28)
        x = self.pool3(self.inception_3b(x))  # (N, 480, 14, 14)
        x = self.inception_4a(x)  # (N, 512, 14, 14)
        on_the_side = []
        if self.training and self.auxiliary1 is not None:
            on_the_side.append(self.auxiliary1(x))
        x = self.inception_4b(x)  # (N, 512, 14, 14)
        x = self.inception_4c(x)  # (N, 512, 14, 14)
        x = self.inception_4d(x)  # (N, 528, 14, 14)
        if self.training and self.auxiliary2 is not None:
            on_the_side.append(self.auxiliary2(x))
        x = self.pool4(self.inception_4e(x))  # (N, 832, 7, 7)
        x = self.inception_5a(x)  # (N, 832, 7, 7)
        x = self.inception_5b(x)  # (N, 1024, 7, 7)
        x = self.dropout(self.pool5(x).flatten(1))  # (N, 1024)
        logits: Tensor = self.out(x)
        return (logits, *on_the_side) if on_the_side else logits
