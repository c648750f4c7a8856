"""What exported files say of themselves, and those that say nothing or lie."""

import json
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from tests.exports import document
from zoo import modelfile
from zoo.description import Description, describe
from zoo.errors import ModelFileError, UsageError
from zoo.exported import (
    EXPORT_KEY,
    Calibration,
    Exported,
    Parity,
    container_of,
    read_exported,
)

GRAPH = b"\x3a\x02\x0a\x00"  # field 7, two bytes


def varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def metadata(text: str, key: str = "zoo") -> bytes:
    return field(14, field(1, key.encode()) + field(2, text.encode()))


def described() -> Description:
    return describe("lenet5").model_copy(update={"classes": tuple("abcdefghij")})


def onnx_file(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"".join((b"\x08\x0a", *parts)))
    return path


def archive(path: Path, members: dict[str, str], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", **options) as made:
        for name, text in members.items():
            made.writestr(name, text)
    return path


def tensors(path: Path, text: str) -> Path:
    save_file({}, path, {EXPORT_KEY: text})
    return path


CONTAINERS: dict[str, Callable[[Path, str], Path]] = {
    "onnx": lambda path, text: onnx_file(path, GRAPH, metadata("[]", "classes"), metadata(text)),
    "onnx-int8": lambda path, text: onnx_file(path, metadata(text), GRAPH),
    "pt2": lambda path, text: archive(path, {"m/archive_format": "pt2", "m/extra/zoo.json": text}),
    "safetensors": tensors,
}


@pytest.mark.parametrize("kind", sorted(CONTAINERS))
@pytest.mark.parametrize("suffix", ["", ".bin"])
def test_the_document_comes_back_whatever_the_file_is_called(
    kind: Any, suffix: str, tmp_path: Path
) -> None:
    whole = Exported(
        kind=kind,
        description=described(),
        takes="pictures",
        gives="probabilities",
        parity=Parity(max_abs_diff=1e-6, top1_agreement=1.0, batches=(1, 5), images=6, recipe="d"),
        calibration=Calibration(recipe="digits", images=512) if kind == "onnx-int8" else None,
    )
    path = CONTAINERS[kind](tmp_path / f"m{suffix}", whole.to_json())
    assert container_of(path) == whole.container
    assert read_exported(path) == whole
    source = modelfile.resolve(str(path), exported=True)
    assert source.exported == whole
    assert source.description == described()


def test_the_documents_text_is_a_function_of_its_content() -> None:
    text = document(described(), "onnx")
    assert text == document(described(), "onnx")
    assert json.loads(text)["kind"] == "onnx"


@pytest.mark.parametrize("kind", sorted(CONTAINERS))
def test_where_layers_are_needed_an_exported_file_is_no_use(kind: Any, tmp_path: Path) -> None:
    path = CONTAINERS[kind](tmp_path / "m", document(described(), kind))
    for reading in (modelfile.resolve, modelfile.load):
        with pytest.raises(UsageError, match=r"exported for other programs|its network is fixed"):
            reading(str(path))


def test_model_files_and_others_are_no_exported_files(trained: Path, tmp_path: Path) -> None:
    assert container_of(trained / "best.safetensors") is None
    archive(tmp_path / "state.pth", {"state/data.pkl": "x"})
    assert container_of(tmp_path / "state.pth") is None
    (tmp_path / "text").write_bytes(b"\x08 is no key of a message")
    assert container_of(tmp_path / "text") is None
    (tmp_path / "empty").touch()
    assert container_of(tmp_path / "empty") is None


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("onnx", lambda path: onnx_file(path, GRAPH)),
        ("onnx", lambda path: onnx_file(path, GRAPH, metadata("{}", "zoo2"))),
        ("pt2", lambda path: archive(path, {"m/archive_format": "pt2"})),
    ],
)
def test_a_file_of_another_program(kind: str, make: Callable[[Path], Path], tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="was not exported by zoo") as error:
        read_exported(make(tmp_path / f"m.{kind}"))
    assert "zoo export" in error.value.hint


