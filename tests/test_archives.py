"""Archives: what is unpacked, and every attack that is not."""

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.archives import unpack
from zoo.errors import DataError, DiskError, ExitCode

FILES = {"set/a.txt": b"first", "set/deep/er/b.bin": bytes(range(256)) * 10, "other/c": b"third"}


def tree(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return path


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    mode = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}
    with tarfile.open(path, mode[path.suffix]) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o4777
            tar.addfile(entry, io.BytesIO(content))
    return path


def write(path: Path, files: dict[str, bytes]) -> Path:
    return write_zip(path, files) if path.suffix == ".zip" else write_tar(path, files)


KINDS = ("x.zip", "x.tar", "x.tar.gz", "x.tgz", "x.tar.xz", "x.tar.bz2")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_unpacked(kind: str, tmp_path: Path) -> None:
    archive = write(tmp_path / kind, FILES)
    unpack(archive, tmp_path / "new" / "target")
    assert tree(tmp_path / "new" / "target") == FILES
    assert os.listdir(tmp_path / "new") == ["target"]


@pytest.mark.parametrize("kind", KINDS)
def test_one_folder_becomes_the_directory(kind: str, tmp_path: Path) -> None:
    unpack(write(tmp_path / kind, FILES), tmp_path / "target", folder="set")
    assert tree(tmp_path / "target") == {
        "a.txt": b"first",
        "deep/er/b.bin": FILES["set/deep/er/b.bin"],
    }
    with pytest.raises(DataError, match="holds no files below absent/"):
        unpack(tmp_path / kind, tmp_path / "other", folder="absent")
    assert sorted(os.listdir(tmp_path)) == ["target", kind]


@pytest.mark.parametrize(("suffix", "opener"), [(".gz", gzip), (".bz2", bz2), (".xz", lzma)])
def test_a_single_compressed_file(suffix: str, opener: object, tmp_path: Path) -> None:
    archive = tmp_path / f"labels-idx1-ubyte{suffix}"
    archive.write_bytes(opener.compress(b"content"))  # type: ignore[attr-defined]
    unpack(archive, tmp_path / "target")
    assert tree(tmp_path / "target") == {"labels-idx1-ubyte": b"content"}


@pytest.mark.parametrize("kind", ["x.zip", "x.tar"])
def test_modes_are_plain(kind: str, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        unpack(write(tmp_path / kind, FILES), tmp_path / "target")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "target/set/a.txt").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "target/set").stat().st_mode) == 0o750


def refused(archive: Path, match: str, **limits: int) -> None:
    """Nothing is written, inside the target or outside, and the error is the data's."""
    parent = archive.parent
    before = tree(parent)
    with pytest.raises(DataError, match=match) as caught:
        unpack(archive, parent / "place" / "target", **limits)  # type: ignore[arg-type]
    assert caught.value.code == ExitCode.DATA
    assert tree(parent) == before
    assert list((parent / "place").iterdir()) == []


EVIL_NAMES = {
    "../evil": "outside",
    "set/../../evil": "outside",
    "set/..": "outside",
    "/evil": "outside",
    "//evil": "outside",
    "C:\\evil": "no plain path",
    "c:evil": "no plain path",
    "set\\..\\..\\evil": "no plain path",
    "\\\\server\\share": "no plain path",
}


@pytest.mark.parametrize(("name", "reason"), EVIL_NAMES.items())
@pytest.mark.parametrize("kind", ["x.zip", "x.tar", "x.tar.gz"])
def test_names_that_reach_outside(kind: str, name: str, reason: str, tmp_path: Path) -> None:
    refused(write(tmp_path / kind, {**FILES, name: b"evil"}), reason)


def test_a_name_with_a_zero_byte(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "x.zip", {"set/aXb": b"evil"})
    archive.write_bytes(archive.read_bytes().replace(b"set/aXb", b"set/a\0b"))
    refused(archive, "no plain path")


