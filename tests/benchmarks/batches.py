"""What batches cost of a LeNet-5 step on pictures in memory, with and without augmentation.

Run by hand: `python tests/benchmarks/batches.py`. Batches alone and whole steps take turns of one
epoch over 12,800 pictures 1@28×28, batch 128; medians of seven turns.
"""

import statistics
import time
from collections.abc import Iterable

import torch

from zoo import modelfile, precision
from zoo.data.fitted import Fitted, InMemory
from zoo.data.loader import Batch, TrainingBatches
from zoo.description import describe
from zoo.schema import Augment, Train
from zoo.training.engine import train
from zoo.training.learner import Learner

COUNT, BATCH, TURNS = 12_800, 128, 7
LIGHT = Augment(
    rotation_range=10, width_shift_range=0.1, height_shift_range=0.1, zoom_range=(0.9, 1.1)
)


def exhausted(batches: Iterable[Batch]) -> None:
    for _ in batches:
        pass


def main() -> None:
    description = describe("lenet5")
    images = torch.randint(0, 256, (COUNT, *description.input_shape), dtype=torch.uint8)
    every, targets = torch.arange(COUNT), torch.arange(COUNT) % 10
    classes = tuple("0123456789")
    pictures = Fitted(InMemory(images), every, targets, classes, ("",) * COUNT)
    network = modelfile.build(description)
    auto = precision.choose("auto", torch.device("cpu"))
    print(f"{torch.get_num_threads()} threads; milliseconds a batch of {BATCH}")
    print("augmentation    batch alone   whole step   share")
    for name, settings in (("none", Augment()), ("light affine", LIGHT)):
        batches = TrainingBatches(
            pictures, description.preprocessing, batch_size=BATCH, seed=0, settings=settings
        )
        alone, steps = [], []
        for turn in range(TURNS):
            started = time.perf_counter()
            exhausted(batches.epoch(turn + 1))
            alone.append(time.perf_counter() - started)
            learner = Learner.start(
                network, Train(epochs=1), precision=auto, input_shape=description.input_shape
            )
            (epoch,) = train(learner, batches, validate=lambda: None)
            steps.append(epoch.seconds)
        one, whole = (1000 * statistics.median(taken) / len(batches) for taken in (alone, steps))
        print(f"{name:<14} {one:>12.3f} {whole:>12.3f} {one / whole:>8.1%}")


if __name__ == "__main__":
    main()
