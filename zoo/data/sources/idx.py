"""MNIST's file format: a magic number, big-endian sides, then bytes."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import torch
from torch import Tensor

from zoo.errors import DataError
from zoo.files import disk_errors

_UINT8 = 8


def read_idx(path: Path) -> Tensor:
    """The array of an idx file, plain or gzipped, as uint8.

    Raises:
        DataError: the file is bad.
        DiskError: it can't be read.
    """
    with disk_errors("read", path):
        content = path.read_bytes()
    try:
        return parse_idx(content)
    except DataError as error:
        raise DataError(f"{path}: {error.message}", hint="Copy or download it again.") from error


def parse_idx(content: bytes) -> Tensor:
    """The array of an idx file, plain or gzipped, as uint8.

    Source: LeCun, Cortes, Burges, "The MNIST database", section "File formats".

    Raises:
        DataError: it is no idx file of bytes, or a truncated one.
    """
    try:
        raw = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        zeros, kind, dimensions = struct.unpack(">HBB", raw[:4])
        shape = struct.unpack(f">{dimensions}I", raw[4 : 4 + 4 * dimensions])
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise DataError(f"No idx file, or a truncated one: {error}.") from error
    if zeros != 0 or kind != _UINT8:
        raise DataError("No idx file of bytes: its magic number is wrong.")
    values = raw[4 + 4 * dimensions :]
    if len(values) != math.prod(shape):
        raise DataError(f"An idx file of {math.prod(shape):,} values holds {len(values):,}.")
    return torch.frombuffer(bytearray(values), dtype=torch.uint8).reshape(shape)
