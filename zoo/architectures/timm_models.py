"""timm's networks, with any number of channels and classes, and with the pixels they can take."""

from typing import Any

from torch import nn

from zoo.errors import NotFoundError, StructureError, UsageError, is_out_of_memory, reason_of


def timm_model(
    name: str,
    num_classes: int = 1000,
    in_channels: int = 3,
    input_size: tuple[int, int] = (224, 224),
    listed_in: str | None = None,
) -> nn.Module:
    """A fresh network of timm's.

    Args:
        name: timm's, such as `convnext_tiny`.
        num_classes: length of the output.
        in_channels: channels of the picture.
        input_size: height and width; a network that is made for one size is made for this one.
        listed_in: the version of timm that is known to have it.

    Raises:
        UsageError: timm is not installed.
        NotFoundError: the timm that is installed has no such network.
        StructureError: the network can't be made with these arguments.
    """
    try:
        import timm
    except ImportError as error:
        raise UsageError(
            f"timm/{name} needs timm, which is not installed.", hint="pip install 'cnn-zoo[timm]'"
        ) from error
    if not timm.is_model(name):
        raise NotFoundError(
            f"timm {timm.__version__}, which is installed here, has no {name}"
            + (f"; timm {listed_in} has." if listed_in else "."),
            hint="pip install --upgrade timm",
        )
    arguments: dict[str, Any] = {"num_classes": num_classes, "in_chans": in_channels}
    try:
        try:
            network: nn.Module = timm.create_model(name, img_size=input_size, **arguments)
        except TypeError as error:
            if "img_size" not in str(error):
                raise
            network = timm.create_model(name, **arguments)
    except (AssertionError, IndexError, RuntimeError, TypeError, ValueError) as error:
        if is_out_of_memory(error) or "meta" in str(error):
            raise  # the latter: it uses weights that have no values; see zoo.modelfile
        height, width = input_size
        reason = reason_of(error)
        raise StructureError(
            f"timm/{name} can't be made for {in_channels}×{height}×{width} and {num_classes} "
            f"classes: {reason}."
        ) from error
    return network
