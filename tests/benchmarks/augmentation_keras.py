"""How fast pictures are augmented, beside Keras's ImageDataGenerator, which goes per picture.

Run by hand, with Keras 3 and scipy beside torch (neither is a dependency of zoo):

    pip install keras scipy
    KERAS_BACKEND=torch python -m tests.benchmarks.augmentation_keras

The batches and the augmentation of `augmentation.py`.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tests.benchmarks.augmentation import BATCHES, batch, compare, zoo_batch


def keras_per_picture(images: Tensor) -> Callable[[], object]:
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    generator = ImageDataGenerator(
        rotation_range=40,
        width_shift_range=0.2,
        height_shift_range=0.2,
        shear_range=0.2,
        zoom_range=0.2,
        fill_mode="nearest",
        data_format="channels_last",
    )
    pictures = images.permute(0, 2, 3, 1).float().numpy()
    return lambda: np.stack([generator.random_transform(picture) for picture in pictures])


def main() -> None:
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for shape in BATCHES:
        images = batch(*shape)
        print(f"{shape[0]} pictures of {shape[1]}x{shape[2]}x{shape[2]}")
        compare({"zoo": zoo_batch(images), "Keras per picture": keras_per_picture(images)}, 7)


if __name__ == "__main__":
    main()
