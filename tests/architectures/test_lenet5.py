"""LeNet-5 against the lecture's table."""

from zoo import layers
from zoo.architectures.lenet5 import LeNet5


def test_the_lectures_table() -> None:
    # Layer, maps, size, kernel, stride, activation, from the bottom of the slide to its top.
    found = [
        (
            layer.name,
            layer.type,
            layer.output_shape,
            getattr(layer.module, "kernel_size", None),
            layer.activation,
        )
        for layer in layers.ordered(LeNet5(), (1, 32, 32)).layers
    ]
    assert found == [
        ("c1", "Conv2d", (6, 28, 28), (5, 5), "tanh"),
        ("s2", "AvgPool2d", (6, 14, 14), 2, "tanh"),
        ("c3", "Conv2d", (16, 10, 10), (5, 5), "tanh"),
        ("s4", "AvgPool2d", (16, 5, 5), 2, "tanh"),
        ("c5", "Conv2d", (120, 1, 1), (5, 5), "tanh"),
        ("f6", "Linear", (84,), None, "tanh"),
        ("out", "Linear", (10,), None, None),
    ]