@pytest.mark.parametrize("text", ["", "[]", "nonsense", '{"format": 2}', "{}", "[" * 100_000])
@pytest.mark.parametrize("kind", ["onnx", "pt2", "safetensors"])
def test_a_document_that_is_none(kind: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"corrupt|format|no exported file"):
        read_exported(CONTAINERS[kind](tmp_path / f"m.{kind}", text))


def test_a_document_of_another_kind_or_without_its_network(tmp_path: Path) -> None:
    path = CONTAINERS["onnx"](tmp_path / "m.onnx", document(described(), "pt2"))
    with pytest.raises(ModelFileError, match="is no pt2 file, as its document says"):
        read_exported(path)
    unknown = json.loads(document(described(), "onnx"))
    unknown["description"]["architecture"] = "lenet6"
    path = CONTAINERS["onnx"](tmp_path / "m.onnx", json.dumps(unknown))
    with pytest.raises(ModelFileError, match="holds a lenet6, which this zoo"):
        read_exported(path)


@pytest.mark.parametrize("cut", [1, 3, 7, 100, 1000])
def test_a_truncated_onnx_file(cut: int, exports: dict[str, Path], tmp_path: Path) -> None:
    content = exports["onnx"].read_bytes()
    (tmp_path / "m.onnx").write_bytes(content[:-cut])
    with pytest.raises(ModelFileError, match="no ONNX file, or a truncated one"):
        read_exported(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    "parts",
    [
        (b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",),  # a graph of 2**63 bytes
        (b"\x3a" + b"\xff" * 11,),  # a length that never ends
        (GRAPH, b"\x0b"),  # a group, which ONNX has none of
        (GRAPH, b"\x00\x00"),  # field 0
        (GRAPH, field(14, field(1, b"zoo") + b"\x12\x7fshort")),
    ],
)
def test_lengths_that_lie(parts: tuple[bytes, ...], tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no ONNX file, or a truncated one"):
        read_exported(onnx_file(tmp_path / "m.onnx", *parts))


def test_two_documents_are_refused(tmp_path: Path) -> None:
    text = document(described(), "onnx")
    path = onnx_file(tmp_path / "m.onnx", GRAPH, metadata(text), metadata(text))
    with pytest.raises(ModelFileError, match="holds 2 documents"):
        read_exported(path)
    path = archive(tmp_path / "m.pt2", {"a/extra/zoo.json": text, "b/extra/zoo.json": text})
    with pytest.raises(ModelFileError, match="writes no such archive"):
        read_exported(path)


def test_endless_fields_end(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "m.onnx", GRAPH, b"\x28\x00" * 10_000_000)
    start = time.process_time()
    with pytest.raises(ModelFileError, match="no ONNX file"):
        read_exported(path)
    assert time.process_time() - start < 5


def test_a_document_is_not_unpacked(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "m.pt2",
        {"m/extra/zoo.json": " " * 50_000_000},
        compression=zipfile.ZIP_DEFLATED,
    )
    with pytest.raises(ModelFileError, match="writes no such archive"):
        read_exported(path)


def test_a_document_larger_than_any(tmp_path: Path) -> None:
    large = " " * (17 << 20)
    with pytest.raises(ModelFileError, match="too large"):
        read_exported(archive(tmp_path / "m.pt2", {"m/extra/zoo.json": large}))
    path = onnx_file(tmp_path / "m.onnx", GRAPH, metadata(large))
    with pytest.raises(ModelFileError, match="was not exported by zoo"):
        read_exported(path)


def test_a_safetensors_header_that_starts_as_onnx_does(tmp_path: Path) -> None:
    text = document(described(), "safetensors")
    for padding in range(0, 300, 8):
        header = json.dumps({"__metadata__": {EXPORT_KEY: text}}).encode() + b" " * padding
        content = struct.pack("<Q", len(header)) + header
        if content[:1] == b"\x08":
            break
    else:
        header += b" " * ((8 - len(header)) % 256)
        content = struct.pack("<Q", len(header)) + header
    assert content[:1] == b"\x08"
    (tmp_path / "m").write_bytes(content)
    assert container_of(tmp_path / "m") == "safetensors"
