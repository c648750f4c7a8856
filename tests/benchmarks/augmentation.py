"""How fast pictures are augmented, beside torchvision's RandomAffine called per picture.

Run by hand: `python tests/benchmarks/augmentation.py`. The lecture's augmentation (rotation 40,
shifts, shear and zoom 0.2, nearest) of batches in memory. The ways take turns, so that the noise
of the machine meets them alike; medians.
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
BATCHES = ((128, 1, 28), (64, 3, 224))
REPETITIONS = 15


def zoo_batch(images: Tensor) -> Callable[[], object]:
    generator = torch.Generator().manual_seed(0)
    return lambda: augment(images.float(), LECTURE, generator)


def torchvision_per_picture(images: Tensor) -> Callable[[], object]:
    transform = RandomAffine(
        40, (0.2, 0.2), (0.8, 1.2), (-0.2, 0.2), interpolation=InterpolationMode.BILINEAR
    )
    return lambda: torch.stack([transform(image) for image in images])


def compare(ways: dict[str, Callable[[], object]], repetitions: int = REPETITIONS) -> None:
    """Prints median milliseconds of each way, and how often the first is faster."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(repetitions):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    least = statistics.median(next(iter(seconds.values())))
    for name, measured in seconds.items():
        median = statistics.median(measured)
        print(f"  {name:<28} {1000 * median:9.2f} ms  {median / least:7.1f} x")


def batch(count: int, channels: int, side: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(
        0, 256, (count, channels, side, side), dtype=torch.uint8, generator=generator
    )


def main() -> None:
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for shape in BATCHES:
        images = batch(*shape)
        print(f"{shape[0]} pictures of {shape[1]}x{shape[2]}x{shape[2]}")
        compare(
            {"zoo": zoo_batch(images), "torchvision per picture": torchvision_per_picture(images)}
        )


if __name__ == "__main__":
    main()
