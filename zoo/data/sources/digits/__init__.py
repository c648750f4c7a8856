"""Real handwritten digits, embedded, so that every command has data on a fresh, offline machine."""

from importlib.resources import files

from zoo.data.pictures import ArrayPictures, Found
from zoo.data.sources.idx import parse_idx

_WHITE = 16  # each value counts the dark pixels of a 4×4 block


def read() -> Found:
    """1,797 pictures 1@8×8, white on black, of ten classes.

    Source: UCI Optical Recognition of Handwritten Digits, CC BY 4.0; see LICENSE.md beside.
    """
    folder = files(__name__)
    values = parse_idx((folder / "images.idx.gz").read_bytes())
    labels = parse_idx((folder / "labels.idx.gz").read_bytes())
    pictures = ArrayPictures(
        targets=labels.long(),
        classes=tuple("0123456789"),
        names=tuple(f"digits/{index:04}" for index in range(len(labels))),
        images=(values.float() * (255 / _WHITE)).round().byte()[:, None],  # (N, 1, 8, 8)
    )
    return Found(pictures, draws_test=True)
