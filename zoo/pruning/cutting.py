"""Taking channels out of a network's tensors."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from zoo.layers import Separable, Shape
from zoo.pruning.dependencies import Group
from zoo.surgery import Channels
from zoo.surgery.channels import (
    BatchNormSizes,
    ConvolutionSizes,
    LayerNormSizes,
    LinearSizes,
    ParameterSizes,
    SeparableSizes,
    Sizes,
)


@dataclass
class _Lost:
    """What one layer loses."""

    out: set[int] = field(default_factory=set)
    inputs: set[int] = field(default_factory=set)
    both: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Cut:
    """What is taken out of each layer, by its path."""

    network: nn.Module
    lost: dict[str, _Lost]

    @classmethod
    def of(cls, network: nn.Module, taken: Iterable[tuple[Group, list[int]]]) -> "Cut":
        """Everything that goes with some groups' channels."""
        lost: dict[str, _Lost] = {}
        for group, channels in taken:
            gone = set(channels)
            for member in group.members:
                pairs = zip(member.places, member.channels, strict=True)
                places = {place for place, channel in pairs if channel in gone}
                if not places:
                    continue
                layer = lost.setdefault(member.path, _Lost())
                sides = {"out": layer.out, "in": layer.inputs, "both": layer.both}
                sides[member.side].update(places)
        in_order = [n for n, _ in (*network.named_modules(), *network.named_parameters())]
        return cls(network, {name: lost[name] for name in dict.fromkeys(in_order) if name in lost})

    def edit(self) -> Channels | None:
        """The sizes that result; None where nothing goes."""
        if not self.lost:
            return None
        return Channels(layers={path: self._sizes(path) for path in self.lost})

    def tensors(self) -> dict[str, Tensor]:
        """The network's state with what is left."""
        state = {name: tensor.detach() for name, tensor in self.network.state_dict().items()}
        for path in self.lost:
            for name, kept in self._kept(path).items():
                if name in state:
                    for dimension, places in kept.items():
                        index = torch.tensor(places, device=state[name].device)
                        state[name] = state[name].index_select(dimension, index)
        return state

    def apply(self, input_shape: Shape) -> Channels | None:
        """Makes the network smaller, in place: the edit, and then the chosen channels' tensors."""
        edit, tensors = self.edit(), self.tensors()
        if edit is not None:
            edit.apply(self.network, input_shape)
            self.network.load_state_dict(tensors, strict=True)
        return edit

    @cached_property
    def _modules(self) -> dict[str, nn.Module]:
        return dict(self.network.named_modules())

    def _sizes(self, path: str) -> Sizes:
        lost: _Lost = self.lost[path]
        module: nn.Module | Separable | None = self._modules.get(path)
        both = len(lost.both)
        if isinstance(module, nn.Conv2d):
            return ConvolutionSizes(
                in_channels=module.in_channels - len(lost.inputs) - both,
                out_channels=module.out_channels - len(lost.out) - both,
                groups=module.groups - both,
            )
        if isinstance(module, nn.Linear):
            return LinearSizes(
                in_features=module.in_features - len(lost.inputs),
                out_features=module.out_features - len(lost.out),
            )
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            return BatchNormSizes(num_features=module.num_features - both)
        if isinstance(module, nn.LayerNorm):
            *outer, last = module.normalized_shape
            return LayerNormSizes(normalized_shape=(*outer, last - both))
        if isinstance(module, Separable):
            return SeparableSizes(
                in_channels=module.in_channels - len(lost.inputs),
                out_channels=module.out_channels - len(lost.out),
                multiplier=module.multiplier,
            )
        shape = list(self.network.get_parameter(path).shape)
        shape[_long_side(shape)] -= both
        return ParameterSizes(shape=tuple(shape))

    def _kept(self, path: str) -> dict[str, dict[int, list[int]]]:
        """The places that stay: by tensor, by dimension."""
        lost, module = self.lost[path], self._modules.get(path)
        if module is None:
            shape = self.network.get_parameter(path).shape
            side = _long_side(shape)
            return {path: {side: _rest(shape[side], lost.both)}}
        if isinstance(module, nn.Conv2d | nn.Linear):
            outputs, inputs = module.weight.shape[:2]
            # In a grouped convolution every group loses the same places.
            out = _rest(outputs, lost.out | lost.both)
            read = _rest(inputs, {place for place in lost.inputs if place < inputs})
            return {f"{path}.weight": {0: out, 1: read}, f"{path}.bias": {0: out}}
        if isinstance(module, Separable):
            out = _rest(module.out_channels, lost.out)
            # Where it makes several maps of each channel, it keeps its inputs.
            maps = _rest(module.in_channels * module.multiplier, lost.inputs)
            return {
                f"{path}.depthwise_weight": {0: maps},
                f"{path}.pointwise_weight": {0: out, 1: maps},
                f"{path}.bias": {0: out},
            }
        names = ("weight", "bias", "running_mean", "running_var")
        found = {name: getattr(module, name, None) for name in names}
        return {
            f"{path}.{name}": {tensor.ndim - 1: _rest(tensor.shape[-1], lost.both)}
            for name, tensor in found.items()
            if tensor is not None
        }


def _rest(count: int, lost: set[int]) -> list[int]:
    return [place for place in range(count) if place not in lost]


def _long_side(shape: Iterable[int]) -> int:
    """The one dimension of a container's tensor that has entries for channels."""
    return next(place for place, side in enumerate(shape) if side > 1)
