"""Unpacking archives of strangers: checked member by member, seen only when whole."""

import bz2
import gzip
import lzma
import os
import re
import secrets
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from zoo.errors import DataError
from zoo.files import disk_errors

MAX_BYTES = 32 * 1024**3
"""More than the largest known set unpacks to."""
MAX_MEMBERS = 3_000_000
_CHUNK = 1 << 20
_MAX_PADDING = 1 << 28
_COMPRESSIONS = (".gz", ".bz2", ".xz")
_TARS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError,
    NotImplementedError, RuntimeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class _Member:
    """What an archive says of one of its files or folders."""

    name: str
    is_folder: bool
    size: int
    """As declared, which may be a lie."""
    problem: str = ""
    """Why it is refused, such as `a symbolic link`."""
    open: Callable[[], IO[bytes] | None] = lambda: None


def unpack(
    archive: Path,
    directory: Path,
    *,
    folder: str | None = None,
    max_bytes: int = MAX_BYTES,
    max_members: int = MAX_MEMBERS,
) -> None:
    """Unpacks .zip, .tar (also .gz, .xz, .bz2, .tgz) or a single file's .gz, .xz or .bz2.

    Every member is checked before anything is written. Files are written with the mode that a new
    file has, whatever the archive says. A failure leaves nothing behind.

    Args:
        archive: its name tells its kind.
        directory: made by this; it must not exist, or be empty.
        folder: of the archive, which alone is unpacked and becomes `directory`; None is all.
        max_bytes: of all members together, counted while they are written.
        max_members: of the archive.

    Raises:
        DataError: the archive is damaged, too large, or tries to reach outside `directory`.
        DiskError: the disk is full, or there is no permission.
    """
    with disk_errors("write", directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
        temporary = directory.with_name(f".zoo-{secrets.token_hex(8)}.tmp")
        temporary.mkdir()
    try:
        with _opened(archive) as members:
            checked = _checked(archive, members, folder, max_bytes, max_members)
            written = 0
            for target, member in checked:
                written += _write(archive, temporary / target, member, max_bytes - written)
        _move(temporary, directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move(temporary: Path, directory: Path) -> None:
    with disk_errors("write", directory):
        try:
            temporary.rename(directory)
        except OSError:
            # Another process unpacked the same meanwhile: equal content, so nothing is lost.
            if not (directory.is_dir() and any(directory.iterdir())):
                raise


@contextmanager
def _opened(archive: Path) -> Iterator[Iterator[_Member]]:
    """The members of an archive; whatever its content does to a decoder is a DataError."""
    name = archive.name.lower()
    try:
        if name.endswith(_TARS):
            with tarfile.open(archive) as tar:
                yield _tar_members(tar)
        elif name.endswith(".zip"):
            with zipfile.ZipFile(archive) as packed:
                yield _zip_members(packed)
        elif archive.suffix.lower() in _COMPRESSIONS:
            yield iter([_Member(archive.stem, False, 0, open=lambda: _decompressed(archive))])
        else:
            raise DataError(f"{archive} is no archive that zoo unpacks: .zip, .tar, .tar.gz, .gz.")
    except _DAMAGE as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        # bz2 and tarfile also raise OSError without a number for bad content.
        if error.errno is None:
            raise _damaged(archive, error) from error
        with disk_errors("read", archive):
            raise


def _decompressed(archive: Path) -> IO[bytes]:
    suffix = archive.suffix.lower()
    if suffix == ".xz":
        return lzma.open(archive)
    return cast(IO[bytes], gzip.open(archive) if suffix == ".gz" else bz2.open(archive))


def _damaged(archive: Path, error: Exception) -> DataError:
    reason = str(error) or type(error).__name__
    return DataError(f"{archive} is damaged: {reason}.", hint="Remove it and download it again.")


def _tar_members(tar: tarfile.TarFile) -> Iterator[_Member]:
    for entry in tar:
        yield _Member(
            entry.name,
            entry.isdir(),
            entry.size,
            _tar_problem(entry),
            lambda entry=entry: tar.extractfile(entry),  # type: ignore[misc]
        )
    # tarfile stops at its end mark, before gzip's checksum, which only a read to the end checks.
    padding = 0
    while rest := tar.fileobj.read(_CHUNK) if tar.fileobj else b"":
        padding += len(rest)
        if padding > _MAX_PADDING:
            raise tarfile.TarError("it goes on after its end mark")


def _tar_problem(entry: tarfile.TarInfo) -> str:
    if entry.issym():
        return "is a symbolic link"
    if entry.islnk():
        return "is a hard link"
    return "" if entry.isfile() or entry.isdir() else "is neither a file nor a folder"


def _zip_members(packed: zipfile.ZipFile) -> Iterator[_Member]:
    for entry in packed.infolist():
        yield _Member(
            # zipfile cuts the name at a zero byte, and turns the system's separator into /.
            entry.orig_filename,
            entry.is_dir(),
            entry.file_size,
            _zip_problem(entry),
            lambda entry=entry: packed.open(entry),  # type: ignore[misc]
        )


def _zip_problem(entry: zipfile.ZipInfo) -> str:
    if entry.flag_bits & 1:
        return "is encrypted"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a symbolic link"
    return "" if kind in (0, stat.S_IFREG, stat.S_IFDIR) else "is neither a file nor a folder"


def _checked(
    archive: Path, members: Iterator[_Member], folder: str | None, max_bytes: int, max_members: int
) -> list[tuple[PurePosixPath, _Member]]:
    """The members to write, each with its place below the target."""
    chosen: dict[PurePosixPath, _Member] = {}
    declared = 0
    for count, member in enumerate(members, 1):
        place = _safe_place(archive, member)
        declared += member.size
        if count > max_members:
            raise DataError(f"{archive} holds more than {max_members:,} files.")
        if declared > max_bytes:
            raise _too_large(archive, member, max_bytes)
        if folder is not None:
            if not place.parts or place.parts[0] != folder:
                continue
            place = place.relative_to(folder)
        if not place.parts and not member.is_folder:
            raise _refusal(archive, member, "has the name of a folder")
        chosen[place] = member  # as with every unpacker, the last of one name counts
    files = {place for place, member in chosen.items() if not member.is_folder}
    for place, member in chosen.items():
        if not files.isdisjoint(place.parents):
            raise _refusal(archive, member, "lies below a file")
    if not files:
        where = f" below {folder}/" if folder else ""
        raise DataError(f"{archive} holds no files{where}.")
    return list(chosen.items())


def _safe_place(archive: Path, member: _Member) -> PurePosixPath:
    """Where a member goes below the target."""
    name = member.name
    if member.problem:
        raise _refusal(archive, member, member.problem)
    if "\\" in name or "\0" in name or re.match(r"[A-Za-z]:", name):
        raise _refusal(archive, member, "has a name that is no plain path")
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts:
        raise _refusal(archive, member, "reaches outside the directory")
    return place


def _refusal(archive: Path, member: _Member, problem: str) -> DataError:
    return DataError(f"{archive} is refused: its member {member.name!r} {problem}.")


def _too_large(archive: Path, member: _Member, max_bytes: int) -> DataError:
    return DataError(
        f"{archive} is refused: with its member {member.name!r} it unpacks to more than "
        f"{max_bytes:,} bytes."
    )


def _write(archive: Path, path: Path, member: _Member, allowed: int) -> int:
    """Writes one member and returns its true size."""
    if member.is_folder:
        with disk_errors("write", path):
            path.mkdir(parents=True, exist_ok=True)
        return 0
    with disk_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        target = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    written = 0
    source = member.open()
    assert source is not None  # links were refused
    with open(target, "wb") as output, source:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > allowed:
                raise _too_large(archive, member, allowed)
            with disk_errors("write", path):
                output.write(chunk)
        with disk_errors("write", path):
            output.flush()
    return written
