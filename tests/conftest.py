"""What many tests share: running the command line, and one trained model."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.mirror import Mirror
from zoo.cli.main import main

# In the processes that tests start, threads that wait do not spin: several share the processor.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@dataclass(frozen=True)
class Ended:
    """How a command line ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """The one document on stdout."""
        document: dict[str, Any] = json.loads(self.stdout)
        return document


@pytest.fixture(autouse=True, scope="session")
def _cache_of_ones_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or fills the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def zoo(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs a command line in this process."""

    def run(*arguments: object) -> Ended:
        capsys.readouterr()
        threads = torch.get_num_threads()
        code = main([str(argument) for argument in arguments])
        torch.set_num_threads(threads)  # --threads is not for the tests that follow
        captured = capsys.readouterr()
        return Ended(int(code), captured.out, captured.err)

    return run


def zoo_process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a command line in a process of its own."""
    command = [sys.executable, "-m", "zoo", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of LeNet-5 on the embedded digits, short but real."""
    run = tmp_path_factory.mktemp("trained") / "run"
    assert main(["train", "lenet5", "--epochs", "6", "-o", str(run), "--quiet", "--json"]) == 0
    return run


@pytest.fixture(scope="session")
def exports(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The trained LeNet-5 as `.onnx` and `.pt2`."""
    from tests.exports import write_exports

    return write_exports(trained / "best.safetensors", tmp_path_factory.mktemp("exports"))


@pytest.fixture(scope="session")
def keras_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What tests/fixtures/make_keras.py made: models that Keras saved, and what they give."""
    directory = tmp_path_factory.mktemp("keras")
    with zipfile.ZipFile(Path(__file__).parent / "fixtures" / "keras.zip") as packed:
        packed.extractall(directory)
    return directory


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """A server of files on this machine, with faults to switch on."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("ZOO_OFFLINE", "ZOO_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    with Mirror() as running:
        yield running
