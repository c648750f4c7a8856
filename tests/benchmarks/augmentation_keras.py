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
from tests.benchmarks.side_by_side import lectures_generator


def keras_per_picture(images: Tensor) -> Callable[[], object]:
    generator = lectures_generator()
    pictures = images.permute(0, 2, 3, 1).float().numpy()
    return lambda: np.stack([generator.random_transform(picture) for picture in pictures])


if __name__ == "__main__":
    compare({"zoo": zoo_batch, "Keras per picture": keras_per_picture}, turns=7)
