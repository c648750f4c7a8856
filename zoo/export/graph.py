"""A network as torch.export's graph, for a batch of any size; what torch says stays unsaid."""

import io
import logging
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from zoo.errors import UsageError, is_out_of_memory
from zoo.export.network import Exportable
from zoo.layers import type_name

AXES = {"images": {0: "batch"}, "pictures": {0: "batch", 1: "height", 2: "width"}}
"""By the input's name, the dimensions that may have any length."""
_SEVERAL = 2  # torch.export takes a length of 0 or 1 for a constant
_SIDES = (37, 41)


@contextmanager
def silence() -> Iterator[None]:
    """Keeps what libraries print, warn of and log to themselves."""
    before = logging.root.manager.disable
    with (
        warnings.catch_warnings(),
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(before)


def trace(exportable: Exportable, name: str, kind: str) -> ExportedProgram:
    """The graph of a network.

    Args:
        exportable: what is exported.
        name: what to call it.
        kind: the format, for the message.

    Raises:
        UsageError: torch.export can't follow it; says what, and in which layer.
    """
    axes = {axis: Dim(called, min=1) for axis, called in AXES[exportable.input_name].items()}
    inside: list[str] = []
    hooks = _follow(exportable.network, inside)
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # whose one operation no other runtime has
    try:
        with silence(), torch.no_grad():
            return torch.export.export(
                exportable, (_example(exportable),), dynamic_shapes=(axes,), strict=False
            )
    except Exception as error:  # whatever a network's own code makes of a stand-in for a tensor
        if is_out_of_memory(error):
            raise
        where = _place(exportable.network, inside)
        raise refusal(name, kind, f"{_first_line(error)}{_line_of(error)}", where) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        for hook in hooks:
            hook.remove()


def refusal(name: str, kind: str, reason: str, where: str) -> UsageError:
    """The error for a network that a format can't express."""
    place = f" In {where}." if where else ""
    return UsageError(
        f"{name} can't be exported as {kind}: {reason}.{place}",
        hint="--format safetensors writes any network's tensors.",
    )


def layer_of(program: ExportedProgram, operation: str) -> str:
    """In which layer of the network an operation is, such as `bessel_j0`; empty where unknown."""
    for node in program.graph.nodes:
        if node.op == "call_function" and operation in str(node.target):
            stack = list((node.meta.get("nn_module_stack") or {}).values())
            if stack:
                path, kind = stack[-1]
                return _named(path.removeprefix("network").lstrip("."), str(kind).split(".")[-1])
    return ""


def _example(exportable: Exportable) -> Tensor:
    channels, height, width = exportable.input_shape
    if exportable.prepare is not None:
        return torch.zeros(_SEVERAL, *_SIDES, channels, dtype=torch.uint8)
    return torch.zeros(_SEVERAL, channels, height, width)


def _follow(network: nn.Module, inside: list[str]) -> list[torch.utils.hooks.RemovableHandle]:
    """Hooks that keep in `inside` which modules are running, the innermost last."""
    hooks = []
    for path, module in network.named_modules():
        hooks += [
            module.register_forward_pre_hook(lambda _module, _inputs, at=path: inside.append(at)),
            module.register_forward_hook(lambda _module, _inputs, _outputs: _pop(inside)),
        ]
    return hooks


def _pop(inside: list[str]) -> None:
    if inside:
        inside.pop()


def _place(network: nn.Module, inside: list[str]) -> str:
    if not inside:
        return ""
    return _named(inside[-1], type_name(network.get_submodule(inside[-1])))


def _named(path: str, kind: str) -> str:
    return f"{path}, a {kind}" if path else f"the {kind} itself"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else type(error).__name__
    if "Constraints violated" in text and len(lines) > 1:
        text = "its forward pass fixes the size of a batch"
    return text.rstrip(".")


def _line_of(error: Exception) -> str:
    """Where in a network's own code tracing failed."""
    frames = [
        (frame.f_globals.get("__name__", ""), line)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = [at for at in frames if at[0].split(".")[0] not in ("torch", "zoo")]
    return f" (line {own[-1][1]} of {own[-1][0]})" if own else ""
