"""The Keras Sequential that CNN lectures train on MNIST, with Keras's own initial weights."""

from collections import OrderedDict

from torch import nn
from torch.nn import init

# The standard deviation of a normal distribution truncated at two of its own deviations; Keras
# divides by it (keras.initializers.VarianceScaling).
_TRUNCATED_STD = 0.87962566103423978


class Conv2d(nn.Conv2d):
    """A convolution that starts as Keras's do: glorot_uniform kernel, zero bias."""

    def reset_parameters(self) -> None:
        """Draws new weights."""
        init.xavier_uniform_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class HeNormalConv2d(Conv2d):
    """A convolution with `kernel_initializer="he_normal"`."""

    def reset_parameters(self) -> None:
        """Draws new weights."""
        super().reset_parameters()
        fan_in = self.weight[0].numel()
        std = (2 / fan_in) ** 0.5 / _TRUNCATED_STD
        init.trunc_normal_(self.weight, std=std, a=-2 * std, b=2 * std)


class Linear(nn.Linear):
    """A Dense that starts as Keras's do: glorot_uniform kernel, zero bias."""

    def reset_parameters(self) -> None:
        """Draws new weights."""
        init.xavier_uniform_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class KerasMnistCnn(nn.Sequential):
    """87,290 parameters in Keras's count, 128 of them batch-norm statistics.

    Source: the lecture's `models.Sequential`; names are those that Keras 2 gives its layers.

    Args:
        num_classes: length of the output, logits rather than Keras's softmax.
        in_channels: channels of the picture.
        input_size: height and width, each at least 8.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        input_size: tuple[int, int] = (28, 28),
    ) -> None:
        # 28 -> pool 14 -> conv1_2 12 -> pool 6
        height, width = ((side // 2 - 2) // 2 for side in input_size)
        layers: list[tuple[str, nn.Module]] = [
            ("conv1_1", Conv2d(in_channels, 40, kernel_size=5, padding=2)),  # (N, 40, 28, 28)
            ("conv1_1_relu", nn.ReLU()),
            ("max_pooling2d_1", nn.MaxPool2d(2)),  # (N, 40, 14, 14)
            ("dropout_1", nn.Dropout(0.25)),
            ("conv1_2", HeNormalConv2d(40, 32, kernel_size=3)),  # (N, 32, 12, 12)
            ("conv1_2_relu", nn.ReLU()),
            ("max_pooling2d_2", nn.MaxPool2d(2)),  # (N, 32, 6, 6)
            ("dropout_2", nn.Dropout(0.25)),
            ("flatten_1", nn.Flatten()),  # (N, 1152)
            ("dense_1", Linear(32 * height * width, 64)),
            ("dense_1_relu", nn.ReLU()),
            # Keras's epsilon is 1e-3, and its momentum .99 keeps what PyTorch's 0.01 replaces.
            ("batch_normalization_1", nn.BatchNorm1d(64, eps=1e-3, momentum=0.01)),
            ("dropout_3", nn.Dropout(0.25)),
            ("dense_2", Linear(64, num_classes)),
        ]
        super().__init__(OrderedDict(layers))
