"""A network's head, its last layer with parameters, and the heads of its auxiliary classifiers."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import UsageError
from zoo.layers import Shape, ordered


def find_head(network: nn.Module, input_shape: Shape) -> nn.Module:
    """The last layer that has parameters, frozen or not.

    Raises:
        UsageError: no layer has.
    """
    return from_the_head_on(network, input_shape)[0]


def from_the_head_on(network: nn.Module, input_shape: Shape) -> list[nn.Module]:
    """The modules of the head's layer and of those after it.

    Raises:
        UsageError: no layer has parameters.
    """
    modules = in_order(network, input_shape)
    for place in reversed(range(len(modules))):
        if any(True for _ in modules[place].parameters()):
            return modules[place:]
    raise UsageError("Nothing in this network can be trained.")


def auxiliary_heads(network: nn.Module, input_shape: Shape) -> list[nn.Module]:
    """The layers that make the logits of auxiliary classifiers; nothing is computed."""
    outline = copy.deepcopy(network).to("meta").train()
    made: list[tuple[object, str]] = []  # what is inside comes first
    for name, module in outline.named_modules():
        module.register_forward_hook(
            lambda _module, _inputs, output, name=name: made.append((output, name))
        )
    _, auxiliary = split_outputs(outline(torch.zeros(2, *input_shape, device="meta")))
    names = [[name for output, name in made if output is logits][:1] for logits in auxiliary]
    return [network.get_submodule(name) for found in names for name in found]


def split_outputs(outputs: Any) -> tuple[Tensor, list[Tensor]]:
    """The logits, (N, num_classes), and those of auxiliary classifiers.

    Args:
        outputs: logits; or a sequence with the logits first, such as torchvision's
            GoogLeNetOutputs; or a mapping with the logits as `logits` or `out`. What is no tensor
            is passed over: an auxiliary classifier that is off returns None.

    Raises:
        TypeError: there are no logits.
    """
    if isinstance(outputs, Tensor):
        return outputs, []
    if isinstance(outputs, Mapping):
        main = next((name for name in ("logits", "out") if name in outputs), None)
        candidates = [outputs.get(main), *(outputs[name] for name in outputs if name != main)]
    else:
        candidates = list(outputs) if isinstance(outputs, tuple | list) else []
    if not candidates or not isinstance(candidates[0], Tensor):
        raise TypeError(f"A network returned no logits but {type(outputs).__name__}.")
    logits, *others = candidates
    return logits, [other for other in others if isinstance(other, Tensor)]


def in_order(network: nn.Module, input_shape: Shape) -> list[nn.Module]:
    """The modules of the layers in the order they run; those that never do come first."""
    layers = ordered(network, input_shape).layers
    layers.sort(key=lambda layer: layer.output_shape is not None)
    return [layer.module for layer in layers if layer.module is not None]
