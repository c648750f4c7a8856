"""The optimizer of a recipe's `train`."""

from typing import Any

from torch import nn, optim
from torch.nn.modules.batchnorm import _NormBase

from zoo.schema import Train

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_FUSED_ON = {"cpu", "cuda", "mps"}


def make_optimizer(
    network: nn.Module, train: Train, head: nn.Module | None = None
) -> optim.Optimizer:
    """The recipe's optimizer over the trainable parameters.

    Weight decay spares norms and biases: what belongs to a norm layer, or has fewer than two
    dimensions. What lies below the head, if one is named, has groups of its own; each group's
    `factor` is what its learning rate is multiplied by.
    """
    of_head = {id(p) for p in (head or network).parameters()}
    of_norms = {
        id(p)
        for module in network.modules()
        if isinstance(module, _NORMS)
        for p in module.parameters(recurse=False)
    }
    parameters = [p for p in network.parameters() if p.requires_grad]
    decayed = {id(p) for p in parameters if p.ndim >= 2} - of_norms
    groups = [
        {"params": chosen, "weight_decay": decay, "factor": factor}
        for is_head, factor in ((True, 1.0), (False, train.backbone_lr_scale))
        for is_decayed, decay in ((True, train.weight_decay), (False, 0.0))
        if (
            chosen := [
                p
                for p in parameters
                if (id(p) in of_head) == is_head and (id(p) in decayed) == is_decayed
            ]
        )
    ]
    return _optimizer(groups, train, {p.device.type for p in parameters})


def _optimizer(groups: list[dict[str, Any]], train: Train, devices: set[str]) -> optim.Optimizer:
    # None leaves the choice to torch: foreach where the device has it.
    fused = True if devices <= _FUSED_ON else None
    if train.optimizer == "sgd":
        momentum = 0.9 if train.momentum is None else train.momentum
        nesterov = train.nesterov and momentum > 0
        return optim.SGD(groups, lr=train.lr, momentum=momentum, nesterov=nesterov, fused=fused)
    if train.optimizer == "rmsprop":
        foreach = True if devices == {"cuda"} else None
        return optim.RMSprop(groups, lr=train.lr, momentum=train.momentum or 0.0, foreach=foreach)
    kind = optim.Adam if train.optimizer == "adam" else optim.AdamW
    return kind(groups, lr=train.lr, fused=fused)
