"""Downloads: every way a mirror fails, and what is left on the disk afterwards."""

import fcntl
import hashlib
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path

import pytest

from tests.mirror import Fault, Mirror
from zoo import __version__, downloads
from zoo.downloads import Downloads, RemoteFile, is_offline
from zoo.errors import DataError, DiskError, ExitCode

CONTENT = random.Random(0).randbytes(1_000_000)


class Watcher:
    """Downloads that remember what they announced and how they went on."""

    def __init__(self, *, offline: bool = False) -> None:
        self.lines: list[str] = []
        self.steps: list[tuple[int, int | None]] = []
        self.downloads = Downloads(
            offline, self.lines.append, lambda done, total: self.steps.append((done, total))
        )


def remote(*urls: str, content: bytes = CONTENT, size: int | None = len(CONTENT)) -> RemoteFile:
    digest = hashlib.sha256(content).hexdigest()
    return RemoteFile("file.bin", urls, f"sha256:{digest}", size, "set")


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_file_arrives_whole(
    algorithm: str, size: int | None, mirror: Mirror, watcher: Watcher, tmp_path: Path
) -> None:
    mirror.files["/file.bin"] = CONTENT
    digest = f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}"
    file = RemoteFile("file.bin", (f"{mirror.url}/file.bin",), digest, size)
    path = watcher.downloads.get(file, tmp_path / "new" / "directory")
    assert path.read_bytes() == CONTENT
    assert os.listdir(path.parent) == ["file.bin"]
    assert watcher.steps[0] == (0, len(CONTENT))
    assert watcher.steps[-1] == (len(CONTENT), len(CONTENT))
    assert [step for step, _ in watcher.steps] == sorted(step for step, _ in watcher.steps)
    assert mirror.requests[0].user_agent == f"zoo/{__version__}"


def test_it_is_announced_before_the_first_byte(
    mirror: Mirror, watcher: Watcher, tmp_path: Path
) -> None:
    watcher.downloads = Downloads(
        False, lambda line: watcher.lines.append(f"{len(mirror.requests)} {line}"), lambda *_: None
    )
    mirror.files["/file.bin"] = CONTENT
    watcher.downloads.get(remote(f"{mirror.url}/file.bin"), tmp_path)
    host = mirror.url.removeprefix("http://")
    assert watcher.lines == [
        f"0 downloading file.bin (1 MB) from {host} to {tmp_path / 'file.bin'}"
    ]


def test_what_is_there_is_not_fetched_again(
    mirror: Mirror, watcher: Watcher, tmp_path: Path
) -> None:
    (tmp_path / "file.bin").write_bytes(CONTENT)
    watcher.downloads.get(remote(f"{mirror.url}/file.bin"), tmp_path)
    assert (mirror.requests, watcher.lines) == ([], [])


def test_what_is_there_but_wrong_is_replaced(
    mirror: Mirror, watcher: Watcher, tmp_path: Path
) -> None:
    mirror.files["/file.bin"] = CONTENT
    (tmp_path / "file.bin").write_bytes(CONTENT[:-1] + b"?")
    path = watcher.downloads.get(remote(f"{mirror.url}/file.bin"), tmp_path)
    assert path.read_bytes() == CONTENT


def test_an_interrupted_download_is_resumed(
    mirror: Mirror, watcher: Watcher, tmp_path: Path
) -> None:
    mirror.files["/file.bin"] = CONTENT
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:300_000])
    path = watcher.downloads.get(remote(f"{mirror.url}/file.bin"), tmp_path)
    assert path.read_bytes() == CONTENT
    assert mirror.ranges == ["bytes=300000-"]
    assert watcher.steps[0] == (300_000, len(CONTENT))
    assert "300 kB of it are here" in watcher.lines[0]


def test_a_cut_answer_is_resumed_at_once(mirror: Mirror, watcher: Watcher, tmp_path: Path) -> None:
    mirror.files["/file.bin"] = CONTENT
    mirror.faults["/file.bin"] = Fault(times=3, cut_after=200_000)
    path = watcher.downloads.get(remote(f"{mirror.url}/file.bin"), tmp_path)
    assert path.read_bytes() == CONTENT
    assert mirror.ranges == [None, "bytes=200000-", "bytes=400000-", "bytes=600000-"]


