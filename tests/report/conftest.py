"""A run whose names are hostile, and its page."""

import shutil
from pathlib import Path

import pytest
import torch

from tests.pictures import write_folder
from zoo.cli.main import main
from zoo.precision import Precision
from zoo.report.looking import Access, Look, look
from zoo.report.single import run_page
from zoo.runs import open_run

SCRIPT = "<script>alert(1)<"
NAMES = {"circle": SCRIPT, "square": "a\"b' & $\\frac{{ 7*7 }}", "triangle": "x" * 90}


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on pictures whose classes are named to break out of a page."""
    directory = tmp_path_factory.mktemp("hostile")
    root = write_folder(directory / "pictures & <b>", count=60)
    for name, odd in NAMES.items():
        shutil.move(root / name, root / odd)
    run = directory / "run"
    words = ["train", "lenet5", "--data", str(root), "--epochs", "2", "--threads", "1"]
    words += ["--set", "dataset.test=0.3", "--set", "augment.rotation_range=40"]
    assert main([*words, "-o", str(run), "--quiet", "--json"]) == 0
    return run


@pytest.fixture(scope="session")
def seen(hostile: Path) -> Look:
    """What its weights and pictures show."""
    return look(hostile, Access(Precision("fp32", torch.device("cpu"))))


@pytest.fixture(scope="session")
def page(hostile: Path, seen: Look) -> str:
    """Its page."""
    return run_page(open_run(str(hostile)), seen)
