"""Reading Keras's files of strangers: `.h5`, and `.keras`, a zip with an HDF5 file in it.

Nothing in them is executed. HDF5 can point to other files and declare arrays of any size: links
other than hard ones, virtual and external data, filters and sizes that the file does not back are
refused, so that memory stays within what the file itself takes.
"""

import math
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from zoo.errors import ModelFileError, NotFoundError, UsageError, reason_of
from zoo.files import disk_errors
from zoo.keras_import.config import KerasLayer

if TYPE_CHECKING:
    import h5py
    import numpy as np

    from zoo.keras_import.conversion import Weight

    Array = np.ndarray[Any, Any]

_MAX_TEXT = 16 << 20
_MAX_MEMBERS = 1000
_MAX_RATIO = 20
"""Of what a member of a zip unpacks to, beyond _MAX_TEXT, to the zip; weights hardly compress."""
_MAX_TENSORS = 16
_MAX_DEPTH = 16
_CHUNK = 1 << 20
_DAMAGE = (
    OSError, KeyError, RuntimeError, ValueError, TypeError, IndexError, EOFError, OverflowError,
    NotImplementedError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class KerasFile:
    """An open file."""

    config: str | bytes
    """JSON."""
    version: str
    """Of the Keras that wrote it, as far as it says."""
    weights: "h5py.Group"
    by_index: bool
    """Whether weights are called 0, 1, 2 below a name of the layer's class: `.keras`."""
    size: int
    """Of the HDF5 file in bytes."""

    @property
    def keras_major(self) -> int:
        """The first number of the version; 2 where none is stated."""
        found = re.match(r"\d+", self.version)
        return int(found[0]) if found else 2

    def tensors(
        self, stored: Sequence[KerasLayer], wanted: "dict[str, tuple[Weight, ...]]"
    ) -> "Iterator[tuple[Weight, Array]]":
        """Each weight with its values.

        Args:
            stored: every layer, in the order in which the file stores them.
            wanted: by the layer's name.

        Raises:
            ModelFileError: one is missing, surplus, of another shape, or not what it declares.
        """
        counts: Counter[str] = Counter()
        for layer in stored:
            place = _class_name(layer.kind)
            counts[place] += 1
            number = counts[place] - 1
            place = f"{place}_{number}" if number else place
            weights = wanted[layer.name]
            if not weights:
                continue
            path = f"{place}/vars" if self.by_index else layer.name
            group = _group(self.weights, path)
            found = dict(_datasets(group))
            for index, weight in enumerate(weights):
                names = (str(index),) if self.by_index else weight.names
                name = next((name for name in names if name in found), None)
                if name is None:
                    raise ModelFileError(f"{layer.name} lacks its weight {weight.names[0]}.")
                yield weight, _values(found.pop(name), f"{layer.name}'s {weight.names[0]}", weight)
            if found:
                raise ModelFileError(f"{layer.name} has weights too many: {', '.join(found)}.")


@contextmanager
def open_file(path: Path) -> Iterator[KerasFile]:
    """Opens a file by its content; whatever that does to a decoder is a ModelFileError.

    Raises:
        ModelFileError: it is no whole model of Keras's.
        UsageError: h5py is not installed.
        NotFoundError: there is no such file.
        DiskError: it can't be read.
    """
    try:
        import h5py
    except ImportError as error:
        raise UsageError(
            "Keras files need h5py, which is not installed.", hint="pip install 'cnn-zoo[keras]'"
        ) from error
    if not path.is_file():
        raise NotFoundError(f"{path} is no file.")
    with disk_errors("read", path):
        file = path.open("rb")
    with file:
        try:
            if zipfile.is_zipfile(file):
                with _opened_zip(file) as opened:
                    yield opened
            else:
                with h5py.File(file, "r") as opened_h5:
                    yield _of_h5(opened_h5, _length(file))
        except ModelFileError as error:
            raise ModelFileError(f"{path} is refused: {error.message}", hint=error.hint) from error
        except RecursionError as error:
            raise ModelFileError(f"{path} is refused: it is nested too deeply.") from error
        except _DAMAGE as error:
            reason = reason_of(error)
            raise ModelFileError(
                f"{path} is no Keras file, or it is damaged: {reason}.",
                hint="A model that Keras saved is an .h5 or a .keras file.",
            ) from error


def _length(file: IO[bytes]) -> int:
    position = file.tell()
    length = file.seek(0, 2)
    file.seek(position)
    return length


def _of_h5(file: "h5py.File", size: int) -> KerasFile:
    if "model_config" not in file.attrs:
        raise ModelFileError(
            "It holds no description of a model: weights alone, or none of Keras's.",
            hint="Save the whole model: model.save('model.keras').",
        )
    return KerasFile(
        _text(file, "model_config") or "",
        _text(file, "keras_version") or _text(_group(file, "model_weights"), "keras_version"),
        _group(file, "model_weights"),
        by_index=False,
        size=size,
    )


def _text(item: "h5py.Group", name: str) -> str:
    """A text among the attributes; empty where it is missing."""
    if name not in item.attrs:
        return ""
    attribute = item.attrs.get_id(name)
    if attribute.shape != () or attribute.get_storage_size() > _MAX_TEXT:
        raise ModelFileError(f"Its {name} is no text.")
    value = item.attrs[name]
    text = value.decode() if isinstance(value, bytes) else value
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        raise ModelFileError(f"Its {name} is no text.")
    return text


@contextmanager
def _opened_zip(file: IO[bytes]) -> Iterator[KerasFile]:
    import json

    import h5py

    with zipfile.ZipFile(file) as packed, TemporaryFile() as weights:
        members = {entry.orig_filename: entry for entry in packed.infolist()}
        if len(members) != len(packed.infolist()) or len(members) > _MAX_MEMBERS:
            raise ModelFileError("Its members are too many, or have the same name.")
        for name in members:
            if "\\" in name or "\0" in name or _leaves(name):
                raise ModelFileError(f"Its member {name!r} reaches outside.")
        for name in ("config.json", "model.weights.h5"):
            if name not in members:
                raise ModelFileError(f"It is a zip without {name}.")
        metadata: Any = {}
        if "metadata.json" in members:
            metadata = json.loads(b"".join(_content(packed, members["metadata.json"], _MAX_TEXT)))
        config = b"".join(_content(packed, members["config.json"], _MAX_TEXT))
        size = 0
        allowed = _MAX_TEXT + _MAX_RATIO * _length(file)
        for chunk in _content(packed, members["model.weights.h5"], allowed):
            with disk_errors("write", "a temporary file"):
                size += weights.write(chunk)
        weights.seek(0)
        version = metadata.get("keras_version") if isinstance(metadata, dict) else None
        with h5py.File(weights, "r") as opened:
            yield KerasFile(
                config, str(version or "3"), _group(opened, "layers"), by_index=True, size=size
            )


def _leaves(name: str) -> bool:
    place = PurePosixPath(name)
    return place.is_absolute() or ".." in place.parts or re.match(r"[A-Za-z]:", name) is not None


def _content(packed: zipfile.ZipFile, member: zipfile.ZipInfo, allowed: int) -> Iterator[bytes]:
    """A member's content, as long as it is no longer than it may be."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ModelFileError(f"Its member {member.orig_filename!r} is packed in an unusual way.")
    read = 0
    with packed.open(member) as source:
        while chunk := source.read(_CHUNK):
            read += len(chunk)
            if read > allowed:
                raise ModelFileError(f"Its member {member.orig_filename!r} unpacks to too much.")
            yield chunk


def _class_name(kind: str) -> str:
    """`SeparableConv2D` as `separable_conv2d`: Keras's own rule."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _item(group: "h5py.Group", name: str) -> "h5py.Group | h5py.Dataset":
    """What lies in a group under a name, and lies nowhere else.

    Raises:
        ModelFileError: it is missing, or a link.
    """
    import h5py

    link = group.get(name, getlink=True)
    if link is None:
        raise ModelFileError(f"It lacks {group.name.rstrip('/')}/{name}.")
    if not isinstance(link, h5py.HardLink):
        raise ModelFileError(f"Its {name} is a link to another place, and no link is followed.")
    item = group[name]
    if not isinstance(item, h5py.Group | h5py.Dataset):
        raise ModelFileError(f"Its {name} is neither a group nor an array.")
    return item


def _group(group: "h5py.Group", path: str) -> "h5py.Group":
    import h5py

    for name in path.split("/"):
        item = _item(group, name)
        if not isinstance(item, h5py.Group):
            raise ModelFileError(f"Its {path} is no group.")
        group = item
    return group


def _datasets(group: "h5py.Group", depth: int = 0) -> "Iterator[tuple[str, h5py.Dataset]]":
    """The arrays below a layer's group, by their names without Keras 2's `:0`."""
    import h5py

    if depth > _MAX_DEPTH or len(group) > _MAX_TENSORS:
        raise ModelFileError(f"{group.name} holds more than any layer does.")
    for name in group:
        item = _item(group, name)
        if isinstance(item, h5py.Dataset):
            yield name.removesuffix(":0"), item
        else:
            yield from _datasets(item, depth + 1)


def _values(dataset: "h5py.Dataset", what: str, weight: "Weight") -> "Array":
    """An array that is as long as it declares, in float32."""
    if dataset.is_virtual or dataset.external:
        raise ModelFileError(f"{what} lies in another file, and no other file is read.")
    if dataset.dtype.kind != "f" or dataset.dtype.itemsize > 8:
        raise ModelFileError(f"{what} holds no floating-point numbers but {dataset.dtype}.")
    if dataset.shape != weight.shape:
        raise ModelFileError(f"{what} is {_sides(dataset.shape)}, not {_sides(weight.shape)}.")
    if dataset.chunks is not None or dataset.id.get_create_plist().get_nfilters():
        raise ModelFileError(
            f"{what} is stored in compressed pieces, which Keras does not do.",
            hint="HDF5's own tool stores it plainly: h5repack -f NONE -l CONTI FILE NEW",
        )
    size = math.prod(weight.shape) * dataset.dtype.itemsize
    if dataset.id.get_storage_size() < size:
        raise ModelFileError(f"{what} declares {size:,} bytes, which the file does not hold.")
    return dataset[()].astype("float32")  # type: ignore[no-any-return]


def _sides(shape: Sequence[int]) -> str:
    return "×".join(str(side) for side in shape) or "one number"
