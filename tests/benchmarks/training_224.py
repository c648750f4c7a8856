"""How fast large networks train at 224×224 in zoo's engine, beside plain fp32 steps.

Run by hand: `python -m tests.benchmarks.training_224 [--batch N] [--steps N] [--turns N]`.
torchvision's ResNet-18, GoogLeNet and AlexNet on zoo's `shapes`. Both sides take the same pictures
from memory, so that the difference is bf16, channels-last, and that zoo keeps freed memory, which
the plain steps do not. Each turn is a process of its own that warms up first; they take turns, and
the table has medians.
"""

import argparse
import functools
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
import torchvision
from torch import nn

from tests.benchmarks.side_by_side import THREADS, medians_of_turns, print_rates
from zoo import devices, precision
from zoo.data.fitted import Fitted
from zoo.data.loader import TrainingBatches
from zoo.data.pictures import ArrayPictures
from zoo.data.sources import shapes
from zoo.schema import Dataset, Preprocessing, Train
from zoo.training.engine import train
from zoo.training.learner import Learner

SIDE, CLASSES = 224, 6
SIDES = {"plain": "plain steps, fp32", "engine": "zoo's engine, bf16, channels last"}
CPU = torch.device("cpu")
NETWORKS: dict[str, dict[str, object]] = {
    "resnet18": {},
    "googlenet": {"aux_logits": True, "init_weights": False},
    "alexnet": {},
}


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.get_model(name, weights=None, num_classes=CLASSES, **NETWORKS[name])


def batches(batch: int, steps: int) -> TrainingBatches:
    section = Dataset(source="shapes", size=SIDE, num_classes=CLASSES, images=batch * steps)
    drawn = shapes.read(section).train
    assert isinstance(drawn, ArrayPictures)
    preprocessing = Preprocessing(
        channels=3, size=(SIDE, SIDE), content=(SIDE, SIDE), mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225), interpolation="bilinear", fit="resize",
    )  # fmt: skip
    pictures = Fitted.in_memory(drawn.images, drawn)
    return TrainingBatches(pictures, preprocessing, batch_size=batch, seed=0)


def plain(network: nn.Module, of: TrainingBatches) -> Callable[[], float]:
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)

    def epoch() -> float:
        network.train()
        images, started = 0, time.perf_counter()
        for batch in of.epoch(1):
            outputs = network(batch.images)
            heads = outputs if isinstance(outputs, tuple) else (outputs,)
            losses = [F.cross_entropy(logits, batch.targets) for logits in heads]
            loss = losses[0] + 0.3 * sum(losses[1:])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            images += len(batch.targets)
        return images / (time.perf_counter() - started)

    return epoch


def engine(network: nn.Module, of: TrainingBatches, turns: int) -> Callable[[], float]:
    config = Train(epochs=turns, lr=1e-4, schedule="constant", batch_size=2)
    chosen = precision.choose("bf16", CPU)
    learner = Learner.start(network, config, precision=chosen, input_shape=(3, SIDE, SIDE))
    devices.keep_freed_memory()
    epochs = train(learner, of, validate=lambda: None)
    return lambda: next(epochs).images_per_second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=3, help="in a turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--side", choices=tuple(SIDES), help=argparse.SUPPRESS)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), metavar="NETWORK")
    asked = parser.parse_args()
    if asked.side:
        print(rate(asked.side, asked.networks[0], asked.batch, asked.steps))
        return
    print(f"torch {torch.__version__}, {THREADS} threads, batch {asked.batch}")
    for name in asked.networks:

        def turn(side: str, name: str = name) -> float:
            line = [sys.executable, "-m", "tests.benchmarks.training_224", "--side", side, name]
            line += ["--batch", str(asked.batch), "--steps", str(asked.steps)]
            return float(subprocess.run(line, capture_output=True, text=True, check=True).stdout)

        ways = {words: functools.partial(turn, side) for side, words in SIDES.items()}
        print_rates(name, medians_of_turns(ways, asked.turns))


def rate(side: str, name: str, batch: int, steps: int) -> float:
    """Images per second of one side, after as many steps to warm up."""
    torch.set_num_threads(THREADS)
    warnings.filterwarnings("ignore", module="torchvision")
    of = batches(batch, steps)
    epoch = plain(build(name), of) if side == "plain" else engine(build(name), of, 2)
    epoch()
    return epoch()


if __name__ == "__main__":
    main()
