"""Layers, shapes, parameters and multiply-adds of a network.

Counts come from the tensors themselves, each shared one once: torchinfo, which gives shapes and
order, counts no buffers, counts tied weights twice and misses tensors that a container owns.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from zoo import layers
from zoo.layers import Layer, Sequence, Shape


@dataclass(frozen=True)
class LayerSummary:
    """One row: a layer, or with `depth` everything inside a container."""

    name: str
    type: str
    activation: str | None
    input_shape: Shape | None
    output_shape: Shape | None
    kernel_size: Shape | None
    stride: Shape | None
    padding: Shape | str | None
    params: int
    """Parameters and batch-norm statistics (Keras's count)."""
    torch_params: int
    """Parameters alone (PyTorch's count)."""
    trainable_params: int
    mult_adds: int

    @property
    def trainable(self) -> bool | None:
        """Whether anything in it learns; None where there is nothing to learn."""
        return self.trainable_params > 0 if self.torch_params else None


@dataclass(frozen=True)
class Summary:
    """A network's layers and totals."""

    model: str
    input_shape: Shape
    layers: tuple[LayerSummary, ...]
    total_params: int
    """Parameters and batch-norm statistics (Keras's count)."""
    trainable_params: int
    torch_params: int
    """Parameters alone (PyTorch's count)."""
    mult_adds: int
    """For one picture; a bias counts as one per output, as torchinfo has it."""
    size_bytes: int
    """All tensors, buffers included."""

    @property
    def non_trainable_params(self) -> int:
        """What is left of `total_params`: batch-norm statistics and frozen parameters."""
        return self.total_params - self.trainable_params


def summarize(
    network: nn.Module, input_shape: Shape, *, name: str = "", depth: int | None = None
) -> Summary:
    """Summarizes a network for pictures of one shape.

    Args:
        network: on any device; on meta nothing is allocated.
        input_shape: channels, height, width.
        name: what to call it.
        depth: at most this many levels of modules; deeper layers join their container's row.

    Raises:
        StructureError: a picture of that shape can't pass.
    """
    sequence = layers.ordered(network, input_shape)
    found = sequence.layers
    parameters = list(network.parameters())
    statistics = _unique(
        tensor
        for module in network.modules()
        for tensor in layers.own_tensors(module)
        if not isinstance(tensor, nn.Parameter)
    )
    tensors = [*parameters, *_unique(network.buffers())]
    return Summary(
        model=name,
        input_shape=tuple(input_shape),
        layers=tuple(_rows(sequence, network, depth)),
        total_params=_count([*parameters, *statistics]),
        trainable_params=_count([p for p in parameters if p.requires_grad]),
        torch_params=_count(parameters),
        mult_adds=sum(layer.mult_adds for layer in found),
        size_bytes=sum(tensor.numel() * tensor.element_size() for tensor in tensors),
    )


def _unique(tensors: Iterable[Tensor]) -> list[Tensor]:
    return list({id(tensor): tensor for tensor in tensors}.values())


def _count(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)


def _rows(sequence: Sequence, network: nn.Module, depth: int | None) -> list[LayerSummary]:
    if depth is None:
        return [_row(layer) for layer in sequence.layers]
    groups: dict[str, list[Layer]] = {}
    for layer in sequence.layers:
        # The top module's own tensors stay a row.
        path = ".".join(layer.path.split(".")[:depth]) or layer.name
        groups.setdefault(path, []).append(layer)
    return [
        _row(group[0])
        if len(group) == 1 and group[0].path in (path, "")
        else _group(path, group, network, sequence.output_shapes.get(path))
        for path, group in groups.items()
    ]


def _group(
    name: str, group: list[Layer], network: nn.Module, output_shape: Shape | None
) -> LayerSummary:
    rows = [_row(layer) for layer in group]
    ran = [row for row in rows if row.output_shape is not None]
    return LayerSummary(
        name=name,
        type=type(network.get_submodule(name)).__name__,
        activation=None,
        input_shape=ran[0].input_shape if ran else None,
        output_shape=output_shape,
        kernel_size=None,
        stride=None,
        padding=None,
        params=sum(row.params for row in rows),
        torch_params=sum(row.torch_params for row in rows),
        trainable_params=sum(row.trainable_params for row in rows),
        mult_adds=sum(row.mult_adds for row in rows),
    )


def _row(layer: Layer) -> LayerSummary:
    parameters = [tensor for tensor in layer.tensors if isinstance(tensor, nn.Parameter)]
    padding = getattr(layer.module, "padding", None)
    return LayerSummary(
        name=layer.name,
        type=layer.type,
        activation=layer.activation,
        input_shape=layer.input_shape,
        output_shape=layer.output_shape,
        kernel_size=_pair(getattr(layer.module, "kernel_size", None)),
        stride=_pair(getattr(layer.module, "stride", None)),
        padding=padding if isinstance(padding, str) else _pair(padding),
        params=_count(layer.tensors),
        torch_params=_count(parameters),
        trainable_params=_count([p for p in parameters if p.requires_grad]),
        mult_adds=layer.mult_adds,
    )


def _pair(value: int | tuple[int, ...] | None) -> Shape | None:
    if value is None:
        return None
    return (value, value) if isinstance(value, int) else tuple(value)
