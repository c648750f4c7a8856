"""Where fitted pictures are kept between runs, and under which key."""

import hashlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zoo.data.pictures import ArrayPictures, FilePictures, Pictures
from zoo.files import atomic_path, disk_errors
from zoo.places import cache_directory
from zoo.schema import Preprocessing

_VERSION = 1


def place(name: str) -> Path:
    """The cache's file of that name."""
    return cache_directory() / "pictures" / name


@contextmanager
def reserved(
    path: Path, shape: tuple[int, ...]
) -> "Iterator[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]":
    """A new file's bytes, written to `path` when the block ends well.

    Raises:
        DiskError: there is no room, or no permission.
    """
    size = math.prod(shape)
    with disk_errors("make", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        # Writing to a mapped file on a full disk would kill the process: take the room first.
        with temporary.open("r+b") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                for _ in range(0, size, 1 << 24):
                    file.write(bytes(min(1 << 24, size - file.tell())))
        content = np.memmap(temporary, np.uint8, "r+", shape=shape)
        yield content
        content.flush()


def mapped(path: Path, shape: tuple[int, ...]) -> Tensor:
    """A private mapping: the system reads the pages that are used, and may drop them again."""
    size = math.prod(shape)
    return torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8).reshape(shape)


def key_of_array(pictures: ArrayPictures, preprocessing: Preprocessing) -> str:
    """Says which pixels and which fitting."""
    digest = _fitting_digest(preprocessing)
    digest.update(repr(tuple(pictures.images.shape)).encode())
    digest.update(pictures.images.contiguous().numpy().data)
    return digest.hexdigest()[:32]


def key_of_files(pictures: Pictures, preprocessing: Preprocessing) -> str | None:
    """Says which files and which fitting; None where a source has no files."""
    if not isinstance(pictures, FilePictures):
        return None
    digest = _fitting_digest(preprocessing)
    for path in pictures.paths:
        line: list[str | int] = [os.path.abspath(path)]
        with suppress(OSError):  # gone, or a link to nothing: reading it will say so
            status = path.stat()
            line += [status.st_size, status.st_mtime_ns]
        digest.update(json.dumps(line).encode())
    return digest.hexdigest()[:32]


def _fitting_digest(preprocessing: Preprocessing) -> "hashlib._Hash":
    """A SHA-256 begun with what decides how pictures are fitted."""
    fitting = preprocessing.model_dump(
        mode="json", include={"channels", "size", "content", "interpolation", "fit"}
    )
    return hashlib.sha256(json.dumps([_VERSION, fitting], sort_keys=True).encode())
