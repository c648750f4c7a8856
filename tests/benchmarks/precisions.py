"""Whether bf16 reaches fp32's accuracy: Fashion-MNIST, means over seeds.

Run by hand: `python -m tests.benchmarks.precisions [--model NAME] [--epochs N] [--seeds N]`. Each
training is the shipped recipe through `zoo train`; the test figures are computed in fp32.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from tests.benchmarks.side_by_side import THREADS, document

HOPED_POINTS = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="lenet5")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    means = {}
    for precision in ("fp32", "bf16"):
        reached = []
        for seed in range(asked.seeds):
            with tempfile.TemporaryDirectory() as directory:
                found = document(
                    [
                        "train", asked.model, "--recipe", "fashion-mnist", "--epochs",
                        asked.epochs, "--seed", seed, "--precision", precision,
                        "--threads", THREADS, "--json", "-o", Path(directory) / "run",
                    ]
                )  # fmt: skip
            reached.append(100 * found["test"]["top1"])
        means[precision] = statistics.mean(reached)
        figures = " ".join(f"{figure:.2f}" for figure in reached)
        print(f"{asked.model}, {asked.epochs} epochs, {precision}: {figures}, "
              f"mean {means[precision]:.2f} %", flush=True)  # fmt: skip
    difference = abs(means["fp32"] - means["bf16"])
    print(f"difference of means {difference:.2f} points; hoped: under {HOPED_POINTS}")


if __name__ == "__main__":
    main()
