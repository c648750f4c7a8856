"""What is frozen in a network: parameters without gradients, and batch norms that stay as they are.

A frozen batch norm uses its stored statistics while the network trains, as Keras's
`trainable = False` has it, and so leaves them alone.
"""

import hashlib
from collections.abc import Mapping
from types import MethodType

import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.layers import own_tensors

_NAMED = 3


def hold(module: nn.Module) -> None:
    """Keeps a batch norm in evaluation mode, whatever `train()` says; others stay as they are."""
    if has_statistics(module):
        # A bound method, so that a deep copy of the network holds its own batch norms.
        vars(module)["train"] = MethodType(_train_what_is_inside, module)
        module.training = False


def release(module: nn.Module) -> None:
    """Lets a held batch norm learn again, from the next `train()` on."""
    vars(module).pop("train", None)


def is_held(module: nn.Module) -> bool:
    """Whether it is a batch norm that stays in evaluation mode."""
    return "train" in vars(module)


def has_statistics(module: nn.Module) -> bool:
    """Whether it keeps running statistics of its own, as batch norms do."""
    return any(not isinstance(tensor, nn.Parameter) for tensor in own_tensors(module))


def tensors(network: nn.Module) -> dict[str, Tensor]:
    """Every tensor that training must leave alone, by its name in the state dict."""
    found: dict[str, Tensor] = {
        name: parameter
        for name, parameter in network.named_parameters()
        if not parameter.requires_grad
    }
    for path, module in network.named_modules():
        if is_held(module):
            prefix = f"{path}." if path else ""
            found |= {prefix + name: b for name, b in module.named_buffers(recurse=False)}
    return found


def digests(network: nn.Module) -> dict[str, str]:
    """The SHA-256 of every frozen tensor, in whatever layout it lies, by its name."""
    kept = network.state_dict().keys()
    return {name: _digest(tensor) for name, tensor in tensors(network).items() if name in kept}


def check_unchanged(state: Mapping[str, Tensor], before: Mapping[str, str]) -> None:
    """Holds the frozen tensors of a network after training against their digests from before.

    Args:
        state: the network's state dict.
        before: of `digests`.

    Raises:
        ZooError: one differs, which no training of ours may cause.
    """
    changed = [name for name, digest in before.items() if _digest(state[name]) != digest]
    if changed:
        more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
        raise ZooError(
            f"Frozen tensors changed while training: {', '.join(changed[:_NAMED])}{more}.",
            hint="This is a bug of zoo, please report it. The run's weights are not what was "
            "asked for.",
        )


def _train_what_is_inside(self: nn.Module, mode: bool = True) -> nn.Module:
    nn.Module.train(self, mode)
    self.training = False
    return self


def _digest(tensor: Tensor) -> str:
    values = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return hashlib.sha256(values.numpy().data).hexdigest()
