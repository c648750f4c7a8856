"""What the tests of the named sets share: no network, small pictures, what must hold of a set."""

import gzip
import hashlib
import io
import struct
from pathlib import Path

import pytest
import torch
from PIL import Image

from zoo.data.pictures import Found, Pictures
from zoo.data.sources import remote
from zoo.downloads import Downloads, RemoteFile

OFFLINE = Downloads(True, lambda line: None, lambda done, total: None)
ONLINE = Downloads(False, lambda line: None, lambda done, total: None)


def write_picture(path: Path, level: int, side_px: int = 8) -> None:
    """A square of one gray level, which tells the pictures apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    Image.new("RGB", (side_px, side_px), (level, level, level)).save(content, "PNG")
    path.write_bytes(content.getvalue())


def level(pictures: Pictures, index: int) -> int:
    """The gray level of a square."""
    return round(pictures.picture(index).float().mean().item())


def check(found: Found) -> None:
    """What holds of every set: labels are indices, names are distinct, all parts agree."""
    parts = [part for part in (found.train, found.validation, found.test) if part is not None]
    names = [name for part in parts for name in part.names]
    assert len(set(names)) == len(names)
    assert not any(name.startswith(("/", ".")) for name in names)
    for part in parts:
        assert part.classes == found.train.classes
        assert len(set(part.classes)) == len(part.classes)
        assert len(part.names) == len(part.targets) > 0
        assert part.targets.dtype == torch.int64
        assert 0 <= int(part.targets.min()) <= int(part.targets.max()) < len(part.classes)
        picture = part.picture(len(part) - 1)
        assert picture.dtype == torch.uint8
        assert picture.shape[0] in (1, 3)
        assert len(part.digest(0)) == 16
        assert part.at([0]).names == part.names[:1]


def publish(
    name: str, contents: dict[str, bytes], base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Puts other files in the place of a set's, with their own digests and below one address."""
    parts = []
    for part in remote.SETS[name]:
        content = contents[part.file.name]
        file = RemoteFile(
            part.file.name,
            (f"{base}/{part.file.name}",),
            f"md5:{hashlib.md5(content).hexdigest()}",
            len(content),
            name,
        )
        parts.append(remote.Part(file, part.keeps, part.folder))
    monkeypatch.setitem(remote.SETS, name, tuple(parts))


def mnist_files(count: int = 20) -> dict[str, bytes]:
    """The four gzipped files of a tiny set like MNIST."""
    files = {}
    for split in ("train", "t10k"):
        pixels = bytes(index % 251 for index in range(count * 784))
        images = struct.pack(">HBB3I", 0, 8, 3, count, 28, 28) + pixels
        labels = struct.pack(">HBBI", 0, 8, 1, count) + bytes(n % 10 for n in range(count))
        files[f"{split}-images-idx3-ubyte.gz"] = gzip.compress(images, mtime=0)
        files[f"{split}-labels-idx1-ubyte.gz"] = gzip.compress(labels, mtime=0)
    return files
