"""The edit `channels`: layers with fewer channels than their architecture gives them."""

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from zoo.errors import StructureError
from zoo.layers import Separable, Shape

Count = Annotated[int, Field(ge=1, strict=True)]
Counts = tuple[Count, ...]


class _Sizes(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ConvolutionSizes(_Sizes):
    """Of a Conv2d."""

    in_channels: Count
    out_channels: Count
    groups: Count = 1

    def shapes(self, module: nn.Module) -> dict[str, Shape]:
        """What the tensors of a convolution of these sizes are.

        Raises:
            ValueError: the module is no convolution, or the groups don't divide the channels.
        """
        if not isinstance(module, nn.Conv2d):
            raise ValueError("is no convolution")
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(f"has channels that {self.groups} groups don't divide")
        inputs = self.in_channels // self.groups
        return {
            "weight": (self.out_channels, inputs, *module.kernel_size),
            "bias": (self.out_channels,),
        }


class SeparableSizes(_Sizes):
    """Of a depthwise convolution and a 1×1 that are one layer."""

    in_channels: Count
    out_channels: Count
    multiplier: Count
    """Maps that the first makes of each channel; it stays as it is."""

    def shapes(self, module: nn.Module) -> dict[str, Shape]:
        """What the tensors of such a layer of these sizes are.

        Raises:
            ValueError: the module is none, or its first part makes more or fewer maps of each.
        """
        if not isinstance(module, Separable):
            raise ValueError("is no separable convolution")
        if self.multiplier != module.multiplier:
            raise ValueError(f"makes {module.multiplier} maps of each channel")
        inner = self.in_channels * self.multiplier
        return {
            "depthwise_weight": (inner, 1, *module.kernel_size),
            "pointwise_weight": (self.out_channels, inner, 1, 1),
            "bias": (self.out_channels,),
        }


class LinearSizes(_Sizes):
    """Of a Linear."""

    in_features: Count
    out_features: Count

    def shapes(self, module: nn.Module) -> dict[str, Shape]:
        """What the tensors of a full connection of these sizes are.

        Raises:
            ValueError: the module is none.
        """
        if not isinstance(module, nn.Linear):
            raise ValueError("is no Linear")
        return {"weight": (self.out_features, self.in_features), "bias": (self.out_features,)}


class BatchNormSizes(_Sizes):
    """Of a batch norm."""

    num_features: Count

    def shapes(self, module: nn.Module) -> dict[str, Shape]:
        """What the tensors of a batch norm of this size are.

        Raises:
            ValueError: the module is none.
        """
        if not isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            raise ValueError("is no batch norm")
        names = ("weight", "bias", "running_mean", "running_var")
        return dict.fromkeys(names, (self.num_features,))


class LayerNormSizes(_Sizes):
    """Of a LayerNorm."""

    normalized_shape: Counts

    def shapes(self, module: nn.Module) -> dict[str, Shape]:
        """What the tensors of a layer norm of this size are.

        Raises:
            ValueError: the module is none.
        """
        if not isinstance(module, nn.LayerNorm):
            raise ValueError("is no LayerNorm")
        return dict.fromkeys(("weight", "bias"), self.normalized_shape)


class ParameterSizes(_Sizes):
    """Of a tensor that a container owns itself, such as a layer scale."""

    shape: Counts


Sizes = (
    ConvolutionSizes | SeparableSizes | LinearSizes | BatchNormSizes | LayerNormSizes
    | ParameterSizes
)  # fmt: skip


class Channels(BaseModel):
    """Each changed layer's resulting sizes; which channels they are only the tensors know.

    Applied to a network with weights, a layer keeps the first of its channels until the tensors of
    those that were chosen come.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    edit: Literal["channels"] = "channels"
    layers: dict[str, Sizes] = Field(min_length=1)
    """By dotted path of a layer, or of a tensor that a container owns."""

    def __str__(self) -> str:
        return f"channels of {len(self.layers)} layers"

    def apply(self, network: nn.Module, input_shape: Shape) -> nn.Module:  # noqa: ARG002 (an edit's signature)
        """The network with its layers made smaller, in place.

        Raises:
            StructureError: there is no such layer, it is of another kind, or it would grow.
        """
        for path, sizes in self.layers.items():
            try:
                if isinstance(sizes, ParameterSizes):
                    _shrink_parameter(network, path, sizes)
                else:
                    _shrink(network.get_submodule(path), sizes)
            except (AttributeError, ValueError) as error:
                raise StructureError(f"The edit channels does not fit: {path} {error}.") from error
        return network


def _shrink(module: nn.Module, sizes: Any) -> None:
    for name, shape in sizes.shapes(module).items():
        tensor = getattr(module, name, None)
        if tensor is not None:
            setattr(module, name, _first(tensor, shape))
    for field, value in sizes.model_dump().items():
        setattr(module, field, value)


def _shrink_parameter(network: nn.Module, path: str, sizes: ParameterSizes) -> None:
    owner, _, name = path.rpartition(".")
    tensor = getattr(network.get_submodule(owner), name, None)
    if not isinstance(tensor, nn.Parameter):
        raise ValueError("is no parameter")
    setattr(network.get_submodule(owner), name, _first(tensor, sizes.shape))


def _first(tensor: Tensor, shape: Shape) -> Tensor:
    """The first entries in each dimension.

    Raises:
        ValueError: there are fewer.
    """
    if len(shape) != tensor.ndim or any(
        new > old for new, old in zip(shape, tensor.shape, strict=True)
    ):
        wanted, given = ("×".join(map(str, sides)) for sides in (shape, tensor.shape))
        raise ValueError(f"would become {wanted}, but is {given}")
    part = tensor.detach()[tuple(slice(side) for side in shape)].clone()
    assert part.numel() == math.prod(shape)
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(part, requires_grad=tensor.requires_grad)
    return part
