"""Files from the network: announced, resumed where they broke off, checked before they are seen.

`ZOO_MIRROR` names a mirror that is tried before a file's own addresses: a base URL below which
each file lies as `<set>/<file name>`, such as `https://mirror.example/zoo/cifar10/...`; pretrained
weights as `weights/torchvision/<file name>` and `weights/timm/<network>.<tag>/<file name>`.
"""

import fcntl
import hashlib
import http.client
import os
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Protocol, cast

from zoo import __version__, tensorfile
from zoo.errors import DataError, DiskError, ModelFileError
from zoo.files import disk_errors

SILENCE_SECONDS = 30.0
"""How long a server may say nothing."""
_TRIES = 4  # of one mirror whose answers break off: the first, and three that resume
_CHUNK = 1 << 18
_SCHEMES = ("http", "https", "file")
_REDIRECTS = ("http", "https")


@dataclass(frozen=True)
class RemoteFile:
    """A file on the network, and how to know it."""

    name: str
    urls: tuple[str, ...]
    """Mirrors, tried in this order."""
    digest: str
    """`md5:...` or `sha256:...`, or the first digits of it.

    `safetensors` where nobody states one: then the header must agree with the file's length.
    """
    size: int | None = None
    """Bytes; None where nobody stated them."""
    dataset: str = ""
    """The set it belongs to: its folder on a mirror of one's own."""

    def mirrors(self) -> tuple[str, ...]:
        """Every address to try, `ZOO_MIRROR`'s first."""
        base = os.environ.get("ZOO_MIRROR")
        if not base:
            return self.urls
        own = "/".join(urllib.parse.quote(part) for part in (self.dataset, self.name) if part)
        return (f"{base.rstrip('/')}/{own}", *self.urls)

    def matches(self, path: Path) -> bool:
        """Whether a file holds this content.

        Raises:
            DiskError: it can't be read.
        """
        algorithm, _, expected = self.digest.partition(":")
        if algorithm == "safetensors":
            return _is_whole_safetensors(path)
        with disk_errors("read", path), path.open("rb") as content:
            found = hashlib.file_digest(content, lambda: _hash(algorithm))
        return found.hexdigest().startswith(expected)


def is_offline(flag: bool = False) -> bool:
    """Whether downloads are forbidden, by --offline or by `ZOO_OFFLINE`."""
    return flag or os.environ.get("ZOO_OFFLINE", "").lower() not in ("", "0", "false", "no")


class _MirrorError(Exception):
    """A mirror that does not give the file; the next may."""


class _BrokenOffError(_MirrorError):
    """An answer that ended early; asking again may complete it."""


