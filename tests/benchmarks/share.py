"""How much of an epoch is spent outside forward, backward and optimizer.

Run by hand: `python -m tests.benchmarks.share [--steps N] [--turns N]`. The engine's epoch, and
bare steps of the same learner on the same batches, which were made before: the same network,
precision, layout, optimizer and dropout. They take turns; the table has medians of a step, and the
median over turns of the share by which the engine takes longer.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from tests.benchmarks.side_by_side import THREADS
from zoo import devices, modelfile, precision
from zoo.data.fitted import Fitted, InMemory
from zoo.data.loader import Batch, TrainingBatches
from zoo.description import Description, describe
from zoo.schema import Train
from zoo.training.dropout import cheap_masks
from zoo.training.engine import train
from zoo.training.learner import Learner

HOPED = {"keras-mnist-cnn": 0.05, "lenet5": 0.10}
BATCH = 128
CPU = torch.device("cpu")


def pictures(description: Description, count: int) -> Fitted:
    drawn = torch.Generator().manual_seed(0)
    shape = (count, *description.input_shape)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=drawn)
    every, targets = torch.arange(count), torch.arange(count) % 10
    return Fitted(InMemory(images), every, targets, tuple("0123456789"), ("",) * count)


def learner(description: Description, epochs: int) -> Learner:
    return Learner.start(
        modelfile.build(description, seed=0),
        Train(epochs=epochs, batch_size=BATCH, schedule="constant"),
        precision=precision.choose("auto", CPU),
        input_shape=description.input_shape,
    )


def bare(of: Learner, ready: list[Batch]) -> Callable[[], float]:
    """Seconds of the steps alone; pictures lie in the network's layout already."""
    images = [b.images.to(memory_format=of.precision.memory_format) for b in ready]

    def epoch() -> float:
        of.network.train()
        with cheap_masks(of.network, CPU):
            started = time.perf_counter()
            for batch, pixels in zip(ready, images, strict=True):
                with of.precision.autocast():
                    logits = of.network(pixels)
                loss = of.loss(logits, batch.targets) / len(batch.targets)
                of.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                of.optimizer.step()
            return time.perf_counter() - started

    return epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100, help="in a turn")
    parser.add_argument("--turns", type=int, default=9)
    asked = parser.parse_args()
    torch.set_num_threads(THREADS)
    devices.keep_freed_memory()  # as `zoo train` does, for both sides
    print(f"torch {torch.__version__}, {THREADS} threads; milliseconds a step of {BATCH}")
    print("network             bare   engine   outside   hoped")
    for name, hoped in HOPED.items():
        description = describe(name)
        of = pictures(description, asked.steps * BATCH)
        batches = TrainingBatches(of, description.preprocessing, batch_size=BATCH, seed=0)
        epochs = train(learner(description, asked.turns + 1), batches, validate=lambda: None)
        steps = bare(learner(description, 1), list(batches.epoch(1)))
        turns = [(steps(), next(epochs).seconds) for _ in range(asked.turns + 1)][1:]
        alone, whole = (1000 * statistics.median(t) / asked.steps for t in zip(*turns, strict=True))
        outside = statistics.median(1 - one / both for one, both in turns)
        print(f"{name:<16} {alone:>7.3f} {whole:>8.3f} {outside:>9.1%} {hoped:>7.0%}")


if __name__ == "__main__":
    main()
