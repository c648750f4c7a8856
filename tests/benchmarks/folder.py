"""How fast a folder of JPEGs is decoded and resized, beside torchvision's ImageFolder.

Run by hand: `python tests/benchmarks/folder.py [SIDE...]`. 2,000 JPEGs of 256×256 pixels, one
thread each, the ways taking turns; pictures for each second of processor time, medians of five
turns. "zoo, kept" also checks the files and writes the tensor that the next run maps.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from unittest.mock import patch

import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, Resize, ToTensor

from zoo.data.fitted import Decoded
from zoo.data.gathering import Settings, gather
from zoo.data.sources import folder, shapes
from zoo.schema import Dataset, Preprocessing

COUNT, SOURCE_PX, BATCH, TURNS = 2000, 256, 50, 5


def write(root: Path) -> None:
    drawn = shapes.read(Dataset(source="shapes", num_classes=4, size=SOURCE_PX, images=COUNT)).train
    for index in range(COUNT):
        directory = root / drawn.classes[int(drawn.targets[index])]
        directory.mkdir(exist_ok=True)
        picture = Image.fromarray(drawn.picture(index).permute(1, 2, 0).numpy())
        picture.save(directory / f"{index:04}.jpg", quality=90)


def preprocessing(side: int) -> Preprocessing:
    return Preprocessing(
        channels=3, size=(side, side), content=(side, side), mean=(0, 0, 0), std=(1, 1, 1),
        interpolation="bilinear", fit="resize",
    )  # fmt: skip


def ours(root: Path, side: int) -> Callable[[], object]:
    """What a worker process of zoo does for a set that does not fit into memory."""
    pictures = folder.read(Dataset(source="folder"), root).train
    store = Decoded(pictures, preprocessing(side), workers=0)
    batches = torch.split(torch.arange(COUNT), BATCH)
    return lambda: exhausted(store.batches(batches, torch.device("cpu")))


def ours_kept(root: Path, side: int) -> Callable[[], object]:
    """The first run on a set that fits: with its checks, and the cache that later runs map."""
    pictures = folder.read(Dataset(source="folder"), root).train

    def decode() -> None:
        with tempfile.TemporaryDirectory() as place, patch.dict(os.environ, ZOO_CACHE=place):
            gather(pictures, preprocessing(side), Settings(workers=1, in_memory=True))

    return decode


def torchvisions(root: Path, side: int) -> Callable[[], object]:
    dataset = ImageFolder(str(root), Compose([Resize((side, side)), ToTensor()]))
    return lambda: exhausted(DataLoader(dataset, BATCH))


def exhausted(batches: Iterable[object]) -> None:
    for _ in batches:
        pass


def main() -> None:
    torch.set_num_threads(1)
    sides = [int(word) for word in sys.argv[1:]] or [224, 64, 32]
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write(root)
        print(f"{COUNT:,} JPEGs of {SOURCE_PX}×{SOURCE_PX}, pictures a second of processor time")
        print("resized to        zoo   zoo, kept   torchvision    ratios")
        for side in sides:
            ways = (
                ours(root, side),
                ours_kept(root, side),
                torchvisions(root, side),
            )
            seconds: list[list[float]] = [[] for _ in ways]
            for _ in range(TURNS):
                for taken, way in zip(seconds, ways, strict=True):
                    started = time.process_time()
                    way()
                    taken.append(time.process_time() - started)
            zoo, kept, theirs = (COUNT / statistics.median(taken) for taken in seconds)
            print(
                f"{side:>4}×{side:<4} {zoo:>12,.0f} {kept:>13,.0f} {theirs:>13,.0f} "
                f"{zoo / theirs:>5.2f} {kept / theirs:>5.2f}"
            )


if __name__ == "__main__":
    main()
