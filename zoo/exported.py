"""What an exported file says of itself: read without torch, onnx or any runtime.

An exported file holds one JSON document: in an ONNX file it is the `metadata_props` entry `zoo`, in
a torch.export archive the member `extra/zoo.json`, in plain safetensors the metadata `zoo-export`.
Files come from strangers: lengths are held against the file's own before anything is read.
"""

import errno
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zoo import __version__, tensorfile
from zoo.description import Description, from_document, problem_of
from zoo.errors import ModelFileError
from zoo.files import disk_errors

Kind = Literal["onnx", "onnx-int8", "pt2", "safetensors"]
Gives = Literal["logits", "probabilities", "features"]
Container = Literal["onnx", "pt2", "safetensors"]

FORMAT_VERSION = 1
DOCUMENT_KEY = "zoo"
"""Of the `metadata_props` entry in an ONNX file."""
PT2_MEMBER = "zoo.json"
"""Of torch.export's extra files."""
EXPORT_KEY = tensorfile.EXPORT_KEY
"""Of the metadata of plain safetensors."""

_MAX_DOCUMENT_BYTES = 16 << 20
_MAX_FIELDS = 100_000
_MAX_MEMBERS = 100_000
_GRAPH, _METADATA = 7, 14
"""Field numbers of onnx.proto's ModelProto."""
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, KeyError,
    TypeError, AttributeError, IndexError,
)  # fmt: skip


class Parity(BaseModel):
    """How near the exported file's outputs came to the network's, in its real runtime."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    max_abs_diff: float
    """Of the logits, or of the probabilities where the file gives these."""
    top1_agreement: float | None = Field(ge=0, le=1)
    """Share of pictures with the same likeliest class; None where it tells none apart."""
    batches: tuple[int, ...]
    """Sizes that were tried."""
    images: int = Field(ge=1)
    """Pictures that were compared."""
    recipe: str | None = None
    """Whose pictures they were; None where they were random."""


class Calibration(BaseModel):
    """The pictures that decided the ranges of a quantized file's numbers."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    recipe: str
    images: int = Field(ge=1)


class Exported(BaseModel):
    """Everything that an exported file says besides its graph and tensors."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: int = FORMAT_VERSION
    kind: Kind
    description: Description
    """The model file's own."""
    takes: Literal["normalized", "pictures"] = "normalized"
    """(N, C, H, W) float32, fitted and normalized; or (N, h, w, C) uint8, as decoded."""
    gives: Gives = "logits"
    """Features where its top was taken off."""
    parity: Parity | None = None
    """None where it was not checked."""
    calibration: Calibration | None = None

    @property
    def container(self) -> Container:
        """What holds it."""
        return "onnx" if self.kind == "onnx-int8" else self.kind

    def to_json(self) -> str:
        """The document; equal ones are equal texts."""
        document = self.model_dump(mode="json")
        return json.dumps(document, sort_keys=True, separators=(",", ":"))


def container_of(path: Path) -> Container | None:
    """What kind of exported file this is, or claims to be by its name; None where it is none.

    Raises:
        DiskError: it can't be read.
    """
    suffix = path.suffix.lower()
    with disk_errors("read", path), path.open("rb") as file:
        prefix = file.read(9)
        if prefix[8:9] == b"{" and _is_header_length(prefix, path.stat().st_size):
            return "safetensors" if _exported_tensors(path) is not None else None
        if suffix == ".onnx":
            return "onnx"
        if suffix == ".pt2":
            return "pt2"
        if prefix.startswith(b"PK\x03\x04"):
            return "pt2" if _is_archive(path) else None
        if prefix.startswith(b"\x08"):  # ir_version, which exporters write first
            try:
                file.seek(0)
                found = {field.number for field in _fields(file, path.stat().st_size)}
            except ModelFileError:
                return None
            return "onnx" if _GRAPH in found else None
    return None


def read_exported(path: Path) -> Exported:
    """What an exported file says of itself.

    Raises:
        ModelFileError: zoo did not write it, or it is truncated or corrupt.
        DiskError: it can't be read.
    """
    container = container_of(path)
    text: str | bytes | None = None
    with disk_errors("read", path):
        if container == "onnx":
            text = _of_onnx(path)
        elif container == "pt2":
            text = _of_archive(path)
        elif container == "safetensors":
            text = _exported_tensors(path)
    if text is None:
        raise ModelFileError(
            f"{path} was not exported by zoo: it does not say which classes it tells apart and how "
            "pictures are prepared for it.",
            hint="zoo export MODEL -o FILE writes one that does.",
        )
    exported = _parsed(text, path)
    if exported.container != container:
        raise ModelFileError(f"{path} is no {exported.kind} file, as its document says.")
    return exported


