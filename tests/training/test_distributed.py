"""Several processes, started as users do: by torchrun."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from tests.conftest import zoo_process
from zoo.data.augment import Part, augment
from zoo.data.loader import Shard, TrainingBatches, batch_sizes
from zoo.schema import Augment

# 27 training pictures in the last batch, whose gradients two batches of an epoch's end share.
OPTIONS = (
    "--recipe", "digits", "--epochs", "2", "--precision", "fp32", "--threads", "1",
    "--set", "train.batch_size=65", "--set", "train.accumulate=2",
    "--set", "train.class_weights=balanced",
)  # fmt: skip


def torchrun(processes: int, *arguments: str) -> "subprocess.Popen[str]":
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone",
        "--nproc-per-node", str(processes), *arguments,
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def launch(
    processes: int, *arguments: object, options: Sequence[str] = ()
) -> "subprocess.Popen[str]":
    return torchrun(processes, *options, "-m", "zoo", "train", *map(str, arguments))


def rows(run: Path) -> list[dict[str, float]]:
    with (run / "results.csv").open() as file:
        return [
            {key: float(value) for key, value in row.items() if "second" not in key}
            for row in csv.DictReader(file)
        ]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes."""
    run = tmp_path_factory.mktemp("two") / "run"
    process = launch(2, "lenet5", *OPTIONS, "-o", run)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    assert "2 processes share each batch of 65, lr 0.002" in output
    assert output.count("test accuracy") == 1  # one writer, one printer
    return run


def test_two_processes_have_the_loss_curve_of_one(two: Path, tmp_path: Path) -> None:
    one = tmp_path / "one"
    assert zoo_process("train", "lenet5", *OPTIONS, "-o", one).returncode == 0
    assert len(rows(one)) == len(rows(two)) == 2
    for ours, theirs in zip(rows(one), rows(two), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)
        assert ours["train_top1"] == theirs["train_top1"]  # no picture left out or taken twice


def test_one_process_of_torchrun_is_plain_training(tmp_path: Path) -> None:
    plain, launched = tmp_path / "plain", tmp_path / "launched"
    options = ("lenet5", "--max-steps", "3", "--threads", "1")
    assert zoo_process("train", *options, "-o", plain).returncode == 0
    process = launch(1, *options, "-o", launched)
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output
    for name in ("last.safetensors", "best.safetensors"):
        assert (plain / name).read_bytes() == (launched / name).read_bytes()


def test_no_thread_of_the_exchange_outlives_it(tmp_path: Path) -> None:
    # One that frees a tensor while the interpreter ends aborts the process.
    script = tmp_path / "script.py"
    script.write_text(
        "import atexit, os, pathlib\n"
        "@atexit.register\n"
        "def count():\n"
        "    names = [p.read_text() for p in pathlib.Path('/proc/self/task').glob('*/comm')]\n"
        "    count = sum('gloo' in name for name in names)\n"
        "    pathlib.Path(__file__ + os.environ['RANK']).write_text(f'{count} of gloo')\n"
        "from zoo.__main__ import run\n"
        "run()\n"
    )
    arguments = ("train", "lenet5", "--max-steps", "2", "-o", str(tmp_path / "run"))
    process = torchrun(2, str(script), *arguments)
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output
    assert [Path(f"{script}{rank}").read_text() for rank in range(2)] == ["0 of gloo"] * 2


def workers(launcher: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(launcher)], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_is_started_again_and_nothing_is_lost(
    rank: int, two: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = launch(
        2, "lenet5", *OPTIONS, "--checkpoint-every", "3", "-o", run, options=["--max-restarts=1"]
    )
    try:
        deadline = time.monotonic() + 60
        while not (run / "results.csv").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(workers(process.pid)[rank], signal.SIGKILL)
        output, _ = process.communicate(timeout=150)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == 0, output
    assert "going on after" in output
    assert (run / "last.safetensors").read_bytes() == (two / "last.safetensors").read_bytes()
    assert rows(run) == rows(two)


def test_a_batch_too_small_to_share(tmp_path: Path) -> None:
    process = launch(2, "lenet5", "--batch-size", "3", "-o", tmp_path / "run")
    output, _ = process.communicate(timeout=100)
    assert process.returncode != 0
    assert "A batch of 3 pictures is too small for 2 processes" in output
    assert not (tmp_path / "run").exists()


def test_the_parts_are_all_of_the_pictures_once() -> None:
    for total in (0, 1, 5, 64, 101):
        for count in (1, 2, 3, 7):
            parts = [list(range(total))[Shard(i, count).part(total)] for i in range(count)]
            assert [picture for part in parts for picture in part] == list(range(total))
            assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_last_batch_that_can_not_be_shared_joins_the_one_before() -> None:
    assert batch_sizes(67, 32) == [32, 32, 3]
    assert batch_sizes(67, 32, processes=2) == [32, 35]
    assert batch_sizes(68, 32, processes=2) == [32, 32, 4]


EVERYTHING = Augment.model_validate(
    {
        "rotation_range": 20, "width_shift_range": 0.1, "zoom_range": 0.2, "horizontal_flip": True,
        "random_crop": 2, "random_resized_crop": True, "rand_augment": True,
        "color_jitter": {"brightness": 0.4, "contrast": 0.3, "hue": 0.1},
        "brightness_range": (0.8, 1.2), "channel_shift_range": 10, "gaussian_blur": True,
        "random_erasing": True,
    }
)  # fmt: skip


def test_a_pictures_augmentation_does_not_depend_on_who_has_it() -> None:
    images = torch.randint(0, 256, (9, 3, 16, 16), dtype=torch.uint8)
    whole = augment(images, EVERYTHING, torch.Generator().manual_seed(3))
    for start, stop in ((0, 4), (4, 9), (2, 3)):
        part = augment(
            images[start:stop], EVERYTHING, torch.Generator().manual_seed(3), Part(start, 9)
        )
        torch.testing.assert_close(part, whole[start:stop])


def test_the_shards_of_a_batch_make_the_batch() -> None:
    from tests.data.test_loader import PREPROCESSING, pictures

    def batches(shard: Shard) -> TrainingBatches:
        settings = Augment(brightness_range=(0.5, 1.5))
        return TrainingBatches(
            pictures(23), PREPROCESSING, batch_size=8, seed=1, settings=settings, shard=shard
        )

    for whole, *parts in zip(
        batches(Shard()).epoch(2), *(batches(Shard(i, 3)).epoch(2) for i in range(3)), strict=True
    ):
        torch.testing.assert_close(torch.cat([part.images for part in parts]), whole.images)
        assert torch.equal(torch.cat([part.targets for part in parts]), whole.targets)
        assert {part.step_images for part in parts} == {len(whole.targets)}
