"""Makes `affine_golden.npz`: what Keras's own `apply_affine_transform` gives.

Run by hand, with Keras 3 and scipy beside torch (neither is a dependency of zoo):

    pip install keras scipy
    KERAS_BACKEND=torch python -m tests.data.augment.make_affine_golden

The committed file is that of Keras 3.15.1 and scipy 1.17.1. Results are kept in hundredths of a
gray value, so that the file stays small.
"""

from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent / "affine_golden.npz"
SHAPES = ((1, 10, 10), (3, 7, 12), (3, 12, 7), (1, 7, 12))
FILL_MODES = ("nearest", "constant", "reflect", "wrap")
CVAL = 7.0
NAMES = ("theta", "tx", "ty", "shear", "zx", "zy")
PARAMETERS = np.array(
    (
        (0, 0, 0, 0, 1, 1),
        (25, 0, 0, 0, 1, 1),
        (90, 0, 0, 0, 1, 1),
        (180, 0, 0, 0, 1, 1),
        (0, 2.5, 0, 0, 1, 1),
        (0, 0, -3, 0, 1, 1),
        (0, 0, 0, 20, 1, 1),
        (0, 0, 0, 0, 0.6, 1),
        (0, 0, 0, 0, 1, 1.7),
        (-35, 1.3, -2.2, 12, 0.8, 1.2),
        (140, -0.7, 1.9, -30, 1.4, 0.7),
    )
)


def main() -> None:
    from keras.src.legacy.preprocessing.image import apply_affine_transform

    arrays = {}
    for number, shape in enumerate(SHAPES):
        picture = np.random.default_rng(number).integers(0, 256, shape).astype("float32")
        arrays[f"picture-{number}"] = picture.astype("uint8")
        for mode in FILL_MODES:
            results = [
                apply_affine_transform(
                    picture,
                    **dict(zip(NAMES, values, strict=True)),
                    row_axis=1,
                    col_axis=2,
                    channel_axis=0,
                    fill_mode=mode,
                    cval=CVAL,
                    order=1,
                )
                for values in PARAMETERS.tolist()
            ]
            arrays[f"{mode}-{number}"] = (np.stack(results) * 100).round().astype("uint16")
    np.savez_compressed(GOLDEN, **arrays)


if __name__ == "__main__":
    main()
