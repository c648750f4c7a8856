"""torchvision's own classification networks, with any number of channels, classes and pixels.

The names in their state dicts are torchvision's, so that its public weights fit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torchvision.models import get_model

from zoo.errors import StructureError


def torchvision_model(
    name: str,
    num_classes: int = 1000,
    in_channels: int = 3,
    input_size: tuple[int, int] = (224, 224),
    auxiliary: bool = True,
) -> nn.Module:
    """A fresh network of torchvision's.

    GoogLeNet and Inception v3 start from PyTorch's initial weights, as torchvision announces for
    the future: its truncated normals take seconds to draw, and those of Inception v3 are so wide
    that its first logits are beyond 1e11. Pictures reach them as they are, `transform_input` is
    off: public weights ask for a mean and std of 0.5.

    Args:
        name: torchvision's, such as `resnet50`.
        num_classes: length of the output.
        in_channels: channels of the picture; the builder draws the first convolution's weights as
            it does for three.
        input_size: height and width.
        auxiliary: with the auxiliary classifiers of GoogLeNet and Inception v3.

    Raises:
        StructureError: the network is not made for that size.
    """
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        options = {"aux_logits": auxiliary, "init_weights": False, "transform_input": False}
    elif name.startswith("vit_"):
        _check_square(name, input_size, multiple_of=int(name.rpartition("_")[2]))  # the patch
        options = {"image_size": input_size[0]}
    elif name.startswith("maxvit_"):
        _check_square(name, input_size, multiple_of=224)  # windows of 7 after halving five times
        options = {"input_size": input_size}
    with _first_convolution_reads(in_channels):
        network: nn.Module = get_model(name, num_classes=num_classes, **options)
    return network


def _check_square(name: str, input_size: tuple[int, int], *, multiple_of: int) -> None:
    """Refuses sizes that patches or windows do not fill.

    Raises:
        StructureError: says which do.
    """
    height, width = input_size
    if height != width or height % multiple_of:
        raise StructureError(
            f"{name} needs square pictures of at least {multiple_of}×{multiple_of}, with sides "
            f"that are multiples of {multiple_of}, not {height}×{width}."
        )


@contextmanager
def _first_convolution_reads(in_channels: int) -> Iterator[None]:
    """Inside, the first convolution that is made reads this many channels instead of three."""
    original = nn.Conv2d.__init__

    def init(self: nn.Conv2d, in_channels: int, *args: Any, **kwargs: Any) -> None:  # noqa: ARG001
        nn.Conv2d.__init__ = original  # type: ignore[method-assign]
        original(self, channels, *args, **kwargs)

    channels = in_channels
    nn.Conv2d.__init__ = init  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Conv2d.__init__ = original  # type: ignore[method-assign]
