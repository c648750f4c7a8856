"""How long commands take from the shell, beside bare Python and the imports they can't avoid.

Run by hand: `python tests/benchmarks/startup.py`. Medians of 11 runs, interleaved, so that the
noise of the machine meets all of them alike. Of `zoo train lenet5` it is the time to the first
training step, as its events tell.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIGHT = ("--help", "list", "recipes list", "show lenet5")
HEAVY = ("summary lenet5", "summary lenet5-1998", "summary keras-mnist-cnn")
FIRST_STEP = "zoo train lenet5, first step"
REPETITIONS = 11


def command_lines() -> dict[str, list[str]]:
    python = sys.executable
    bare = {
        "python -c pass": [python, "-c", "pass"],
        "import typer, pydantic": [python, "-c", "import typer, pydantic.types"],
        "import torch, torchinfo": [python, "-c", "import torch, torchinfo"],
    }
    zoo = {f"zoo {words}": [python, "-m", "zoo", *words.split()] for words in (*LIGHT, *HEAVY)}
    return bare | zoo


def seconds_to_the_first_step() -> float:
    with tempfile.TemporaryDirectory() as directory:
        run = Path(directory) / "run"
        line = [sys.executable, "-m", "zoo", "train", "lenet5", "--max-steps", "2", "-o", str(run)]
        start = time.time()  # as the events have it
        subprocess.run([*line, "--quiet"], stdout=subprocess.DEVNULL, check=True)
        for text in (run / "events.jsonl").read_text(encoding="utf-8").splitlines():
            event = json.loads(text)
            if event["event"] == "step":
                return float(event["time"]) - start
    raise SystemExit("events.jsonl has no first step.")


def main() -> None:
    seconds: dict[str, list[float]] = {name: [] for name in (*command_lines(), FIRST_STEP)}
    for _ in range(REPETITIONS):
        for name, line in command_lines().items():
            start = time.perf_counter()
            subprocess.run(line, stdout=subprocess.DEVNULL, check=True)
            seconds[name].append(time.perf_counter() - start)
        seconds[FIRST_STEP].append(seconds_to_the_first_step())
    for name, measured in seconds.items():
        print(f"{name:<28} {statistics.median(measured):6.3f} s  (least {min(measured):.3f})")


if __name__ == "__main__":
    main()