@dataclass(frozen=True)
class Downloads:
    """Fetches files, or refuses to."""

    offline: bool
    announce: Callable[[str], None]
    """Told what comes from where, how large, to where, before the first byte."""
    progress: Callable[[int, int | None], None]
    """Told the bytes so far and, where it is known, the total."""

    def get(self, file: RemoteFile, directory: Path) -> Path:
        """The file, from `directory` or else from the first mirror that gives it whole.

        What an interrupted download left as `NAME.part` is continued. Two processes that want one
        file fetch it once.

        Raises:
            DataError: offline, or no mirror gives the file.
            DiskError: the disk is full, or there is no permission.
        """
        path = directory / file.name
        if path.is_file() and file.matches(path):
            return path
        if self.offline:
            problem = "is not the original file" if path.is_file() else "is missing"
            raise DataError(
                f"{path} {problem}, and zoo is offline.",
                hint=f"Fetch {file.urls[0]} on another machine and put it at {path}, or run this "
                "without --offline and ZOO_OFFLINE.",
            )
        with disk_errors("write", directory):
            directory.mkdir(parents=True, exist_ok=True)
        with self._locked(path.with_name(f"{path.name}.part")) as part:
            # Another process may have completed it while this one waited.
            if path.is_file() and file.matches(path):
                _discard(part)
            else:
                self._download(file, part, path)
        return path

    @contextmanager
    def _locked(self, part: Path) -> Iterator[IO[bytes]]:
        """The partial file, opened for this process alone."""
        while True:
            with disk_errors("write", part):
                content = open(part, "ab+", buffering=0)  # noqa: SIM115
            with content:
                self._lock(content.fileno(), part)
                # Its last holder renamed or removed it: then this lock guards another file.
                if _is_still(content, part):
                    yield cast(IO[bytes], content)
                    return

    @contextmanager
    def alone(self, directory: Path) -> Iterator[None]:
        """Makes a directory, and keeps others that ask for it out of it meanwhile.

        Raises:
            DiskError: it can't be made.
        """
        with disk_errors("write", directory):
            directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(directory, os.O_RDONLY)
        try:
            self._lock(descriptor, directory)
            yield
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int, path: Path) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.announce(f"waiting for another process that downloads {path}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)

    def _download(self, file: RemoteFile, part: IO[bytes], path: Path) -> None:
        failures = []
        for url in file.mirrors():
            try:
                self._from_mirror(file, url, part, path)
            except _MirrorError as error:
                failures.append(f"  {url}: {error}")
            else:
                with disk_errors("write", path):
                    os.fsync(part.fileno())
                    Path(part.name).replace(path)
                return
        if not _length(part):
            _discard(part)
        tried = "\n".join(failures)
        raise DataError(
            f"{file.name} could not be downloaded:\n{tried}",
            hint=f"Try again later, set ZOO_MIRROR, or put the file at {path}.",
        )

    def _from_mirror(self, file: RemoteFile, url: str, part: IO[bytes], path: Path) -> None:
        """The whole file with the right digest in `part`, which is then flushed."""
        scheme, host = urllib.parse.urlsplit(url)[:2]
        if scheme not in _SCHEMES:
            raise _MirrorError(f"{scheme or 'no scheme'} is not http or https")
        kept = _length(part)
        size = "size unknown" if file.size is None else format_bytes(file.size)
        resumed = f", {format_bytes(kept)} of it are here" if kept else ""
        self.announce(f"downloading {file.name} ({size}{resumed}) from {host or url} to {path}")
        for attempt in range(_TRIES):
            before = _length(part)
            try:
                self._receive(file, url, part)
                break
            except _BrokenOffError:
                # Asking again is for answers that got somewhere, not for a dead server.
                if attempt == _TRIES - 1 or _length(part) == before:
                    raise
        with disk_errors("read", part.name):
            is_right = file.matches(Path(part.name))
        if is_right:
            return
        _truncate(part)
        if kept:  # the fault may lie in what an earlier download left
            self._from_mirror(file, url, part, path)
            return
        raise _MirrorError(f"its content is not the expected one ({file.digest})")

    def _receive(self, file: RemoteFile, url: str, part: IO[bytes]) -> None:
        """One request, which continues what `part` holds if the server can."""
        start = _length(part)
        if file.size is not None and start > file.size:
            start = _truncate(part)
        if file.size is not None and start == file.size:
            return
        try:
            with _open(url, start) as answer:
                self._store(file, answer, part, start)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
                raise _MirrorError(f"HTTP {error.code} {error.reason}") from error
            _truncate(part)
            raise _BrokenOffError("the server refuses to continue the download") from error
        except TimeoutError as error:
            raise _BrokenOffError(f"silent for {SILENCE_SECONDS:g} seconds") from error
        except ConnectionResetError as error:
            raise _BrokenOffError("the connection broke off") from error
        except urllib.error.URLError as error:
            reason = error.reason
            if isinstance(reason, TimeoutError):
                raise _MirrorError(f"no connection in {SILENCE_SECONDS:g} seconds") from error
            raise _MirrorError(str(getattr(reason, "strerror", None) or reason)) from error
        except http.client.IncompleteRead as error:
            raise _BrokenOffError("the answer broke off") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _MirrorError(str(error) or type(error).__name__) from error

    def _store(self, file: RemoteFile, answer: "_Answer", part: IO[bytes], start: int) -> None:
        if start and not _continues(answer, start):
            start = _truncate(part)
        declared = answer.headers.get("Content-Length", "")
        total = start + int(declared) if declared.isdecimal() else None
        expected = total or file.size
        # The digest decides what the file is: a size that we stated wrongly must not.
        limit = total if total is not None else file.size and 2 * file.size
        if expected is not None:
            _check_space(Path(part.name), expected - start)
        done = start
        self.progress(done, expected)
        while chunk := answer.read(_CHUNK):
            done += len(chunk)
            if limit is not None and done > limit:
                _truncate(part)
                raise _MirrorError(f"it sends more than {limit:,} bytes")
            with disk_errors("write", part.name):
                _write_all(part, chunk)
            self.progress(done, expected)
        if total is not None and done < total:
            raise _BrokenOffError(f"it ended after {done:,} of {total:,} bytes")


NO_DOWNLOADS = Downloads(True, lambda _line: None, lambda _done, _total: None)
"""Fetches nothing."""


class _Answer(Protocol):
    """What urllib's openers return."""

    headers: Message

    def read(self, size: int) -> bytes: ...


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to the web alone; urllib refuses a file's, but follows one to FTP."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urllib.parse.urlsplit(newurl).scheme not in _REDIRECTS:
            raise _MirrorError(f"it redirects to {newurl}, which is refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def _open(url: str, start: int) -> Iterator[_Answer]:
    headers = {"User-Agent": f"zoo/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - checked by the caller
    opener = urllib.request.build_opener(_Redirects)
    with opener.open(request, timeout=SILENCE_SECONDS) as answer:
        yield answer


def _continues(answer: _Answer, start: int) -> bool:
    """Whether it holds the rest, not the whole once more."""
    stated = answer.headers.get("Content-Range", "")
    return getattr(answer, "status", None) == http.HTTPStatus.PARTIAL_CONTENT and (
        stated.replace(" ", "").startswith(f"bytes{start}-")
    )


def _is_whole_safetensors(path: Path) -> bool:
    try:
        tensorfile.read_header(path)
    except ModelFileError:
        return False
    return True


def _hash(algorithm: str) -> "hashlib._Hash":
    # MD5 is what the sets' authors publish; it catches damage, and TLS what is worse.
    return hashlib.new(algorithm, usedforsecurity=False)


def _length(part: IO[bytes]) -> int:
    return os.fstat(part.fileno()).st_size


def _truncate(part: IO[bytes]) -> int:
    with disk_errors("write", part.name):
        os.ftruncate(part.fileno(), 0)
    return 0


def _discard(part: IO[bytes]) -> None:
    with disk_errors("remove", part.name):
        Path(part.name).unlink(missing_ok=True)


def _write_all(part: IO[bytes], chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:  # a raw file may take less than it is given
        view = view[part.write(view) :]


def _is_still(content: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(content.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _check_space(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise DiskError(
            f"Can't write {path}: it needs {format_bytes(needed)} more, and "
            f"{format_bytes(free)} are free.",
            hint="Make space, or set ZOO_CACHE to a directory on another disk.",
        )


def format_bytes(number: int) -> str:
    """`170 MB`."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= factor:
            return f"{number / factor:.3g} {unit}"
    return f"{number} bytes"
