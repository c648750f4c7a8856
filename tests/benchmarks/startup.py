"""How long commands take from the shell, beside bare Python and the imports they can't avoid.

Run by hand: `python tests/benchmarks/startup.py`. Medians of 11 runs, interleaved, so that the
noise of the machine meets all of them alike.
"""

import statistics
import subprocess
import sys
import time

LIGHT = ("--help", "list", "recipes list", "show lenet5")
HEAVY = ("summary lenet5", "summary lenet5-1998", "summary keras-mnist-cnn")
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


def main() -> None:
    seconds: dict[str, list[float]] = {name: [] for name in command_lines()}
    for _ in range(REPETITIONS):
        for name, line in command_lines().items():
            start = time.perf_counter()
            subprocess.run(line, stdout=subprocess.DEVNULL, check=True)
            seconds[name].append(time.perf_counter() - start)
    for name, measured in seconds.items():
        print(f"{name:<26} {statistics.median(measured):6.3f} s  (least {min(measured):.3f})")


if __name__ == "__main__":
    main()