def _parsed(text: str | bytes, path: Path) -> Exported:
    try:
        document = json.loads(text)
        version = document.get("format")
        if version != FORMAT_VERSION:
            raise ModelFileError(
                f"{path} is an export of format {version}; this zoo {__version__} reads format "
                f"{FORMAT_VERSION}."
            )
        description = from_document(document.get("description"), path)
        return Exported.model_validate({**document, "description": description})
    except ValidationError as error:
        raise ModelFileError(f"{path} is no exported file: {problem_of(error)}.") from error
    except (ValueError, AttributeError, RecursionError) as error:
        raise ModelFileError(f"{path} is corrupt: its document is no JSON object.") from error


def _is_header_length(prefix: bytes, size: int) -> bool:
    return int.from_bytes(prefix[:8], "little") <= size - 8


def _exported_tensors(path: Path) -> str | None:
    try:
        return tensorfile.read_header(path).exported
    except ModelFileError:
        return None


@dataclass(frozen=True)
class _Field:
    """One field at the top of a protobuf message."""

    number: int
    length: int
    """Of its value in bytes, where the file now stands; 0 where it has been read."""


def _of_onnx(path: Path) -> bytes | None:
    """The document of an ONNX file, over whose graph is skipped.

    Raises:
        ModelFileError: it is truncated, or no ONNX file.
    """
    found: list[bytes] = []
    has_graph = False
    with path.open("rb") as file:
        for field in _fields(file, path.stat().st_size):
            has_graph = has_graph or field.number == _GRAPH
            if field.number == _METADATA and field.length <= _MAX_DOCUMENT_BYTES:
                key, value = _entry(file, field.length)
                if key == DOCUMENT_KEY.encode():
                    found.append(value)
        if not has_graph:
            raise _broken_onnx(file)
    if len(found) > 1:
        raise ModelFileError(f"{path} is refused: it holds {len(found)} documents of zoo.")
    return found[0] if found else None


def _entry(file: BinaryIO, length: int) -> tuple[bytes, bytes]:
    """Key and value of a StringStringEntryProto."""
    parts = {1: b"", 2: b""}
    for field in _fields(file, file.tell() + length):
        parts[field.number] = file.read(field.length)
    return parts[1], parts[2]


def _fields(file: BinaryIO, end: int) -> Iterator[_Field]:
    """The fields of a protobuf message from here to `end`; the file stands at each one's value.

    What the caller does not read is skipped.

    Raises:
        ModelFileError: the bytes are no message, or break off.
    """
    for _ in range(_MAX_FIELDS):
        if file.tell() == end:
            return
        key = _varint(file)
        number, kind = key >> 3, key & 7
        if number == 0 or kind not in (0, 1, 2, 5):
            raise _broken_onnx(file)
        length = {1: 8, 5: 4}.get(kind, 0)
        if kind == 0:
            _varint(file)
        elif kind == 2:
            length = _varint(file)
        after = file.tell() + length
        if after > end:
            raise _broken_onnx(file)
        yield _Field(number, length)
        file.seek(after)
    raise _broken_onnx(file)


def _varint(file: BinaryIO) -> int:
    value = 0
    for index in range(10):
        byte = file.read(1)
        if not byte:
            break
        value |= (byte[0] & 0x7F) << 7 * index
        if byte[0] < 0x80:
            return value
    raise _broken_onnx(file)


def _broken_onnx(file: BinaryIO) -> ModelFileError:
    return ModelFileError(
        f"{file.name} is no ONNX file, or a truncated one.", hint="Copy or download it again."
    )


@contextmanager
def damage_of_archives(path: Path) -> Iterator[None]:
    """Inside, whatever a damaged zip does to its reader is a ModelFileError."""
    damaged = ModelFileError(
        f"{path} is no torch.export archive that this zoo reads, or a truncated one.",
        hint="Copy or download it again.",
    )
    try:
        yield
    except _DAMAGE as error:
        raise damaged from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place before the file's start
            raise
        raise damaged from error


def _is_archive(path: Path) -> bool:
    """Whether a zip is torch.export's, and not torch.save's."""
    try:
        with damage_of_archives(path), zipfile.ZipFile(path) as archive:
            return any(name.endswith("/archive_format") for name in archive.namelist())
    except ModelFileError:
        return False


def _of_archive(path: Path) -> bytes | None:
    """The document of a torch.export archive.

    Raises:
        ModelFileError: it is truncated, or no such archive.
    """
    with damage_of_archives(path), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > _MAX_MEMBERS:
            raise ModelFileError(f"{path} is refused: it has {len(members):,} members.")
        found = [one for one in members if _inside(one.filename) == f"extra/{PT2_MEMBER}"]
        if not found:
            return None
        if len(found) > 1 or found[0].compress_type != zipfile.ZIP_STORED:
            raise ModelFileError(f"{path} is refused: torch.export writes no such archive.")
        if found[0].file_size > _MAX_DOCUMENT_BYTES:
            raise ModelFileError(f"{path} is refused: its document is too large.")
        return archive.read(found[0])


def _inside(name: str) -> str:
    """A member's path below the archive's one folder."""
    return name.partition("/")[2]
