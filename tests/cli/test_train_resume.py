"""`zoo train --resume`, `--find-lr` and what goes with them, as a user meets them."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ended, zoo_process

Zoo = Callable[..., Ended]
OPTIONS = (
    "keras-mnist-cnn", "--epochs", "3", "--checkpoint-every", "2", "--set", "dataset.test=0.5",
    "--set", "train.ema_decay=0.9", "--set", "augment.mixup=0.2",
)  # fmt: skip


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "results.csv").open() as file:
        found = list(csv.DictReader(file))
    for row in found:
        del row["seconds"], row["images_per_second"]
    return found


def begun(*arguments: object, when: Callable[[], bool]) -> "subprocess.Popen[str]":
    """A training in a process of its own, as soon as something has happened."""
    command = [sys.executable, "-m", "zoo", "train", *map(str, arguments), "--json"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 120
    while not when():
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return process


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    run = tmp_path_factory.mktemp("whole") / "run"
    assert zoo_process("train", *OPTIONS, "-o", run).returncode == 0
    return run


@pytest.mark.parametrize("moment", ["at once", "within an epoch", "at an epoch's end"])
def test_a_killed_run_goes_on_to_the_same_bits(moment: str, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    state = run / "state.safetensors"
    awaited = {
        "at once": state.exists,
        "within an epoch": lambda: state.exists() and rb"\"step\":4" in state.read_bytes(),
        "at an epoch's end": (run / "results.csv").exists,
    }
    process = begun(*OPTIONS, "-o", run, when=awaited[moment])
    process.kill()
    process.communicate()
    assert json.loads((run / "run.json").read_text())["status"] == "running"
    resumed = zoo_process("train", "--resume", run, "--json")
    assert resumed.returncode == 0, resumed.stdout
    document = json.loads(resumed.stdout)
    assert (document["status"], document["epochs"], document["run"]) == ("finished", 3, str(run))
    for name in ("last.safetensors", "best.safetensors", "split.csv"):
        assert (run / name).read_bytes() == (whole / name).read_bytes()
    assert rows(run) == rows(whole)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_how_to_go_on(number: int, code: int, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = begun(
        *("keras-mnist-cnn", "--threads", 1, "--epochs", 500, "-o", run),
        when=(run / "results.csv").exists,
    )
    sent = time.monotonic()
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - sent < 5
    assert process.returncode == code
    document = json.loads(output)
    assert document["resume"] == f"zoo train --resume {run}"
    assert document["error"]["hint"] == document["resume"]
    assert json.loads((run / "run.json").read_text())["exit_code"] == code
    going_on = zoo_process("train", "--resume", run, "--max-steps", 1, "--override")
    assert going_on.returncode == 0, going_on.stderr


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    run = tmp_path / "run"
    slow = ("--recipe", "shapes", "--batch-size", 1200, "--input-size", 96)
    # An epoch has just been saved; the next one's only batch takes about a second. One thread:
    # where the processor is shared, two that wait for each other take minutes.
    process = begun(
        *("lenet5", *slow, "--threads", 1, "--epochs", 500, "-o", run),
        when=(run / "state.safetensors").exists,
    )
    time.sleep(0.2)
    state = (run / "state.safetensors").read_bytes()
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)  # 500 epochs would take ten times as long
    assert process.returncode == 130
    assert not list(run.glob(".zoo-*")), "half a file is left"
    if "resume" not in json.loads(output):  # else the batch ended between the two
        assert (run / "state.safetensors").read_bytes() == state
    assert zoo_process("train", "--resume", run, "--max-steps", 1, "--override").returncode == 0


def test_a_second_writer_is_refused_quickly(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = begun("lenet5", "--epochs", 500, "-o", run, when=(run / "results.csv").exists)
    try:
        for arguments in (["--resume", run], ["lenet5", "-o", run, "--force"]):
            ended = zoo_process("train", *arguments, "--json")
            assert ended.returncode == 7
            assert json.loads(ended.stdout)["error"]["kind"] == "RunInUseError"
    finally:
        process.kill()
        process.communicate()
    assert zoo_process("train", "--resume", run, "--max-steps", 1, "--override").returncode == 0


def test_a_lock_is_found_before_torch_is_imported(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    script = (
        "import fcntl, sys\n"
        f"file = open({str(tmp_path / '.lock')!r}, 'w')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "from zoo.cli.main import main\n"
        f"code = main(['train', '--resume', {str(tmp_path)!r}])\n"
        "print(code, 'torch' in sys.modules)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.stdout == "7 False\n", ended.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("--resume RUN lenet5", "MODEL can't go with --resume"),
        ("--resume RUN -o OUT", "--output can't go with --resume"),
        ("--resume RUN --weights RUN --force", "--force and --weights can't go with --resume"),
        ("--resume RUN --set c1.out_channels=3", "LAYER.FIELD can't go with --resume"),
        ("--resume RUN --find-lr", "--resume can't go with --find-lr"),
        ("lenet5 --find-lr --lr 1 --epochs 2", "--epochs and --lr can't go with --find-lr"),
        ("lenet5 --find-lr --patience 0", "--patience can't go with --find-lr"),
        ("lenet5 --find-lr --set train.lr=1", "train.lr can't go with --find-lr"),
        ("lenet5 --override", "--override goes with --resume"),
        ("", "MODEL is missing"),
        ("--resume OUT", "is no run"),
        ("--resume RUN --lr 0.5", "train.lr: 0.002 before, 0.5 now"),
        ("--resume RUN --recipe shapes", "dataset.source: digits before, shapes now"),
        ("lenet5 --optimizer adm", "Did you mean adam?"),
        ("lenet5 --schedule cosin", "Did you mean cosine?"),
        ("lenet5 --set train.aux_weight=0.5", "has no auxiliary classifiers"),
        ('lenet5 --set train.class_weights={"x":2}', "'x', which is no class"),
        ("lenet5 --set train.class_weights=[1,2]", "2 numbers, but there are 10 classes"),
        ("lenet5 --patience 2 --set dataset.validation=0", "there are none"),
        ("lenet5 --schedule plateau --set dataset.validation=0", "no validation pictures"),
        ("lenet5 --set train.momentum=0.5", "applies to optimizer sgd and rmsprop only"),
        ("lenet5 --precision fp17", "fp17"),
    ],
)
def test_what_means_nothing_is_refused(
    arguments: str, reason: str, trained: Path, zoo: Zoo, in_tmp: Path
) -> None:
    places = {"RUN": str(trained), "OUT": str(in_tmp / "out")}
    ended = zoo("train", *(places.get(word, word) for word in arguments.split()))
    assert ended.code in (2, 3), ended.stderr
    assert reason in ended.stderr
    assert list(in_tmp.iterdir()) == []


def test_resuming_a_finished_run_says_the_same_again(trained: Path, zoo: Zoo) -> None:
    before = (trained / "best.safetensors").read_bytes()
    test = json.loads((trained / "run.json").read_text())["test"]
    ended = zoo("train", "--resume", trained, "--json")
    assert ended.code == 0, ended.stdout
    assert ended.json["test"] == test
    assert (trained / "best.safetensors").read_bytes() == before


def test_the_rate_finder(zoo: Zoo, in_tmp: Path) -> None:
    ended = zoo("train", "lenet5", "--find-lr", "--json")
    assert ended.code == 0, ended.stdout
    found = ended.json
    assert 1e-4 < found["suggestion"] < 0.1
    assert len(found["rates"]) == len(found["losses"]) == len(found["smoothed"])
    assert found["output"] == "lenet5-digits-lr.png"
    assert Path(found["output"]).read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in in_tmp.iterdir()] == ["lenet5-digits-lr.png"]  # no run
    again = zoo("train", "lenet5", "--find-lr")
    assert (again.code, "exists" in again.stderr) == (2, True)
    assert zoo("train", "lenet5", "--find-lr", "-o", "other.png", "--quiet").code == 0


def test_early_stopping(zoo: Zoo, tmp_path: Path) -> None:
    ended = zoo(
        "train", "lenet5", "--epochs", 50, "--patience", 1, "--lr", 1e-9, "-o", tmp_path / "run",
        "--set", "train.min_delta=0.5", "--set", "dataset.test=0.6", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.stdout
    assert ended.json["epochs"] == 2


def test_tensorboard_and_determinism(zoo: Zoo, tmp_path: Path) -> None:
    for name in ("1", "2"):
        ended = zoo(
            "train", "lenet5", "--max-steps", 2, "--tensorboard", "--deterministic",
            "-o", tmp_path / name,
        )  # fmt: skip
        assert ended.code == 0, ended.stderr
        assert len(list((tmp_path / name / "tensorboard").iterdir())) == 1
    first, second = ((tmp_path / name / "last.safetensors").read_bytes() for name in ("1", "2"))
    assert first == second


def test_out_of_memory_names_a_batch_size_and_can_be_resumed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    limit = 6 << 30  # torch's libraries alone map gigabytes
    script = (
        "import resource, sys\n"
        "from zoo.cli.main import main\n"
        "import torch, zoo.training.session\n"
        "resource.setrlimit(resource.RLIMIT_AS, "
        f"(int(open('/proc/self/statm').read().split()[0]) * {os.sysconf('SC_PAGE_SIZE')}"
        f" + (900 << 20), {limit << 4}))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    ended = subprocess.run(
        [
            sys.executable, "-c", script, "train", "keras-mnist-cnn", "--recipe", "shapes",
            "--set", "dataset.images=6000", "--set", "dataset.size=28",
            "--batch-size", "4000", "--epochs", "1", "-o", str(run),
        ],
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert ended.returncode == 9, ended.stderr
    assert "A batch of 4000 pictures does not fit into memory." in ended.stderr
    hint = ended.stderr.partition("hint: ")[2].splitlines()[0]
    assert hint.startswith(f"zoo train --resume {run} --override --batch-size 2000")
    assert json.loads((run / "run.json").read_text())["exit_code"] == 9
    going_on = zoo_process(
        "train", "--resume", run, "--override", "--batch-size", 64, "--max-steps", 2
    )
    assert going_on.returncode == 0, going_on.stderr