def test_a_mirror_that_always_cuts_gives_way_to_the_next(
    mirror: Mirror, watcher: Watcher, tmp_path: Path
) -> None:
    mirror.files.update({"/bad": CONTENT, "/good": CONTENT})
    mirror.faults["/bad"] = Fault(cut_after=100_000)
    file = remote(f"{mirror.url}/bad", f"{mirror.url}/good")
    assert watcher.downloads.get(file, tmp_path).read_bytes() == CONTENT
    assert [request.path for request in mirror.requests] == ["/bad"] * 4 + ["/good"]
    assert mirror.ranges[-1] == "bytes=400000-"


def test_a_server_that_ignores_ranges_starts_anew(
    mirror: Mirror, watcher: Watcher, tmp_path: Path
) -> None:
    mirror.files["/file.bin"] = CONTENT
    mirror.faults["/file.bin"] = Fault(ignores_range=True)
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:300_000])
    path = watcher.downloads.get(remote(f"{mirror.url}/file.bin"), tmp_path)
    assert path.read_bytes() == CONTENT
    assert mirror.ranges == ["bytes=300000-"]
    assert watcher.steps[0][0] == 0


@pytest.mark.parametrize("left", [len(CONTENT), len(CONTENT) + 5])
def test_a_part_beyond_the_end_starts_anew(
    left: int, mirror: Mirror, watcher: Watcher, tmp_path: Path
) -> None:
    mirror.files["/file.bin"] = CONTENT
    (tmp_path / "file.bin.part").write_bytes(b"x" * left)
    file = remote(f"{mirror.url}/file.bin", size=None)
    assert watcher.downloads.get(file, tmp_path).read_bytes() == CONTENT
    assert mirror.ranges == [f"bytes={left}-", None]  # the server says 416


def test_a_part_with_other_content_is_not_the_mirrors_fault(
    mirror: Mirror, watcher: Watcher, tmp_path: Path
) -> None:
    mirror.files["/file.bin"] = CONTENT
    (tmp_path / "file.bin.part").write_bytes(b"x" * 300_000)
    path = watcher.downloads.get(remote(f"{mirror.url}/file.bin"), tmp_path)
    assert path.read_bytes() == CONTENT
    assert mirror.ranges == ["bytes=300000-", None]


@pytest.mark.parametrize("wrong", [b"?" + CONTENT[1:], CONTENT[:-1], CONTENT + b"?", b"<html>"])
@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_wrong_content_leaves_nothing(
    wrong: bytes, size: int | None, mirror: Mirror, watcher: Watcher, tmp_path: Path
) -> None:
    mirror.files["/file.bin"] = wrong
    with pytest.raises(DataError, match=f"{mirror.url}/file.bin: it") as caught:
        watcher.downloads.get(remote(f"{mirror.url}/file.bin", size=size), tmp_path)
    assert caught.value.code == ExitCode.DATA
    assert os.listdir(tmp_path) == []


def test_a_body_without_a_length_ends_at_twice_the_stated_size(
    mirror: Mirror, watcher: Watcher, tmp_path: Path
) -> None:
    mirror.files["/file.bin"] = CONTENT * 20
    mirror.faults["/file.bin"] = Fault(no_length=True)
    with pytest.raises(DataError, match="more than 2,000,000 bytes"):
        watcher.downloads.get(remote(f"{mirror.url}/file.bin"), tmp_path)
    assert max(done for done, _ in watcher.steps) <= 2 * len(CONTENT)
    assert os.listdir(tmp_path) == []


