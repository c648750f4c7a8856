"""ONNX files of strangers: what a runtime may be given, and what is refused before it sees a byte.

An ONNX file can name other files to read its numbers from, and operators that a library brings.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import ModelFileError, UsageError
from zoo.files import disk_errors

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from onnx import ModelProto, TensorProto

_STANDARD = ("", "ai.onnx")
_SOME = 5


@dataclass(frozen=True)
class Vetted:
    """An ONNX file that may be run."""

    content: bytes
    """What was looked at, so that nothing else is run."""
    directory: Path
    """Where its external data lie."""


def vet(path: Path) -> Vetted:
    """Reads an ONNX file and refuses one that reaches beyond itself.

    External data must lie in a regular file beside it, under a plain name.

    Raises:
        UsageError: onnx is not installed.
        ModelFileError: it is truncated or no ONNX file, its external data lie elsewhere or are too
            short, or an operator is none of ONNX's own.
        DiskError: it can't be read.
    """
    check_extra(path)
    import onnx

    content, model = _read(path)
    _check_operators(path, model)
    directory = Path(os.path.realpath(path)).parent
    for tensor in _tensors(model):
        if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
            _check_external(path, tensor, directory)
    return Vetted(content, directory)


def external_files(path: Path) -> dict[Path, int]:
    """The files beside an ONNX file that hold numbers of its own, and their sizes in bytes.

    Raises:
        UsageError: onnx is not installed.
        ModelFileError: it is truncated or no ONNX file.
        DiskError: it can't be read.
    """
    check_extra(path, ("onnx",))
    directory = Path(os.path.realpath(path)).parent
    _, model = _read(path)
    entries = (entry for tensor in _tensors(model) for entry in tensor.external_data)
    places = {entry.value for entry in entries if entry.key == "location"}
    found = {}
    for place in places:
        if os.path.basename(place) == place:  # what leads elsewhere is refused when it is opened
            with suppress(OSError, ValueError):
                status = os.lstat(directory / place)
                if stat.S_ISREG(status.st_mode):
                    found[directory / place] = status.st_size
    return found


def check_extra(what: object, modules: Sequence[str] = ("onnx", "onnxruntime")) -> None:
    """Refuses to go on without the extra.

    Args:
        what: needs it.
        modules: of the extra that are needed.

    Raises:
        UsageError: names those that are missing.
    """
    missing = []
    for module in modules:
        try:
            import_module(module)
        except ImportError:
            missing.append(module)
    if missing:
        raise UsageError(
            f"{what} needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} "
            "not installed.",
            hint="pip install 'cnn-zoo[export]'",
        )


def _read(path: Path) -> "tuple[bytes, ModelProto]":
    """The bytes of an ONNX file, and what they mean; external data stay unread."""
    import onnx
    from google.protobuf.message import DecodeError

    with disk_errors("read", path):
        content = path.read_bytes()
    try:
        return content, onnx.load_model_from_string(content)
    except DecodeError as error:
        raise ModelFileError(
            f"{path} is no ONNX file, or a truncated one.", hint="Copy or download it again."
        ) from error


def _check_operators(path: Path, model: "ModelProto") -> None:
    from onnx import NodeProto

    own = {(function.domain, function.name) for function in model.functions}
    foreign = {
        f"{node.domain}.{node.op_type}"
        for node in _messages(model, NodeProto)
        if node.domain not in _STANDARD and (node.domain, node.op_type) not in own
    }
    if foreign:
        names = sorted(foreign)
        rest = f" and {len(names) - _SOME} more" if len(names) > _SOME else ""
        raise ModelFileError(
            f"{path} is refused: {', '.join(names[:_SOME])}{rest} are no operators of ONNX."
            if len(names) > 1
            else f"{path} is refused: {names[0]} is no operator of ONNX."
        )


def _tensors(model: "ModelProto") -> "Iterator[TensorProto]":
    """Every tensor: of the graph, inside sparse ones, attributes, subgraphs and functions."""
    from onnx import TensorProto

    yield from _messages(model, TensorProto)


def _messages(message: "Message", kind: type) -> "Iterator[Message]":
    """Every message of a kind, however deep; protobuf itself bounds the depth."""
    waiting = [message]
    while waiting:
        one = waiting.pop()
        if isinstance(one, kind):
            yield one
        for field, value in one.ListFields():
            if field.message_type is not None:
                waiting += value if field.is_repeated else [value]


def _check_external(path: Path, tensor: "TensorProto", directory: Path) -> None:
    """Refuses a tensor whose numbers lie elsewhere than in a regular file beside the graph."""
    entries = [(entry.key, entry.value) for entry in tensor.external_data]
    stated = dict(entries)
    place = stated.get("location", "")
    problem = ""
    if len(stated) != len(entries) or not place:
        problem = "has no or several places of its numbers"
    elif place in (".", "..") or any(mark in place for mark in ("/", "\\", "\0", ":")):
        problem = f"reads {place!r}, which is no plain name of a file beside it"
    if problem:
        raise ModelFileError(f"{path} is refused: its tensor {tensor.name!r} {problem}.")
    try:
        found = os.lstat(directory / place)
    except OSError as error:
        raise ModelFileError(
            f"{path} lacks {place}, where its tensor {tensor.name!r} lies.",
            hint="The two files belong together: copy both.",
        ) from error
    if not stat.S_ISREG(found.st_mode):
        raise ModelFileError(
            f"{path} is refused: its tensor {tensor.name!r} reads {place!r}, which is a link or no "
            "regular file."
        )
    start, length = (stated.get(key, "0") for key in ("offset", "length"))
    is_whole = start.isdecimal() and length.isdecimal()
    if not is_whole or int(start) + int(length) > found.st_size:
        raise ModelFileError(
            f"{path}: {place} is truncated: {tensor.name!r} lies beyond its end.",
            hint="Copy or download it again.",
        )
