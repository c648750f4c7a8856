"""`zoo data fetch`, end to end with a server on this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ended
from tests.data.sources.fakes import mnist_files, publish
from tests.mirror import Fault, Mirror

Zoo = Callable[..., Ended]
FILES = mnist_files()


@pytest.fixture
def cache(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; kmnist's own servers are down, and ZOO_MIRROR has tiny files."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    publish("kmnist", FILES, "http://127.0.0.1:1", monkeypatch)
    mirror.files = {f"/inner/kmnist/{name}": content for name, content in FILES.items()}
    monkeypatch.setenv("ZOO_MIRROR", f"{mirror.url}/inner")
    return tmp_path / "cache" / "data"


def test_a_set_is_fetched_and_then_complete(zoo: Zoo, cache: Path, mirror: Mirror) -> None:
    ended = zoo("data", "fetch", "kmnist", "--json")
    assert ended.code == 0, ended.stdout
    total = sum(len(content) for content in FILES.values())
    (fetched,) = ended.json["fetched"]
    assert fetched == {
        "name": "kmnist",
        "path": str(cache / "kmnist"),
        "bytes": total,
        "files": list(fetched["files"]),
    }
    assert sorted(fetched["files"]) == sorted(FILES) == sorted(os.listdir(cache / "kmnist"))
    host = mirror.url.removeprefix("http://")
    lines = [line for line in ended.stderr.splitlines() if line.startswith("downloading ")]
    assert len(lines) == 4
    assert all(f"from {host} to {cache / 'kmnist'}" in line for line in lines)

    asked = len(mirror.requests)
    ended = zoo("data", "fetch", "kmnist", "--offline")
    assert ended.code == 0
    assert ended.stdout == f"kmnist: {cache / 'kmnist'}\n"
    assert ended.stderr == f"kmnist is complete: {cache / 'kmnist'}\n"
    assert len(mirror.requests) == asked


def test_what_is_fetched_trains(zoo: Zoo, cache: Path, tmp_path: Path) -> None:
    assert zoo("data", "fetch", "kmnist", "--quiet").stderr == ""
    (tmp_path / "kmnist.yaml").write_text("dataset: {source: kmnist}\n")
    flags = ("--recipe", tmp_path / "kmnist.yaml", "--max-steps", 1, "-o", tmp_path / "run")
    ended = zoo("train", "lenet5", *flags, "--json")
    assert ended.code == 0, ended.stdout


@pytest.mark.parametrize("how", ["flag", "environment"])
def test_offline_is_exit_4(
    how: str, zoo: Zoo, cache: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_OFFLINE", "1" if how == "environment" else "0")
    flags = ["--offline"] if how == "flag" else []
    ended = zoo("data", "fetch", "kmnist", *flags, "--json")
    assert ended.code == 4
    assert str(cache / "kmnist" / "train-images-idx3-ubyte.gz") in ended.json["error"]["hint"]
    assert ended.json["fetched"] == []
    assert mirror.requests == []


def test_wrong_content_is_exit_4_and_leaves_no_file(zoo: Zoo, cache: Path, mirror: Mirror) -> None:
    mirror.files["/inner/kmnist/train-labels-idx1-ubyte.gz"] = b"<html>Please log in</html>"
    ended = zoo("data", "fetch", "kmnist", "--json")
    assert ended.code == 4
    message = ended.json["error"]["message"]
    assert f"{mirror.url}/inner/kmnist/train-labels-idx1-ubyte.gz: its content is not" in message
    assert "http://127.0.0.1:1/train-labels-idx1-ubyte.gz: Connection refused" in message
    assert os.listdir(cache / "kmnist") == ["train-images-idx3-ubyte.gz"]


def test_what_was_fetched_stands_beside_the_error(
    zoo: Zoo, cache: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("mnist", FILES, "http://127.0.0.1:1", monkeypatch)
    mirror.faults["/inner/mnist/train-images-idx3-ubyte.gz"] = Fault(status=403)
    ended = zoo("data", "fetch", "kmnist", "mnist", "--json")
    assert ended.code == 4
    assert [one["name"] for one in ended.json["fetched"]] == ["kmnist"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("digits", "digits needs no download: it comes with zoo"),
        ("shapes", "shapes needs no download: it comes with zoo"),
        ("folder", "folder needs no download"),
        ("csv", "csv needs no download"),
        ("idx", "idx needs no download"),
        ("kmnst", "Did you mean kmnist?"),
        ("torchvision/DTE", "Did you mean torchvision/DTD?"),
        ("torchvision/CocoDetection", "no set of labelled pictures"),
    ],
)
def test_what_can_not_be_fetched_is_a_usage_error(
    name: str, words: str, zoo: Zoo, cache: Path, mirror: Mirror
) -> None:
    ended = zoo("data", "fetch", "kmnist", name)
    assert ended.code == 2
    assert words in ended.stderr
    assert mirror.requests == []  # told before anything is downloaded


def test_imagenet_says_where_to_register(zoo: Zoo, cache: Path) -> None:
    ended = zoo("data", "fetch", "imagenet")
    assert ended.code == 4
    assert "https://image-net.org" in ended.stderr


def test_a_terminal_gets_a_bar(
    zoo: Zoo, cache: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.cli.output.Output.animated", True)
    ended = zoo("data", "fetch", "kmnist")
    assert ended.code == 0
    assert ended.stderr.count("downloading ") >= 4
    assert sorted(os.listdir(cache / "kmnist")) == sorted(FILES)


PROCESS = """
import sys
import pytest
from tests.data.sources.fakes import mnist_files, publish
from zoo.__main__ import run

publish("kmnist", mnist_files(), "http://127.0.0.1:1", pytest.MonkeyPatch())
sys.argv = ["zoo", "data", "fetch", "kmnist", "--json"]
run()
"""


def test_ctrl_c_is_exit_130_and_the_next_run_resumes(cache: Path, mirror: Mirror) -> None:
    name = "train-images-idx3-ubyte.gz"
    path = f"/inner/kmnist/{name}"
    mirror.faults[path] = Fault(times=2, cut_after=100)  # then it stays silent
    mirror.faults[path].silent_seconds = 0.5
    process = subprocess.Popen([sys.executable, "-c", PROCESS], stdout=subprocess.PIPE)
    part = cache / "kmnist" / f"{name}.part"
    deadline = time.monotonic() + 60
    while not (part.is_file() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, json.loads(output)["error"]["code"]) == (130, 130)
    left = part.read_bytes()
    assert left
    assert FILES[name].startswith(left)

    mirror.faults.clear()
    asked = len(mirror.requests)
    ended = subprocess.run([sys.executable, "-c", PROCESS], stdout=subprocess.PIPE)
    assert ended.returncode == 0
    assert mirror.requests[asked].range == f"bytes={len(left)}-"
    assert (cache / "kmnist" / name).read_bytes() == FILES[name]


def test_two_processes_at_once_fetch_each_file_once(cache: Path, mirror: Mirror) -> None:
    for name in FILES:
        mirror.faults[f"/inner/kmnist/{name}"] = Fault(silent_seconds=0.3)
    command = [sys.executable, "-c", PROCESS]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    fetched = []
    for process in both:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        fetched.append(json.loads(output)["fetched"][0]["bytes"])
    assert sorted(fetched) == [0, sum(len(content) for content in FILES.values())]
    assert len(mirror.requests) == len(FILES)
    assert sorted(os.listdir(cache / "kmnist")) == sorted(FILES)