def test_a_size_stated_wrongly_stops_no_download(
    mirror: Mirror, watcher: Watcher, tmp_path: Path
) -> None:
    mirror.files["/file.bin"] = CONTENT
    for index, size in enumerate((len(CONTENT) - 7, len(CONTENT) + 7, 3)):
        directory = tmp_path / str(index)
        file = remote(f"{mirror.url}/file.bin", size=size)
        assert watcher.downloads.get(file, directory).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_each_mirror_is_tried_in_order(
    status: int, mirror: Mirror, watcher: Watcher, tmp_path: Path
) -> None:
    mirror.files.update({"/wrong": CONTENT[::-1], "/good": CONTENT, "/unneeded": CONTENT})
    mirror.faults["/broken"] = Fault(status=status)
    paths = ("/broken", "/wrong", "/good", "/unneeded")
    file = remote(*(mirror.url + path for path in paths))
    assert watcher.downloads.get(file, tmp_path).read_bytes() == CONTENT
    assert tuple(request.path for request in mirror.requests) == paths[:3]
    assert len(watcher.lines) == 3


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_error_names_each_mirror_and_its_reason(
    mirror: Mirror, watcher: Watcher, tmp_path: Path
) -> None:
    mirror.files["/wrong"] = CONTENT[::-1]
    mirror.faults["/secret"] = Fault(status=403)
    urls = (
        f"{mirror.url}/secret",
        f"{mirror.url}/wrong",
        f"http://127.0.0.1:{free_port()}/refused",
        mirror.url.replace("http", "https") + "/no-tls",
        "ftp://127.0.0.1/old",
    )
    with pytest.raises(DataError) as caught:
        watcher.downloads.get(remote(*urls), tmp_path)
    lines = caught.value.message.splitlines()
    reasons = ("HTTP 403", "not the expected one", "refused", "SSL", "not http or https")
    for url, reason, line in zip(urls, reasons, lines[1:], strict=True):
        assert line.startswith(f"  {url}: ")
        assert reason in line
    assert str(tmp_path / "file.bin") in caught.value.hint
    assert os.listdir(tmp_path) == []


def test_a_silent_server_is_given_up(
    mirror: Mirror, watcher: Watcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "SILENCE_SECONDS", 0.1)
    mirror.files.update({"/slow": CONTENT, "/good": CONTENT})
    mirror.faults["/slow"] = Fault(silent_seconds=0.5)
    file = remote(f"{mirror.url}/slow", f"{mirror.url}/good")
    assert watcher.downloads.get(file, tmp_path).read_bytes() == CONTENT
    assert [request.path for request in mirror.requests] == ["/slow", "/good"]
    with pytest.raises(DataError, match=r"silent for 0\.1 seconds"):
        watcher.downloads.get(remote(f"{mirror.url}/slow"), tmp_path / "other")


def test_redirects_are_followed_to_the_web_alone(
    mirror: Mirror, watcher: Watcher, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    mirror.files["/good"] = CONTENT
    mirror.faults["/moved"] = Fault(redirect="/good")
    path = watcher.downloads.get(remote(f"{mirror.url}/moved"), tmp_path / "a")
    assert path.read_bytes() == CONTENT
    for target in (secret.as_uri(), "ftp://127.0.0.1/x"):
        mirror.faults["/evil"] = Fault(redirect=target)
        with pytest.raises(DataError, match=r"is refused|is not allowed"):
            watcher.downloads.get(remote(f"{mirror.url}/evil"), tmp_path / "b")
    assert os.listdir(tmp_path / "b") == []


def test_a_file_url_works_and_resumes_by_starting_anew(watcher: Watcher, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(CONTENT)
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:100])
    path = watcher.downloads.get(remote((tmp_path / "source").as_uri()), tmp_path)
    assert path.read_bytes() == CONTENT
    with pytest.raises(DataError, match="file:///"):
        watcher.downloads.get(remote((tmp_path / "nowhere").as_uri()), tmp_path / "other")


