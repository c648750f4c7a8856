"""The file format: corrupt, truncated and foreign files are caught."""

import json
import random
import struct
from pathlib import Path

import pytest
import safetensors.torch
import torch

from zoo import tensorfile
from zoo.errors import ModelFileError, ZooError


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "a.safetensors"
    tensors = {
        "w": torch.arange(6.0).reshape(2, 3),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "count": torch.tensor(7),
        "empty": torch.zeros(0, 4),
    }
    tensorfile.write(path, {"format": 1, "b": [1, 2], "a": "é"}, tensors)
    return path


def check(path: Path) -> None:
    header = tensorfile.read_header(path)
    assert header.document is not None
    tensorfile.verify(path, header)
    tensorfile.read_tensors(path)


def test_what_is_written_is_read(written: Path) -> None:
    check(written)
    header = tensorfile.read_header(written)
    assert header.document is not None
    assert header.document.pop("digest").startswith("sha256:")
    assert header.document == {"format": 1, "b": [1, 2], "a": "é"}
    tensors = tensorfile.read_tensors(written)
    assert torch.equal(tensors["w"], torch.arange(6.0).reshape(2, 3))
    assert tensors["half"].dtype == torch.bfloat16
    assert tensors["count"].item() == 7


def test_any_other_tool_can_read_the_tensors(written: Path) -> None:
    assert set(safetensors.torch.load_file(written)) == {"w", "half", "count", "empty"}
    with safetensors.safe_open(written, "pt") as file:
        assert list(file.metadata()) == ["zoo"]


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "1", tmp_path / "2"
    tensorfile.write(one, {"a": 1, "b": 2}, {"x": torch.ones(2), "y": torch.zeros(3)})
    tensorfile.write(two, {"b": 2, "a": 1}, {"y": torch.zeros(3), "x": torch.ones(2)})
    assert one.read_bytes() == two.read_bytes()


def test_every_flipped_bit_is_caught(written: Path, tmp_path: Path) -> None:
    content = written.read_bytes()
    rng = random.Random(0)
    positions = {*range(16), *range(len(content) - 60, len(content))}
    positions |= {rng.randrange(len(content)) for _ in range(400)}
    for position in sorted(positions):
        damaged = bytearray(content)
        damaged[position] ^= 1 << rng.randrange(8)
        if json_equal(content, bytes(damaged)):
            continue
        path = tmp_path / "damaged"
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError):
            check_strictly(path)


def json_equal(one: bytes, two: bytes) -> bool:
    """Whether two files say the same in other letters, such as \\u00e9 and \\u00E9."""
    length = struct.unpack("<Q", one[:8])[0]
    if one[:8] != two[:8] or one[8 + length :] != two[8 + length :]:
        return False
    try:
        said = [json.loads(content[8 : 8 + length]) for content in (one, two)]
        for header in said:
            header["__metadata__"]["zoo"] = json.loads(header["__metadata__"]["zoo"])
    except (ValueError, KeyError):
        return False
    return bool(said[0] == said[1])


def check_strictly(path: Path) -> None:
    """As a model file is read: a file without a document is foreign."""
    header = tensorfile.read_header(path)
    if header.document is None:
        raise ModelFileError("foreign")
    tensorfile.verify(path, header)
    tensorfile.read_tensors(path)


def test_every_truncation_is_caught(written: Path, tmp_path: Path) -> None:
    content = written.read_bytes()
    for length in [*range(40), *range(40, len(content), 37), len(content) - 1]:
        path = tmp_path / "short"
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match=r"truncated|no safetensors"):
            tensorfile.read_header(path)


def test_surplus_bytes_are_caught(written: Path) -> None:
    written.write_bytes(written.read_bytes() + b"x")
    with pytest.raises(ModelFileError, match="longer than its header says"):
        tensorfile.read_header(written)


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b'{"w": 3}',
        b'{"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
        b'{"w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}',
        b'{"w": {"dtype": "F32", "shape": [1], "data_offsets": ["a", 4]}}',
        b'{"__metadata__": {"zoo": "[1]"}}',
        b'{"__metadata__": {"zoo": "{"}}',
        b'{"__metadata__": 3}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=range(10),
)
def test_a_hostile_header_is_refused(header: bytes, tmp_path: Path) -> None:
    path = tmp_path / "hostile"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
    with pytest.raises(ModelFileError):
        check_strictly(path)


def test_a_giant_header_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "giant"
    path.write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    with pytest.raises(ModelFileError):
        tensorfile.read_header(path)


def test_a_missing_file_is_a_disk_error(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="Can't read"):
        tensorfile.read_header(tmp_path / "missing")


def test_tied_tensors_are_written_twice(tmp_path: Path) -> None:
    shared = torch.ones(3)
    tensorfile.write(tmp_path / "tied", {}, {"a": shared, "b": shared, "view": shared[1:]})
    assert torch.equal(tensorfile.read_tensors(tmp_path / "tied")["view"], torch.ones(2))
