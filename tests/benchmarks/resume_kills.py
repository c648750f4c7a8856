"""Kills trainings at random moments, resumes them and compares them with one that was left alone.

Run by hand: `python -m tests.benchmarks.resume_kills [--kills N]`. The lecture's CNN on the
embedded digits, with mixup, augmentation, an average of the weights and a checkpoint every five
steps. A run is killed (SIGKILL) once or twice, half of the kills within an epoch, the others
around its end, and resumed until it finishes. Weights must be the same bytes, and results.csv the
same rows, seconds aside.
"""

import argparse
import csv
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

EPOCHS, PATIENCE_S = 4, 600
SETTINGS = (
    "train.ema_decay=0.99",
    "augment.mixup=0.2",
    "augment.rotation_range=10",
    "augment.width_shift_range=0.1",
    "augment.zoom_range=0.1",
)
COMPARED = ("last.safetensors", "best.safetensors")
TIMES = ("seconds", "images_per_second")


@dataclass(frozen=True)
class Kill:
    """When a process was killed."""

    epochs: int
    """Rows that results.csv had."""
    is_within: bool
    """Whether it was meant to be within an epoch."""


def start(run: Path) -> "subprocess.Popen[bytes]":
    words = ["train", "keras-mnist-cnn", "--recipe", "digits", "--epochs", EPOCHS, "-o", run]
    words += ["--checkpoint-every", 5, "--threads", 2]
    for setting in SETTINGS:
        words += ["--set", setting]
    return _process(words)


def resume(run: Path) -> "subprocess.Popen[bytes]":
    return _process(["train", "--resume", run])


def _process(words: list[object]) -> "subprocess.Popen[bytes]":
    line = [sys.executable, "-m", "zoo", *map(str, words), "--quiet"]
    return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process: "subprocess.Popen[bytes]") -> None:
    _, complaints = process.communicate(timeout=PATIENCE_S)
    if process.returncode:
        raise SystemExit(f"{process.args}\n{complaints.decode()}")


def rows(run: Path) -> list[dict[str, str]]:
    """Of results.csv, without what differs between any two runs."""
    try:
        text = (run / "results.csv").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [
        {key: value for key, value in row.items() if key not in TIMES}
        for row in csv.DictReader(text.splitlines())
    ]


def kill(
    process: "subprocess.Popen[bytes]", run: Path, epoch_s: float, within: bool
) -> Kill | None:
    """Kills it in a random epoch; None where it finished before."""
    state = run / "state.safetensors"
    done, changed = len(rows(run)), _changed(state)
    awaited = random.randint(min(done, EPOCHS - 1), EPOCHS - 1)
    # Once the process has written anew, it trains.
    while process.poll() is None and (_changed(state) == changed or len(rows(run)) < awaited):
        time.sleep(0.002)
    time.sleep(random.uniform(0.1, 0.9) * epoch_s if within else random.uniform(0, 0.05))
    process.send_signal(signal.SIGKILL)
    process.wait()
    return Kill(len(rows(run)), within) if process.returncode == -signal.SIGKILL else None


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def differences(one: Path, other: Path) -> list[str]:
    found = [name for name in COMPARED if (one / name).read_bytes() != (other / name).read_bytes()]
    return found + (["results.csv"] if rows(one) != rows(other) else [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="draws the moments")
    asked = parser.parse_args()
    random.seed(asked.seed)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        alone = directory / "alone"
        finish(start(alone))
        with (alone / "results.csv").open(encoding="utf-8") as file:
            epoch_s = min(float(row["seconds"]) for row in csv.DictReader(file))
        print(f"an epoch takes {epoch_s:.2f} s; {EPOCHS} epochs, rows of results.csv when killed")
        done, number, bad = 0, 0, 0
        while done < asked.kills:
            number += 1
            run, process, kills = directory / f"run-{number}", None, []
            process = start(run)
            for _ in range(random.randint(1, 2)):
                killed = kill(process, run, epoch_s, within=done % 2 == 0)
                if killed is None:
                    break
                kills.append(killed)
                done += 1
                process = resume(run)
            finish(process)
            different = differences(alone, run)
            bad += bool(different)
            moments = ", ".join(
                f"{k.epochs} ({'within an epoch' if k.is_within else 'at its end'})" for k in kills
            )
            verdict = "differs: " + ", ".join(different) if different else "the same"
            print(f"run {number:>3}  killed at {moments or 'no moment':<44} {verdict}", flush=True)
    print(f"{done} kills, {number} runs, {bad} of them differ")
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