def test_offline_says_what_to_fetch_and_where_to_put_it(mirror: Mirror, tmp_path: Path) -> None:
    offline = Watcher(offline=True).downloads
    url = f"{mirror.url}/file.bin"
    with pytest.raises(DataError) as caught:
        offline.get(remote(url), tmp_path / "data")
    assert url in caught.value.hint
    assert str(tmp_path / "data" / "file.bin") in caught.value.hint
    assert mirror.requests == []
    assert not (tmp_path / "data").exists()
    (tmp_path / "file.bin").write_bytes(CONTENT)
    assert offline.get(remote(url), tmp_path) == tmp_path / "file.bin"


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), ("yes", True), ("0", False), ("", False)]
)
def test_zoo_offline(value: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_OFFLINE", value)
    assert is_offline() is expected
    assert is_offline(True)
    monkeypatch.delenv("ZOO_OFFLINE")
    assert not is_offline(False)


def test_zoo_mirror_comes_first(
    mirror: Mirror, watcher: Watcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_MIRROR", f"{mirror.url}/inner/")
    mirror.files.update({"/inner/set/file.bin": CONTENT, "/outer": CONTENT})
    watcher.downloads.get(remote(f"{mirror.url}/outer"), tmp_path / "a")
    del mirror.files["/inner/set/file.bin"]
    watcher.downloads.get(remote(f"{mirror.url}/outer"), tmp_path / "b")
    asked = [request.path for request in mirror.requests]
    assert asked == ["/inner/set/file.bin", "/inner/set/file.bin", "/outer"]


def test_a_full_disk_is_told_before_the_first_byte(
    mirror: Mirror, watcher: Watcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 999_999, 1))
    mirror.files["/file.bin"] = CONTENT
    with pytest.raises(DiskError, match="needs 1 MB more, and 1 bytes are free"):
        watcher.downloads.get(remote(f"{mirror.url}/file.bin"), tmp_path)
    assert watcher.steps == []


def test_a_disk_that_fills_up_is_no_fault_of_the_mirror(
    mirror: Mirror, watcher: Watcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(part: object, chunk: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(downloads, "_write_all", full)
    mirror.files.update({"/one": CONTENT, "/two": CONTENT})
    with pytest.raises(DiskError, match="No space left"):
        watcher.downloads.get(remote(f"{mirror.url}/one", f"{mirror.url}/two"), tmp_path)
    assert len(mirror.requests) == 1


def test_an_interrupt_leaves_the_part_for_resuming(
    mirror: Mirror, watcher: Watcher, tmp_path: Path
) -> None:
    def interrupt(done: int, total: int | None) -> None:
        if done > 400_000:
            raise KeyboardInterrupt

    mirror.files["/file.bin"] = CONTENT
    file = remote(f"{mirror.url}/file.bin")
    with pytest.raises(KeyboardInterrupt):
        Downloads(False, watcher.lines.append, interrupt).get(file, tmp_path)
    left = (tmp_path / "file.bin.part").read_bytes()
    assert len(left) > 400_000
    assert CONTENT.startswith(left)
    assert watcher.downloads.get(file, tmp_path).read_bytes() == CONTENT
    assert mirror.ranges == [None, f"bytes={len(left)}-"]


SCRIPT = """
import sys
from pathlib import Path
from zoo.downloads import Downloads, RemoteFile
url, digest, directory = sys.argv[1:]
file = RemoteFile("file.bin", (url,), digest, 1_000_000)
downloads = Downloads(False, lambda line: None, lambda done, total: None)
print(downloads.get(file, Path(directory)))
"""


def test_processes_that_want_one_file_fetch_it_once(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files["/file.bin"] = CONTENT
    mirror.faults["/file.bin"] = Fault(silent_seconds=1.0)
    file = remote(f"{mirror.url}/file.bin")
    command = [sys.executable, "-c", SCRIPT, file.urls[0], file.digest, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    for process in processes:
        output, _ = process.communicate(timeout=60)
        assert (process.returncode, output.decode().strip()) == (0, str(tmp_path / "file.bin"))
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["file.bin"]
    assert len(mirror.requests) == 1


def test_the_second_waits_and_says_so(mirror: Mirror, watcher: Watcher, tmp_path: Path) -> None:
    mirror.files["/file.bin"] = CONTENT
    file = remote(f"{mirror.url}/file.bin")
    with (tmp_path / "file.bin.part").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = threading.Thread(target=watcher.downloads.get, args=(file, tmp_path))
        second.start()
        while not watcher.lines:
            second.join(0.01)
        assert "waiting for another process" in watcher.lines[0]
        assert mirror.requests == []
        (tmp_path / "file.bin").write_bytes(CONTENT)  # the first has it
        (tmp_path / "file.bin.part").unlink()
    second.join(30)
    assert not second.is_alive()
    assert mirror.requests == []
    assert os.listdir(tmp_path) == ["file.bin"]


def test_a_part_that_its_holder_gave_up_is_begun_anew(
    mirror: Mirror, watcher: Watcher, tmp_path: Path
) -> None:
    mirror.files["/file.bin"] = CONTENT
    file = remote(f"{mirror.url}/file.bin")
    with (tmp_path / "file.bin.part").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = threading.Thread(target=watcher.downloads.get, args=(file, tmp_path))
        second.start()
        while not watcher.lines:
            second.join(0.01)
        (tmp_path / "file.bin.part").unlink()  # the first found no mirror
    second.join(30)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["file.bin"]


def test_nothing_is_written_where_that_is_forbidden(mirror: Mirror, watcher: Watcher) -> None:
    with pytest.raises(DiskError):
        watcher.downloads.get(remote(f"{mirror.url}/file.bin"), Path("/proc/zoo"))
