"""A network as it leaves the zoo: without what only training needs, with what its file promises."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from zoo import modelfile
from zoo.description import Description
from zoo.export.preprocessing import Fit, Normalize
from zoo.exported import Gives
from zoo.heads import split_outputs


class Exportable(nn.Module):
    """A network between its preprocessing and its softmax, where these are asked for.

    Args:
        network: in evaluation mode.
        description: of it.
        takes_pictures: (N, h, w, C), uint8, instead of (N, C, H, W), normalized.
        gives_probabilities: instead of logits.
    """

    def __init__(
        self,
        network: nn.Module,
        description: Description,
        *,
        takes_pictures: bool = False,
        gives_probabilities: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.input_shape = description.input_shape
        self.is_headless = description.is_headless
        prepared = description.preprocessing
        self.prepare = nn.Sequential(Fit(prepared), Normalize(prepared)) if takes_pictures else None
        self.gives_probabilities = gives_probabilities
        self.eval()

    @property
    def input_name(self) -> str:
        """What a graph calls its input."""
        return "images" if self.prepare is None else "pictures"

    @property
    def gives(self) -> Gives:
        """What its outputs are."""
        if self.is_headless:
            return "features"
        return "probabilities" if self.gives_probabilities else "logits"

    def forward(self, images: Tensor) -> Tensor:
        """Of what the file takes: logits, (N, num_classes), their softmax, or features."""
        return self.answer(images if self.prepare is None else self.prepare(images))

    def answer(self, images: Tensor) -> Tensor:
        """The same of normalized pictures, (N, C, H, W)."""
        outputs, _ = split_outputs(self.network(images))
        return outputs.softmax(dim=1) if self.gives_probabilities else outputs


def drop_auxiliary(network: nn.Module, description: Description) -> None:
    """Takes out, in place, what has parameters but never runs in evaluation: auxiliary heads."""
    for path in _idle(modelfile.outline(description).eval(), description.input_shape):
        parent, _, name = path.rpartition(".")
        setattr(network.get_submodule(parent), name, nn.Identity())


def _idle(outline: nn.Module, input_shape: Sequence[int]) -> list[str]:
    """The outermost modules that are not called and none of whose parameters is used."""
    called: set[nn.Module] = set()
    hooks = [
        module.register_forward_pre_hook(lambda module, _inputs: called.add(module))
        for module in outline.modules()
    ]
    with torch.no_grad(), _Used() as used:
        outline(torch.zeros(2, *input_shape, device="meta"))
    for hook in hooks:
        hook.remove()
    found: list[str] = []
    for path, module in outline.named_modules():
        parameters = {id(parameter) for parameter in module.parameters()}
        works = module in called or not parameters or parameters & used.parameters
        if not works and not any(path.startswith(f"{outer}.") for outer in found):
            found.append(path)
    return found


class _Used(TorchFunctionMode):
    """Which parameters any function of torch is given."""

    def __init__(self) -> None:
        super().__init__()
        self.parameters: set[int] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        values = pytree.tree_leaves((args, kwargs))
        self.parameters.update(id(value) for value in values if isinstance(value, nn.Parameter))
        return func(*args, **(kwargs or {}))
