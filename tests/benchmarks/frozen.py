"""How much faster an epoch is where all but the head is frozen, beside the same network unfrozen.

Run by hand: `python -m tests.benchmarks.frozen [--batch N] [--steps N] [--turns N] [NETWORK ...]`.
torchvision's ResNet-18 on zoo's `shapes` at 224×224, in zoo's engine as `zoo train` runs it: bf16
and channels-last where the processor has them. Both networks live in one process and take turns, an
epoch each, so that noise meets them alike; the table has medians, and the spread of the ratios of
turns.
"""

import argparse
import statistics
import warnings
from collections.abc import Callable

import torch

from tests.benchmarks.side_by_side import THREADS, print_rates
from tests.benchmarks.training_224 import SIDE, batches
from zoo import devices, modelfile, precision
from zoo.data.loader import TrainingBatches
from zoo.description import describe
from zoo.freezing import Choice, plan
from zoo.schema import Train
from zoo.training.engine import train
from zoo.training.learner import Learner

CPU = torch.device("cpu")


def epochs(name: str, of: TrainingBatches, turns: int, *, frozen: bool) -> Callable[[], float]:
    """Images per second of one epoch, each time it is called."""
    description = describe(name, num_classes=6)
    if frozen:
        planned = plan(name, description, Choice(all_but_head=True))
        description = modelfile.with_edits(description, planned.edits)
    config = Train(epochs=turns, lr=1e-4, schedule="constant")
    learner = Learner.start(
        modelfile.build(description),
        config,
        precision=precision.choose("auto", CPU),
        input_shape=(3, SIDE, SIDE),
    )
    running = train(learner, of, validate=lambda: None)
    return lambda: next(running).images_per_second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=4, help="in an epoch")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("networks", nargs="*", default=["resnet18"], metavar="NETWORK")
    asked = parser.parse_args()
    torch.set_num_threads(THREADS)
    devices.keep_freed_memory()
    warnings.filterwarnings("ignore", module="torchvision")
    chosen = precision.choose("auto", CPU).name
    print(f"torch {torch.__version__}, {THREADS} threads, {chosen}, batch {asked.batch}")
    for name in asked.networks:
        of = batches(asked.batch, asked.steps)
        ways = {
            "all learns": epochs(name, of, asked.turns + 1, frozen=False),
            "--freeze all-but-head": epochs(name, of, asked.turns + 1, frozen=True),
        }
        turns = [[way() for way in ways.values()] for _ in range(asked.turns + 1)][1:]  # warm
        medians = [statistics.median(rates) for rates in zip(*turns, strict=True)]
        print_rates(name, dict(zip(ways, medians, strict=True)))
        ratios = sorted(frozen / whole for whole, frozen in turns)
        print(f"  ratios of turns: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")


if __name__ == "__main__":
    main()
