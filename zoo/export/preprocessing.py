"""What `zoo.data.fit` does to a picture, as tensor arithmetic that an exported graph can hold.

A side of the picture is known only when the graph runs, so resizing is a product with a matrix of
weights that the graph computes from it. The weights are rounded to integers and each pass to 8
bits as torch's own kernel rounds them (`_compute_index_ranges_int16_weights` in ATen's
native/cpu/UpSampleKernel.cpp), in float64, whose integers are exact here: the pixels are the same.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.data.fit import normalized
from zoo.schema import Preprocessing

_LARGEST = 1 << 15
"""What a weight stays below, so that it fits into 16 bits."""
_MOST_BITS = 22
_RADIUS = {"bilinear": 1.0, "bicubic": 2.0}
"""How far a kernel reaches, in pixels of the smaller picture."""
_CUBIC = -0.5
"""Keys's parameter where pictures are antialiased, as in Pillow."""


class Normalize(nn.Module):
    """`(x · rescale − mean) / std`, with the samplewise options: `zoo.data.fit.normalize`."""

    mean: Tensor
    std: Tensor

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        for name, values in (("mean", preprocessing.mean), ("std", preprocessing.std)):
            column = torch.tensor(values)[:, None, None]  # (C, 1, 1)
            self.register_buffer(name, column, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) of 0 to 255, float32, to the network's input."""
        return normalized(images, self.mean, self.std, self.preprocessing)


class Fit(nn.Module):
    """Decoded pictures of one size, whatever it is, at the network's size: `zoo.data.fit.fit`."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        powers = torch.tensor([2.0**bits for bits in range(1, _MOST_BITS + 1)], dtype=torch.float64)
        self.register_buffer("powers", powers, persistent=False)

    powers: Tensor

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, h, w, C), uint8, to (N, C, H, W), float32, whole numbers of 0 to 255."""
        height, width = (_count_along(pictures, dimension) for dimension in (1, 2))
        rows, columns = self._axes(height, width)
        images = pictures.permute(0, 3, 1, 2)  # (N, C, h, w)
        if self.preprocessing.interpolation == "nearest":
            down, across = rows.nearest(height), columns.nearest(width)
            images = images.index_select(2, down.index).index_select(3, across.index)
            # (N, C, H, W); black where there is nothing of the picture
            return images.float() * (down.is_inside[:, None] & across.is_inside).float()
        wide, wide_unit = self._whole(columns.weights(width, self._kernel), columns.kept)
        tall, tall_unit = self._whole(rows.weights(height, self._kernel), rows.kept)
        pixels = _rounded(images.double() @ wide.T, wide_unit)  # (N, C, h, W)
        return _rounded(tall @ pixels, tall_unit).float()  # (N, C, H, W)

    @property
    def _kernel(self) -> str:
        return self.preprocessing.interpolation

    def _axes(self, height: Tensor, width: Tensor) -> "tuple[_Axis, _Axis]":
        """Which part of the picture comes where, along its height and its width."""
        sides = (_length(height), _length(width))
        content = self.preprocessing.content
        starts = [torch.zeros_like(side) for side in sides]
        parts, targets = list(sides), [torch.full_like(sides[0], float(c)) for c in content]
        if self.preprocessing.fit == "crop":
            scale = torch.minimum(sides[0] / content[0], sides[1] / content[1])
            parts = [
                torch.minimum(side, (target * scale).round()).clamp(min=1.0)
                for side, target in zip(sides, content, strict=True)
            ]
            starts = [((side - part) / 2).floor() for side, part in zip(sides, parts, strict=True)]
        elif self.preprocessing.fit == "pad":
            scale = torch.minimum(content[0] / sides[0], content[1] / sides[1])
            targets = [(side * scale).round().clamp(min=1.0) for side in sides]
        rows, columns = (
            _Axis(start, part, target, size, most)
            for start, part, target, size, most in zip(
                starts, parts, targets, self.preprocessing.size, content, strict=True
            )
        )
        return rows, columns

    def _whole(self, weights: Tensor, kept: slice) -> tuple[Tensor, Tensor]:
        """Weights as integers, those that are shown, and what 1 has become."""
        bits = (weights.max() * self.powers + 0.5).floor() < _LARGEST  # (22,)
        unit = torch.where(bits, self.powers, 1.0).max()
        scaled = weights * unit
        return (scaled.sign() * (scaled.abs() + 0.5).floor())[kept], unit


