"""How fast pictures are augmented, beside Keras's ImageDataGenerator, which goes per picture.

Run by hand, with Keras 3 and scipy beside torch (neither is a dependency of zoo):

    pip install keras scipy
    KERAS_BACKEND=torch python -m tests.benchmarks.augmentation_keras

The batches and the augmentation of `augmentation.py`.
"""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from tests.benchmarks.augmentation import compare, zoo_batch


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


if __name__ == "__main__":
    compare({"zoo": zoo_batch, "Keras per picture": keras_per_picture}, turns=7)
