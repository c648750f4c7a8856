"""MNIST's file format."""

import gzip
import struct

import pytest
import torch

from zoo.data.sources.idx import parse_idx
from zoo.errors import DataError

GOOD = struct.pack(">HBBII", 0, 8, 2, 2, 3) + bytes(range(6))


@pytest.mark.parametrize("content", [GOOD, gzip.compress(GOOD)], ids=["plain", "gz"])
def test_plain_or_gzipped(content: bytes) -> None:
    assert torch.equal(parse_idx(content), torch.arange(6, dtype=torch.uint8).reshape(2, 3))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        GOOD[:-1],
        GOOD + b"x",
        GOOD[:6],
        b"\0\0\x0d\x01" + GOOD[4:],
        b"\x01\0\x08\x02" + GOOD[4:],
        gzip.compress(GOOD)[:-9],
        b"\x1f\x8b" + b"\0" * 20,
    ],
    ids=range(9),
)
def test_damaged_files_are_data_errors(content: bytes) -> None:
    with pytest.raises(DataError):
        parse_idx(content)
