"""The embedded pictures."""

import torch

from zoo.data.sources import digits


def test_the_embedded_digits() -> None:
    pictures = digits.read().train
    assert pictures.images.shape == (1797, 1, 8, 8)
    assert pictures.images.dtype == torch.uint8
    assert pictures.images.max() == 255
    assert pictures.classes == tuple("0123456789")
    # UCI's class distribution of the test set
    counts = torch.bincount(pictures.targets).tolist()
    assert counts == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert len(set(pictures.names)) == 1797


def test_they_are_scikit_learns() -> None:
    # The first digit, a zero, as load_digits().images[0] prints it.
    first = [
        [0, 0, 5, 13, 9, 1, 0, 0],
        [0, 0, 13, 15, 10, 15, 5, 0],
        [0, 3, 15, 2, 0, 11, 8, 0],
        [0, 4, 12, 0, 0, 8, 8, 0],
        [0, 5, 8, 0, 0, 9, 8, 0],
        [0, 4, 11, 0, 1, 12, 7, 0],
        [0, 2, 14, 5, 10, 12, 0, 0],
        [0, 0, 6, 13, 10, 0, 0, 0],
    ]
    scaled = (torch.tensor(first) * 255 / 16).round().byte()
    assert torch.equal(digits.read().train.images[0, 0], scaled)
