"""A safetensors file that holds one JSON document and a digest over everything.

Reading the document and checking the digest needs no torch, so that `zoo show FILE` is quick.
Any other tool can read the tensors.
"""

import hashlib
import json
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from zoo.errors import ModelFileError
from zoo.files import atomic_path, disk_errors

if TYPE_CHECKING:
    from torch import Tensor

# With several keys safetensors writes them in random order; with one, equal models are equal bytes.
DOCUMENT_KEY = "zoo"
EXPORT_KEY = "zoo-export"
"""Of the document of plain tensors that were exported, which are no model file."""
MAX_HEADER_BYTES = 100_000_000
_BLOCK_BYTES = 1 << 20

# safetensors' names of the types that can stand in a model.
_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """Where and what a tensor is."""

    dtype: str
    """A name of torch's, such as `float32`."""
    shape: tuple[int, ...]
    start: int
    """First byte, counted from the start of the file."""
    stop: int


@dataclass(frozen=True)
class Header:
    """Everything in a safetensors file but the tensors' values."""

    document: dict[str, Any] | None
    """None where another program wrote the file."""
    entries: dict[str, Entry]
    exported: str | None = None
    """What stands under `zoo-export`."""


def read_header(path: Path) -> Header:
    """The header of a safetensors file, checked against the file's length.

    Raises:
        ModelFileError: it is no safetensors file, or a truncated one.
        DiskError: it can't be read.
    """
    with disk_errors("read", path), path.open("rb") as file:
        size = path.stat().st_size
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if not 2 <= length <= min(size - 8, MAX_HEADER_BYTES):
            raise _foreign(path, prefix)
        raw = file.read(length)
    try:
        header = json.loads(raw)
        metadata = header.pop("__metadata__", {})
        entries = {name: _entry(item, 8 + length) for name, item in header.items()}
        document = json.loads(metadata[DOCUMENT_KEY]) if DOCUMENT_KEY in metadata else None
        if document is not None and not isinstance(document, dict):
            raise TypeError("the document is no object")
        exported = metadata.get(EXPORT_KEY)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _foreign(path, prefix) from error
    end = max((entry.stop for entry in entries.values()), default=8 + length)
    if end != size:
        raise ModelFileError(
            f"{path} is {'truncated' if size < end else 'longer than its header says'}: "
            f"{size:,} bytes instead of {end:,}.",
            hint="Copy or download it again.",
        )
    return Header(document, entries, exported)


def verify(path: Path, header: Header) -> None:
    """Holds the file's digest: a bit flipped anywhere is caught.

    Raises:
        ModelFileError: the digest differs.
        DiskError: the file can't be read.
    """
    document = dict(header.document or {})
    stated = document.pop("digest", None)
    with disk_errors("read", path), path.open("rb") as file:
        found = _digest(document, header.entries, lambda name: _blocks(file, header.entries[name]))
    if stated != found:
        raise ModelFileError(
            f"{path} is corrupt: its content does not match its digest.",
            hint="Copy or download it again.",
        )


def read_tensors(path: Path) -> "dict[str, Tensor]":
    """Every tensor of a safetensors file, on the CPU.

    Raises:
        ModelFileError: safetensors refuses it.
        DiskError: it can't be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load, load_file

    try:
        with disk_errors("read", path):
            if str(path).isprintable():
                # Copied: what safetensors returns is the file itself, mapped into memory.
                return {name: tensor.clone() for name, tensor in load_file(path).items()}
            return load(path.read_bytes())  # load_file refuses a name that is not UTF-8
    except SafetensorError as error:
        raise ModelFileError(f"{path} is no safetensors file: {error}.") from error


def write(path: Path, document: Mapping[str, Any], tensors: "Mapping[str, Tensor]") -> None:
    """Writes document and tensors atomically; equal content gives equal bytes.

    Raises:
        DiskError: the disk is full, or there is no permission.
    """
    import torch

    plain = _plain(tensors)
    entries = {
        name: Entry(str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape), 0, 0)
        for name, tensor in plain.items()
    }
    digest = _digest(
        document,
        entries,
        lambda name: [plain[name].flatten().view(torch.uint8).numpy().data],
    )
    text = _canonical({**document, "digest": digest})
    with atomic_path(path) as temporary:
        _save(temporary, {DOCUMENT_KEY: text}, plain)


def write_plain(path: Path, metadata: Mapping[str, str], tensors: "Mapping[str, Tensor]") -> None:
    """Writes tensors and metadata, of one key, to a path that nobody else reads yet.

    Raises:
        OSError: the disk is full, or there is no permission.
    """
    _save(path, metadata, _plain(tensors))


def _plain(tensors: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    # safetensors refuses tensors that share memory, so tied ones are written twice.
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _save(path: Path, metadata: Mapping[str, str], plain: "Mapping[str, Tensor]") -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(dict(plain), path, dict(metadata))
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]) if number else 0, str(error)) from error


def size_of(document: Mapping[str, Any], tensors: "Mapping[str, Tensor]") -> int:
    """How many bytes `write` would write; the tensors may lie on meta."""
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    names = {of_torch: ours for ours, of_torch in _DTYPES.items()}
    text = _canonical({**document, "digest": f"sha256:{'0' * 64}"})
    header: dict[str, Any] = {"__metadata__": {DOCUMENT_KEY: text}}
    end = 0
    for name in order:
        tensor, start = tensors[name], end
        end += tensor.numel() * tensor.element_size()
        kind = str(tensor.dtype).removeprefix("torch.")
        header[name] = {
            "dtype": names.get(kind, kind),
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    length = len(json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode())
    return 8 + -(-length // 8) * 8 + end


def _entry(item: Mapping[str, Any], data_start: int) -> Entry:
    start, stop = item["data_offsets"]
    shape = tuple(item["shape"])
    if not all(isinstance(number, int) and number >= 0 for number in (start, stop, *shape)):
        raise ValueError("an offset or a side is no natural number")
    if stop < start:
        raise ValueError("a tensor ends before it starts")
    return Entry(
        _DTYPES.get(item["dtype"], item["dtype"]), shape, data_start + start, data_start + stop
    )


def is_pickle(prefix: bytes) -> bool:
    """Whether a file that starts so is what `torch.save` writes: a zip today, a pickle before.

    Args:
        prefix: its first nine bytes. A safetensors file may start with 0x80 too, the size of its
            header, but then a brace follows.
    """
    return prefix.startswith(b"PK\x03\x04") or (prefix.startswith(b"\x80") and prefix[8:9] != b"{")


def _foreign(path: Path, prefix: bytes) -> ModelFileError:
    if is_pickle(prefix):
        return ModelFileError(
            f"{path} is a pickle, which can run code when it is opened, so zoo does not.",
            hint=f"If it holds a state dict: zoo build ARCHITECTURE --weights {path} -o FILE",
        )
    return ModelFileError(f"{path} is no safetensors file, or a truncated one.")


def _canonical(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _digest(
    document: Mapping[str, Any],
    entries: Mapping[str, Entry],
    content: Callable[[str], Iterable[bytes | memoryview]],
) -> str:
    digest = hashlib.sha256(_canonical(document).encode())
    for name, entry in sorted(entries.items()):
        label = {"name": name, "dtype": entry.dtype, "shape": entry.shape}
        digest.update(_canonical(label).encode())
        for block in content(name):
            digest.update(block)
    return f"sha256:{digest.hexdigest()}"


def _blocks(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    file.seek(entry.start)
    left = entry.stop - entry.start
    while left > 0:
        block = file.read(min(left, _BLOCK_BYTES))
        if not block:
            return
        left -= len(block)
        yield block
