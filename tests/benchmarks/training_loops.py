"""How fast `zoo train` trains, beside the loop that PyTorch's tutorials write.

Run by hand: `python -m tests.benchmarks.training_loops [--pictures N] [--turns N]`. The networks
of the CNN lecture on Fashion-MNIST, batch 128. The plain loop draws from a DataLoader over a
Dataset whose transforms make each picture a tensor, and trains in fp32 with Adam. Both train the
same networks with the same number of threads, and take turns of an epoch; medians.
"""

import argparse
import time
from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import Compose, Normalize, Pad, ToTensor

from tests.benchmarks.side_by_side import THREADS, medians_of_turns, print_rates, train_document
from zoo import modelfile
from zoo.data import sources
from zoo.data.pictures import ArrayPictures
from zoo.description import describe
from zoo.schema import Dataset as Section

MODELS = ("keras-mnist-cnn", "lenet5")
RECIPE, BATCH = "fashion-mnist", 128


class Pictures(Dataset[tuple[Tensor, int]]):
    """As torchvision's MNIST does it: a PIL picture, then the transforms."""

    def __init__(self, found: ArrayPictures, count: int, side: int) -> None:
        self.arrays = found.images[:count, 0].numpy()
        self.targets = found.targets[:count].tolist()
        around = (side - self.arrays.shape[1]) // 2
        self.transform = Compose([Pad(around), ToTensor(), Normalize((0.286,), (0.353,))])

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.arrays[index])), self.targets[index]


def plain_loop(model: str, found: ArrayPictures, count: int, workers: int) -> Callable[[], float]:
    description = describe(model)
    network = modelfile.build(description)
    dataset = Pictures(found, count, description.input_shape[1])
    loader = DataLoader(dataset, BATCH, shuffle=True, num_workers=workers)
    criterion, optimizer = nn.CrossEntropyLoss(), torch.optim.Adam(network.parameters(), lr=1e-3)

    def epoch() -> float:
        network.train()
        started = time.perf_counter()
        total = 0.0
        for images, targets in loader:
            optimizer.zero_grad()
            loss = criterion(network(images), targets)
            loss.backward()
            optimizer.step()
            total += loss.item()
        return len(dataset) / (time.perf_counter() - started)

    return epoch


def zoo_train(model: str, count: int) -> float:
    document = train_document(model, RECIPE, BATCH, "--max-steps", -(-count // BATCH))
    return float(document["images_per_second"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=60_000, help="of the plain loop's epoch")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0, help="of the plain loop's DataLoader")
    asked = parser.parse_args()
    torch.set_num_threads(THREADS)
    found = sources.read(Section(source="fashion-mnist"), None, None).train
    assert isinstance(found, ArrayPictures)
    print(f"torch {torch.__version__}, {THREADS} threads, batch {BATCH}, medians of {asked.turns}")
    for model in MODELS:
        ways = {
            "plain PyTorch loop": plain_loop(model, found, asked.pictures, asked.workers),
            "zoo train": lambda model=model: zoo_train(model, asked.pictures),
        }
        print_rates(model, medians_of_turns(ways, asked.turns))


if __name__ == "__main__":
    main()