@dataclass(frozen=True)
class _Places:
    """Of which pixel each of the network's is a copy."""

    index: Tensor
    """(size,), int64."""
    is_inside: Tensor
    """(size,), bool."""


@dataclass(frozen=True)
class _Axis:
    """One side of a picture on its way to the network's; tensors of one float64 each."""

    start: Tensor
    """The first pixel that is used."""
    part: Tensor
    """How many are."""
    target: Tensor
    """How many they become."""
    size: int
    """The network's side, around whose middle they come."""
    most: int
    """The largest target that can be."""

    @property
    def _beyond(self) -> int:
        """Pixels before and after the network's side that decide how weights are rounded."""
        return (self.most - self.size) // 2 + 1 if self.most > self.size else 0

    @property
    def kept(self) -> slice:
        """The network's side among `_shown`."""
        return slice(self._beyond, self._beyond + self.size)

    def _shown(self) -> Tensor:
        """(size and beyond,), float64: each place's number among the target's."""
        places = torch.arange(-self._beyond, self.size + self._beyond, dtype=torch.float64)
        return places - ((self.size - self.target) / 2).floor()

    def weights(self, positions: Tensor, kernel: str) -> Tensor:
        """(size and beyond, side): what each pixel of the picture adds to each of the target.

        Args:
            positions: (side,), 0 to side − 1.
            kernel: `bilinear` or `bicubic`, which is widened where the picture shrinks.
        """
        shown = self._shown()[:, None]  # (rows, 1)
        scale = self.part / self.target
        stretch = scale.clamp(min=1.0)
        reach = _RADIUS[kernel] * stretch
        center = scale * (shown + 0.5)
        at = (positions - self.start)[None, :]  # (1, side)
        first = (center - reach + 0.5).floor().clamp(min=0.0)
        last = torch.minimum((center + reach + 0.5).floor(), self.part)
        is_used = (at >= first) & (at < last) & (shown >= 0.0) & (shown < self.target)
        value = _KERNELS[kernel]((at - center + 0.5) * (1.0 / stretch))
        value = torch.where(is_used, value, 0.0)
        total = value.sum(dim=1, keepdim=True)
        return value / torch.where(total == 0.0, 1.0, total)

    def nearest(self, positions: Tensor) -> _Places:
        """The pixel in whose middle each of the target's lies, as torch's `nearest-exact`.

        Args:
            positions: (side,), 0 to side − 1.
        """
        shown = self._shown()[self.kept]
        scale = (self.part.float() / self.target.float()).double()  # torch has it in float32
        at = ((shown + 0.5) * scale).float().floor().double()
        at = torch.minimum(at, self.part - 1.0).clamp(min=0.0) + self.start
        at = torch.minimum(at, _length(positions) - 1.0)
        return _Places(at.long(), (shown >= 0.0) & (shown < self.target))


def _count_along(pictures: Tensor, dimension: int) -> Tensor:
    """0 to side − 1, float64: how a graph learns how long a side is."""
    return torch.arange(pictures.shape[dimension], dtype=torch.float64)


def _length(positions: Tensor) -> Tensor:
    """(1,), how many there are."""
    return positions[-1:] + 1.0


def _triangle(x: Tensor) -> Tensor:
    return (1.0 - x.abs()).clamp(min=0.0)


def _keys(x: Tensor) -> Tensor:
    """Keys's cubic convolution: Cubic convolution interpolation, IEEE TASSP 29 (1981)."""
    x = x.abs()
    near = ((_CUBIC + 2.0) * x - (_CUBIC + 3.0)) * x * x + 1.0
    far = (((x - 5.0) * x + 8.0) * x - 4.0) * _CUBIC
    return torch.where(x < 1.0, near, torch.where(x < 2.0, far, 0.0))


_KERNELS = {"bilinear": _triangle, "bicubic": _keys}


def _rounded(sums: Tensor, unit: Tensor) -> Tensor:
    """What 8 bits hold of sums of pixels times whole weights."""
    return ((sums + unit / 2.0) / unit).floor().clamp(0.0, 255.0)
