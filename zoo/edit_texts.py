"""The edits of a model file in words.

From the plain data: the edits' own classes would import torch.
"""

from collections.abc import Iterable
from typing import Any

from zoo.wording import percent, plural


def sentences(edits: Iterable[dict[str, Any]]) -> list[str]:
    """A line for each edit of a model file."""
    return [_sentence(edit) for edit in edits]


def _sentence(edit: dict[str, Any]) -> str:
    match edit["edit"]:
        case "set":
            return f"set {edit['layer']}.{edit['field']} = {edit['value']}"
        case "no-top":
            return "no-top: all after the last convolution or pooling is taken off"
        case "pop":
            return f"pop: the last {plural(edit['layers'], 'layer')} taken off"
        case "head":
            classes, replaced = edit["num_classes"], ", ".join(edit.get("layers", ()))
            place = f"in place of {replaced}" if replaced else "put on"
            return f"head: a new one for {plural(classes, 'class', 'classes')} {place}"
        case "remove":
            return _remove_text(edit)
        case "freeze":
            return _freeze_text(edit)
        case "channels":
            layers = edit["layers"]
            return f"channels: {plural(len(layers), 'layer')} made smaller, {_sizes(layers)}"
        case "sparsity":
            tensors = plural(len(edit["tensors"]), "tensor")
            share = percent(edit.get("share") or edit["ratio"])
            return f"sparsity: {share} of the weights of {tensors} are zero"
    return ", ".join(f"{key} {value}" for key, value in edit.items())


def _sizes(layers: dict[str, dict[str, Any]]) -> str:
    """The first few layers with their channels."""
    shown = [
        f"{name} {size.get('out_channels', size.get('out_features'))}"
        for name, size in layers.items()
        if "out_channels" in size or "out_features" in size
    ]
    return ", ".join(shown[:3]) + (" ..." if len(shown) > 3 else "")


def _remove_text(edit: dict[str, Any]) -> str:
    activations = edit.get("activations")
    if activations is None:  # as older versions wrote it
        return f"remove {edit['layer']} alone: what follows, an activation too, reads what it read"
    those = "activation" if len(activations) == 1 else "activations"
    along = f" with its {those} {', '.join(activations)}" if activations else ""
    return f"remove {edit['layer']}{along}: what follows reads what it has read"


def _freeze_text(edit: dict[str, Any]) -> str:
    names = list(edit["layers"])
    shown = ", ".join(names if len(names) <= 8 else [*names[:4], "...", *names[-3:]])
    verb = "freeze" if edit["frozen"] else "unfreeze"
    return f"{verb} {plural(len(names), 'layer')}: {shown}"
