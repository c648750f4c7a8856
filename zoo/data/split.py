"""Drawing training, validation and test pictures from one set."""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

from zoo.data.sources import Pictures
from zoo.errors import DataError

# 64 bits tell a million pictures apart and keep split.csv small.
_HASH_DIGITS = 16

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Which picture belongs to which split."""

    assigned: tuple[str, ...]
    """For each picture the name of its split."""
    hashes: tuple[str, ...]
    """For each picture the first 16 digits of the SHA-256 of its pixels."""

    def indices(self, name: str) -> list[int]:
        """The pictures of one split, in their order in the set."""
        return [index for index, split in enumerate(self.assigned) if split == name]

    def to_csv(self, names: Sequence[str]) -> str:
        """The text of a run's `split.csv`: path, content hash, split."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("path", "hash", "split"))
        writer.writerows(zip(names, self.hashes, self.assigned, strict=True))
        return text.getvalue()


def draw(pictures: Pictures, *, validation: float, test: float, seed: int) -> Split:
    """A stratified split: each class gives its shares to test and validation.

    A picture's place in the draw is a hash of the seed and its pixels. So duplicates share a
    split, whatever their labels, and neither the order of the files nor the version of a random
    generator matters.

    Args:
        pictures: the set to split.
        validation: share of what test leaves, per class.
        test: share of all, per class.
        seed: draws the split.

    Raises:
        DataError: fewer than two training pictures would be left.
    """
    hashes = [
        hashlib.sha256(image.numpy().tobytes()).hexdigest()[:_HASH_DIGITS]
        for image in pictures.images
    ]
    placed: dict[str, str] = {}
    for label in range(len(pictures.classes)):
        members = (pictures.targets == label).nonzero().flatten().tolist()
        members.sort(key=lambda index: (_rank(seed, hashes[index]), index))
        tests = round(len(members) * test)
        validations = round((len(members) - tests) * validation)
        for position, index in enumerate(members):
            name = "train"
            if position < tests + validations:
                name = "test" if position < tests else "validation"
            placed.setdefault(hashes[index], name)  # a duplicate is there already
    assigned = [placed[digest] for digest in hashes]
    if assigned.count("train") < 2:  # batch norm can't train on one
        raise DataError(
            f"Fewer than two training pictures are left: test takes {test} and validation "
            f"{validation} of {len(pictures)}.",
            hint="Lower dataset.test or dataset.validation.",
        )
    return Split(tuple(assigned), tuple(hashes))


def _rank(seed: int, digest: str) -> str:
    return hashlib.sha256(f"{seed} {digest}".encode()).hexdigest()
