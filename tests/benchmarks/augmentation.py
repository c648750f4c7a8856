"""How fast pictures are augmented, beside torchvision's RandomAffine called per picture.

Run by hand: `python tests/benchmarks/augmentation.py`. The lecture's augmentation (rotation 40,
shifts, shear and zoom 0.2, nearest) of pictures in memory as whole numbers. The ways take turns
of a few batches, so that the noise of the machine meets them alike; medians of a batch.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode, RandomAffine

from zoo.data.augment import augment
from zoo.schema import Augment

LECTURE = Augment(
    rotation_range=40,
    width_shift_range=0.2,
    height_shift_range=0.2,
    shear_range=0.2,
    zoom_range=(0.8, 1.2),
)
SHAPES = ((128, 1, 28), (64, 3, 224))
TURNS = 15
BATCHES_A_TURN = {28: 30, 224: 1}


def zoo_batch(images: Tensor) -> Callable[[], object]:
    generator = torch.Generator().manual_seed(0)
    return lambda: augment(images, LECTURE, generator)


def torchvision_per_picture(images: Tensor) -> Callable[[], object]:
    transform = RandomAffine(
        40, (0.2, 0.2), (0.8, 1.2), (-0.2, 0.2), interpolation=InterpolationMode.BILINEAR
    )
    return lambda: torch.stack([transform(image) for image in images])


def compare(ways: dict[str, Callable[[Tensor], Callable[[], object]]], turns: int = TURNS) -> None:
    """Prints median milliseconds a batch for each way, and how often the first is faster."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for shape in SHAPES:
        images, count = batch(*shape), BATCHES_A_TURN[shape[2]]
        ready = {name: way(images) for name, way in ways.items()}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(turns + 1):
            for name, way in ready.items():
                start = time.perf_counter()
                for _ in range(count):
                    way()
                if turn:  # the first one warms up
                    seconds[name].append((time.perf_counter() - start) / count)
        print(f"{shape[0]} pictures of {shape[1]}x{shape[2]}x{shape[2]}")
        medians = {name: statistics.median(measured) for name, measured in seconds.items()}
        first = next(iter(medians.values()))
        for name, median in medians.items():
            print(f"  {name:<28} {1000 * median:9.2f} ms  {median / first:7.1f} x")


def batch(count: int, channels: int, side: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(
        0, 256, (count, channels, side, side), dtype=torch.uint8, generator=generator
    )


if __name__ == "__main__":
    compare({"zoo": zoo_batch, "torchvision per picture": torchvision_per_picture})
