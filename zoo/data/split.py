"""Drawing training, validation and test pictures from one set, and keeping what was drawn."""

import csv
import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import DataError
from zoo.files import disk_errors

SPLITS = ("train", "validation", "test")
_COLUMNS = ("path", "hash", "split")


@dataclass(frozen=True)
class Split:
    """Which picture belongs to which split."""

    assigned: tuple[str, ...]
    """For each picture the name of its split."""
    hashes: tuple[str, ...]
    """For each picture the first 16 digits of the SHA-256 of its content."""

    def indices(self, name: str) -> list[int]:
        """The pictures of one split, in their order in the set."""
        return [index for index, split in enumerate(self.assigned) if split == name]

    def to_csv(self, names: Sequence[str]) -> str:
        """The text of a run's `split.csv`: path, content hash, split."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(zip(names, self.hashes, self.assigned, strict=True))
        return text.getvalue()


def read_csv(path: Path) -> dict[str, str]:
    """For each content hash in a `split.csv` its split.

    Raises:
        DataError: there is no such file, it is no split file, or puts one picture into two splits.
    """
    if not path.is_file():
        raise DataError(
            f"There is no split file {path}.",
            hint="A run whose split zoo drew keeps it as split.csv.",
        )
    recorded: dict[str, str] = {}
    with disk_errors("read", path):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is no split file: it is not UTF-8 text.") from error
    try:
        rows = list(csv.reader(io.StringIO(text), strict=True))
    except csv.Error as error:
        raise DataError(f"{path} is no split file: {error}.") from error
    if not rows or tuple(rows[0]) != _COLUMNS:
        raise DataError(f"{path}:1: a split file has the columns {', '.join(_COLUMNS)}.")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(_COLUMNS) or row[2] not in SPLITS:
            raise DataError(
                f"{path}:{number}: expected a path, a hash and one of {', '.join(SPLITS)}."
            )
        if recorded.setdefault(row[1], row[2]) != row[2]:
            raise DataError(
                f"{path}:{number}: {row[0]} is in {row[2]}, its duplicate in {recorded[row[1]]}."
            )
    return recorded


def draw(
    hashes: Sequence[str],
    targets: Sequence[int],
    *,
    validation: float,
    test: float,
    seed: int,
    recorded: Mapping[str, str] | None = None,
) -> Split:
    """A stratified split: each class gives its shares to test and validation.

    A picture's place in the draw is a hash of the seed and its content. So duplicates share a
    split, whatever their labels, and neither the order of the files nor the version of a random
    generator matters. What is recorded stays where it is, and only pictures that are new since
    are drawn.

    Args:
        hashes: of each picture's content.
        targets: each picture's class index.
        validation: share of what test leaves, per class.
        test: share of all, per class.
        seed: draws the split.
        recorded: for the hashes of an earlier split their splits.

    Raises:
        DataError: fewer than two training pictures would be left.
    """
    placed = dict(recorded or {})
    classes: dict[int, Counter[str]] = defaultdict(Counter)
    for target, digest in zip(targets, hashes, strict=True):
        classes[target][digest] += 1
    for _, groups in sorted(classes.items()):
        wanted = _wanted(groups, validation=validation, test=test)
        for digest, size in groups.items():
            if placed.get(digest) in wanted:
                wanted[placed[digest]] -= size
        for digest in sorted(groups.keys() - placed.keys(), key=lambda one: _rank(seed, one)):
            # Copies of one picture go where they fill the room that is left better than not.
            fitting = (name for name, room in wanted.items() if 2 * room >= groups[digest])
            placed[digest] = next(fitting, "train")
            if placed[digest] in wanted:
                wanted[placed[digest]] -= groups[digest]
    assigned = tuple(placed[digest] for digest in hashes)
    if assigned.count("train") < 2:  # batch norm can't train on one
        raise DataError(
            f"Fewer than two training pictures are left: test takes {test:g} and validation "
            f"{validation:g} of {len(hashes)}.",
            hint="Lower dataset.test or dataset.validation.",
        )
    return Split(assigned, tuple(hashes))


def _wanted(groups: Counter[str], *, validation: float, test: float) -> dict[str, int]:
    """How many pictures of a class go to test and to validation.

    A share of a small class is rounded up to one picture, as long as one is left to train on.
    """
    total, spare = groups.total(), len(groups) - 1
    tests = round(total * test)
    if test and not tests and spare > 0:
        tests, spare = 1, spare - 1
    validations = round((total - tests) * validation)
    if validation and not validations and spare > 0:
        validations = 1
    return {"test": tests, "validation": validations}


def restrict(recorded: Mapping[str, str], hashes: Iterable[str]) -> dict[str, str]:
    """The part of a recorded split that speaks of these pictures."""
    here = set(hashes)
    return {digest: split for digest, split in recorded.items() if digest in here}


def _rank(seed: int, digest: str) -> str:
    return hashlib.sha256(f"{seed} {digest}".encode()).hexdigest()
