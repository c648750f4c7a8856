"""How fast `zoo train` trains the lecture's CNN, beside the same Sequential in Keras.

Run by hand, with Keras in an environment of its own, which need not have zoo:

    python -m venv keras && keras/bin/pip install tensorflow scipy
    python -m tests.benchmarks.training_keras --keras-python keras/bin/python

Fashion-MNIST, batch 128, without augmentation and with ImageDataGenerator as the lecture sets it.
Both sides have two threads and take turns of an epoch (Keras's first one, which compiles, is left
out); medians. Where TensorFlow can't be installed, KERAS_BACKEND=torch chooses Keras's other
backend.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.side_by_side import (
    lectures_generator,
    medians_of_turns,
    print_rates,
    train_document,
)

BATCH, THREADS = 128, 2
RECIPES = {False: "fashion-mnist", True: "fashion-mnist-lecture"}


def keras_side(arrays: Path, is_augmented: bool) -> None:
    """In Keras's interpreter: an epoch for each line on stdin, its images/s on stdout."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what Keras prints is no answer
    import keras
    import numpy as np
    from keras import layers

    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(THREADS)
        tensorflow.config.threading.set_inter_op_parallelism_threads(THREADS)
    else:
        import torch

        torch.set_num_threads(THREADS)
    data = np.load(arrays)
    x, y = data["images"][..., None].astype("float32") / 255, data["targets"]  # (N, 28, 28, 1)
    network = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(40, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
            layers.Conv2D(32, 3, activation="relu", kernel_initializer="he_normal"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.25),
            layers.Dense(10, activation="softmax"),
        ]
    )
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    assert network.count_params() == 87_290
    if is_augmented:
        given: tuple[object, ...] = (lectures_generator().flow(x, y, batch_size=BATCH),)
        options: dict[str, object] = {"verbose": 0}
    else:
        given, options = (x, y), {"batch_size": BATCH, "verbose": 0}
    print(json.dumps([keras.__version__, keras.backend.backend()]), file=answers)
    for _ in sys.stdin:
        started = time.perf_counter()
        network.fit(*given, epochs=1, **options)
        print(len(x) / (time.perf_counter() - started), file=answers)


class Keras:
    """Keras in another interpreter, waiting to train an epoch."""

    def __init__(self, python: Path, arrays: Path, is_augmented: bool) -> None:
        line = [str(python), "-m", "tests.benchmarks.training_keras", "--keras-side", str(arrays)]
        line += ["--augmented"] if is_augmented else []
        threads = {"OMP_NUM_THREADS": str(THREADS), "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.process = subprocess.Popen(
            line,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads},
        )
        self.version = " on ".join(json.loads(self._answer()))

    def epoch(self) -> float:
        """Images a second."""
        assert self.process.stdin is not None
        print("epoch", file=self.process.stdin, flush=True)
        return float(self._answer())

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("Keras ended; what it said is above.")
        return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keras-python", type=Path, help="interpreter that has Keras")
    parser.add_argument("--pictures", type=int, default=60_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--keras-side", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--augmented", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.keras_side is not None:
        keras_side(asked.keras_side, asked.augmented)
        return
    if asked.keras_python is None:
        parser.error("--keras-python is missing")
    with tempfile.TemporaryDirectory() as directory:
        compare(asked.keras_python, Path(directory), asked.pictures, asked.turns)


def compare(python: Path, directory: Path, count: int, turns: int) -> None:
    import numpy as np

    from zoo.data import sources
    from zoo.data.pictures import ArrayPictures
    from zoo.schema import Dataset

    found = sources.read(Dataset(source="fashion-mnist"), None, None).train
    assert isinstance(found, ArrayPictures)
    arrays = directory / "arrays.npz"
    np.savez(arrays, images=found.images[:count, 0].numpy(), targets=found.targets[:count].numpy())
    steps = -(-count // BATCH)
    for is_augmented, recipe in RECIPES.items():
        keras = Keras(python, arrays, is_augmented)
        keras.epoch()  # compiles

        def zoo(recipe: str = recipe) -> float:
            document = train_document("keras-mnist-cnn", recipe, BATCH, "--max-steps", steps)
            return float(document["images_per_second"])

        ways = {f"Keras {keras.version}": keras.epoch, "zoo train": zoo}
        print_rates(recipe, medians_of_turns(ways, turns))
        keras.close()


if __name__ == "__main__":
    main()
