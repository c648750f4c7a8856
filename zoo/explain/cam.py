"""Which places of a picture speak for a class: Grad-CAM.

Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization": each map of the last convolutional stage is weighted with the mean gradient of the
class's logit, and what is positive of their sum is shown.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor, nn

from zoo import modelfile
from zoo.data.fit import fit, normalize
from zoo.data.pictures import on_one_line
from zoo.errors import StructureError, UsageError, did_you_mean
from zoo.explain.grid import read_picture
from zoo.explain.maps import makes_maps
from zoo.layers import modes_kept
from zoo.modelfile import Source
from zoo.wording import shortened

_NAMED, _NAME_LETTERS = 12, 40  # of the classes, where one is asked for that there is not


@dataclass(frozen=True)
class Activation:
    """Class-activation maps of some pictures."""

    layer: str
    """The stage that they are of."""
    maps: Tensor
    """(N, h, w), at least 0, in the stage's own resolution and unit: logits."""
    targets: Tensor
    """(N,), the class that each map speaks for."""
    logits: Tensor
    """(N, num_classes)."""


@dataclass(frozen=True)
class Look:
    """Which places of one picture speak for one class."""

    label: str
    index: int
    """Of the label among the classes."""
    probability: float
    """Of the label."""
    layer: str
    image: Tensor
    """The picture as the network sees it, (C, H, W), uint8."""
    map: Tensor
    """(h, w), at least 0, in the layer's own resolution."""
    shares: Tensor
    """(H, W), the same in the picture's size, in [0, 1]."""


def look(source: Source, picture: Path, label: str | None = None) -> Look:
    """Which places of a picture speak for a class.

    Args:
        source: MODEL; where it names no classes, the indices of its outputs are their names.
        picture: a file.
        label: the class; None is the likeliest.

    Raises:
        DataError: the picture can't be read.
        UsageError: MODEL has no class of that name, or no head.
        StructureError: the network has no last convolutional stage.
    """
    modelfile.check_has_head(source)
    description = source.description
    labels = description.labels
    if label is not None and label not in labels:
        some = ", ".join(shortened(on_one_line(name), _NAME_LETTERS) for name in labels[:_NAMED])
        more = f" and {len(labels) - _NAMED:,} more" if len(labels) > _NAMED else ""
        raise UsageError(
            f"{source.name} has no class {label!r}. {did_you_mean(label, labels)}".rstrip(),
            hint=f"Its classes: {some}{more}.",
        )
    image = fit(read_picture(picture)[None], description.preprocessing)  # (1, C, H, W)
    network = modelfile.instantiate(source)
    target = None if label is None else torch.tensor([labels.index(label)])
    found = grad_cam(network, normalize(image, description.preprocessing), target)
    chosen = int(found.targets[0])
    return Look(
        label=labels[chosen],
        index=chosen,
        probability=float(found.logits[0].softmax(dim=0)[chosen]),
        layer=found.layer,
        image=image[0],
        map=found.maps[0],
        shares=enlarged(found.maps, (image.shape[2], image.shape[3]))[0],
    )


def grad_cam(network: nn.Module, images: Tensor, targets: Tensor | None = None) -> Activation:
    """Class-activation maps of the last layer whose maps have more than one place.

    Args:
        network: in evaluation mode it gives logits, (N, num_classes); modes and gradients are
            left as they were.
        images: (N, C, H, W), normalized, on the network's device.
        targets: (N,), class indices; None takes each picture's likeliest.

    Raises:
        StructureError: the network has no such layer, or attention mixes places after it.
    """
    names = {module: name for name, module in network.named_modules()}
    last: tuple[str, Tensor] | None = None
    mixing: str = ""

    def keep(module: nn.Module, _: Any, output: Any) -> None:
        nonlocal last, mixing
        if isinstance(module, nn.MultiheadAttention) or type(module).__name__.endswith("Attention"):
            mixing = names[module]
        if not isinstance(output, Tensor) or output.ndim != 4 or max(output.shape[2:]) == 1:
            return
        # As in `maps.stages`: an activation or a normalization keeps the shape of the maps.
        if makes_maps(module) or (last is not None and output.shape == last[1].shape):
            last, mixing = (names[module], output), ""

    hooks = [module.register_forward_hook(keep) for module in network.modules() if names[module]]
    try:
        # Also where all layers are frozen the maps must depend on something.
        with modes_kept(network), torch.inference_mode(False), torch.enable_grad():
            logits = network.eval()(images.clone().requires_grad_())
            if last is None or mixing:
                reason = f"{mixing} mixes all places after it" if mixing else "it makes no maps"
                raise StructureError(f"The network has no last convolutional stage: {reason}.")
            layer, maps = last  # (N, K, h, w)
            targets = logits.argmax(dim=1) if targets is None else targets.clone()
            # Pictures don't touch one another, so the sum's gradient holds each one's own.
            score = logits.gather(1, targets[:, None]).sum()
            (gradients,) = torch.autograd.grad(score, maps)
    finally:
        for hook in hooks:
            hook.remove()
    weights = gradients.mean(dim=(2, 3), keepdim=True)  # (N, K, 1, 1)
    found = (weights * maps.detach()).sum(dim=1).relu()  # (N, h, w)
    return Activation(layer, found.float(), targets, logits.detach().float())


def enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps as shares of their largest value, in a picture's size.

    Args:
        maps: (N, h, w), at least 0.
        size: height and width.

    Returns:
        (N, H, W), in [0, 1]; all 0 where nothing speaks for the class.
    """
    largest = maps.amax(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)
    shares = (maps / largest)[:, None]  # (N, 1, h, w)
    return F.interpolate(shares, size, mode="bilinear", align_corners=False)[:, 0]
