"""The pictures that words of a command line name: files, directories, globs, lists of paths."""

import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from zoo.data.sources.folder import is_picture, walk
from zoo.errors import DiskError
from zoo.values import SOURCES

_GLOB = re.compile(r"[*?[]")
_IN_A_SET = re.compile(r"([a-z0-9-]+)(?:/\w+)?/\d{4,}")  # digits/0077, mnist/test/00042


@dataclass(frozen=True)
class Failed:
    """A picture that can't be had."""

    path: str
    message: str
    """Why."""


def find(words: Iterable[str], lines: Iterable[bytes] = ()) -> Iterator[str | Failed]:
    """The path of each picture, in the order of the words.

    A file is taken as it is named. Of a directory it is every picture below, by its suffix and in
    natural order (2.png before 10.png); so it is of what a glob matches. A path that exists is no
    glob, whatever its letters.

    Args:
        words: files, directories, globs (`**` is any number of directories), or `-` for `lines`.
        lines: a path each, files or directories, such as standard input's; blank ones are skipped.
    """
    for word in words:
        if word == "-":
            yield from _listed(lines)
        elif _GLOB.search(word) and not os.path.lexists(word):
            yield from _matching(word)
        else:
            yield from _named(word)


def natural_key(path: str) -> tuple[list[list[tuple[str, int]]], str]:
    """For sorting paths, directory by directory: runs of digits count as the number they are."""
    directories = [
        [(text, int(number or -1)) for text, number in re.findall(r"([^0-9]*)([0-9]*)", part)]
        for part in path.split("/")
    ]
    return directories, path


def _listed(lines: Iterable[bytes]) -> Iterator[str | Failed]:
    # Any bytes are a name: those that are no UTF-8 come back out as they went in.
    paths = [os.fsdecode(line.rstrip(b"\r\n")) for line in lines if line.strip()]
    if not paths:
        yield Failed("-", "no path came on standard input")
    for path in paths:
        yield from _named(path)


def _matching(pattern: str) -> Iterator[str | Failed]:
    found: set[str] = set()
    for match in map(Path, glob.iglob(pattern, recursive=True)):
        if match.is_dir():
            # Without a message: `**` also matches directories that hold no picture.
            found.update(path for path in _below(str(match)) if isinstance(path, str))
        elif is_picture(match):
            found.add(str(match))
    if not found:
        yield Failed(pattern, "no picture matches")
    yield from sorted(found, key=natural_key)


def _named(path: str) -> Iterator[str | Failed]:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        yield Failed(path, _of_a_set(path) or reason(error))
    except ValueError:  # a NUL, which a list may hold
        yield Failed(path, "no path can hold a NUL")
    else:
        if stat.S_ISDIR(mode):
            yield from _below(path)
        elif stat.S_ISREG(mode):
            yield path
        else:  # reading a pipe would never end
            yield Failed(path, "no regular file")


def _below(directory: str) -> Iterator[str | Failed]:
    found: list[str] = []
    failed = None
    try:
        found += (str(path) for path in walk(Path(directory)) if is_picture(path))
    except DiskError as error:
        failed = Failed(directory, error.message)
    if not found and failed is None:
        failed = Failed(directory, "no picture is in this directory")
    yield from sorted(found, key=natural_key)
    if failed is not None:
        yield failed


def _of_a_set(path: str) -> str:
    """Why a picture called `digits/0077`, as mistakes name it, can't be had; empty for others."""
    name = _IN_A_SET.fullmatch(path)
    if name is None or name[1] not in SOURCES:
        return ""
    return "it lies inside a set, in no file of its own; zoo report RUN shows the worst mistakes"


def reason(error: OSError) -> str:
    """What the system says, such as `no such file or directory`."""
    text = os.strerror(error.errno) if error.errno else str(error)
    return text[:1].lower() + text[1:]