def special(kind: bytes, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo("set/special")
    entry.type, entry.linkname = kind, target
    return entry


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (special(tarfile.SYMTYPE, "/etc"), "symbolic link"),
        (special(tarfile.SYMTYPE, "a.txt"), "symbolic link"),
        (special(tarfile.LNKTYPE, "/etc/passwd"), "hard link"),
        (special(tarfile.LNKTYPE, "set/a.txt"), "hard link"),
        (special(tarfile.FIFOTYPE), "neither a file nor a folder"),
        (special(tarfile.CHRTYPE), "neither a file nor a folder"),
        (special(tarfile.BLKTYPE), "neither a file nor a folder"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_links_and_devices_in_a_tar(entry: tarfile.TarInfo, reason: str, tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "x.tar", FILES)
    with tarfile.open(archive, "a") as tar:
        tar.addfile(entry)
        through = tarfile.TarInfo("set/special/passwd")
        tar.addfile(through, io.BytesIO())
    refused(archive, f"'set/special' is (a )?{reason}")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_in_a_zip(mode: int, tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "x.zip", FILES)
    entry = zipfile.ZipInfo("set/special")
    entry.external_attr = (mode | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr(entry, "/etc/passwd")
    refused(archive, "'set/special' is")


@pytest.mark.parametrize("kind", KINDS)
def test_more_bytes_than_allowed(kind: str, tmp_path: Path) -> None:
    archive = write(tmp_path / kind, {"bomb": bytes(10_000_000)})
    refused(archive, "'bomb' it unpacks to more than 9,999,999 bytes", max_bytes=9_999_999)
    unpack(archive, tmp_path / "target", max_bytes=10_000_000)


@pytest.mark.parametrize("kind", ["x.zip", "x.tar"])
def test_bytes_are_summed_over_the_members(kind: str, tmp_path: Path) -> None:
    archive = write(tmp_path / kind, {str(index): bytes(1000) for index in range(10)})
    refused(archive, "more than 9,999 bytes", max_bytes=9_999)


def test_bytes_are_counted_whatever_is_declared(tmp_path: Path) -> None:
    archive = tmp_path / "bomb.gz"  # gzip declares nothing that can be trusted
    archive.write_bytes(gzip.compress(bytes(10_000_000)))
    refused(archive, "more than 1,000,000 bytes", max_bytes=1_000_000)


def test_a_zip_that_lies_about_its_size(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "x.zip", {"bomb": bytes(1_000_000)})
    true, lie = (1_000_000).to_bytes(4, "little"), (1_000).to_bytes(4, "little")
    archive.write_bytes(archive.read_bytes().replace(true, lie))
    refused(archive, "damaged", max_bytes=10_000)


@pytest.mark.parametrize("kind", ["x.zip", "x.tar"])
def test_more_members_than_allowed(kind: str, tmp_path: Path) -> None:
    archive = write(tmp_path / kind, {str(index): b"" for index in range(11)})
    refused(archive, "more than 10 files", max_members=10)
    unpack(archive, tmp_path / "target", max_members=11)


@pytest.mark.parametrize("kind", ["x.zip", "x.tar"])
def test_a_file_below_a_file(kind: str, tmp_path: Path) -> None:
    refused(write(tmp_path / kind, {"a": b"file", "a/b": b"below"}), "'a/b' lies below a file")


def test_an_encrypted_zip(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "x.zip", {"a": b"secret"})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    refused(archive, "'a' is encrypted")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
def test_damage(kind: str, damage: str, tmp_path: Path) -> None:
    archive = write(tmp_path / kind, {"a": os.urandom(100_000), "b": os.urandom(100_000)})
    content = bytearray(archive.read_bytes())
    if damage == "flipped" and kind == "x.tar":
        content[10] ^= 1  # a plain tar has a checksum for its headers only
    else:
        content[len(content) // 2] ^= 255
    damaged = {
        "cut": bytes(content[: len(content) // 3]),
        "flipped": bytes(content),
        "empty": b"",
        "text": b"<html>" * 1000,
    }
    archive.write_bytes(damaged[damage])
    refused(archive, "damaged")


def test_an_unknown_kind_and_an_absent_archive(tmp_path: Path) -> None:
    (tmp_path / "x.rar").write_bytes(b"Rar!")
    refused(tmp_path / "x.rar", "no archive that zoo unpacks")
    with pytest.raises(DiskError, match=r"absent\.tar"):
        unpack(tmp_path / "absent.tar", tmp_path / "target")


def test_a_target_that_holds_something_is_kept(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "x.zip", FILES)
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "mine").write_bytes(b"mine")
    unpack(archive, tmp_path / "target")  # as if another process had unpacked it
    assert tree(tmp_path / "target") == {"mine": b"mine"}
    assert sorted(os.listdir(tmp_path)) == ["target", "x.zip"]


def test_nothing_is_seen_before_all_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    rename: Callable[[Path, Path], Path] = Path.rename

    def watched(self: Path, target: Path) -> Path:
        seen.append(target.exists())
        assert tree(self) == FILES
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    unpack(write_zip(tmp_path / "x.zip", FILES), tmp_path / "target")
    assert seen == [False]
