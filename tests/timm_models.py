"""A builder of timm's networks."""

from typing import Any

from torch import nn


def timm_model(name: str, num_classes: int, in_channels: int, **others: Any) -> nn.Module:
    """As timm makes it."""
    import timm

    network: nn.Module = timm.create_model(name, num_classes=num_classes, in_chans=in_channels)
    return network
