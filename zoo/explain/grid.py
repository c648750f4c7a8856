"""A small image or kernel: typed as rows of numbers, or the gray pixels of a file."""

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

Grid = npt.NDArray[np.float64]

MAX_SIDE_PX = 512
"""Longer sides of a picture are shrunk to this: nobody reads a quarter of a million sums."""


def parse(text: str, option: str) -> Grid:
    """Rows of numbers, such as `1 0 1; 0 1 0`; rows end with a semicolon or a line's end.

    Args:
        text: numbers lie apart by blanks or commas.
        option: what to call it in an error, such as `--image`.

    Returns:
        (rows, columns)

    Raises:
        UsageError: it is empty, rows differ in length, or something in it is no finite number.
    """
    lines = re.split(r"[;\n]", text.strip().rstrip(";"))
    rows = [
        [_number(word, option, row, column) for column, word in enumerate(_words(line), start=1)]
        for row, line in enumerate(lines, start=1)
    ]
    for row, numbers in enumerate(rows, start=1):
        if not numbers:
            raise UsageError(
                f"{option}: row {row} is empty.", hint=f'{option} "1 0; 0 1" is two rows of two.'
            )
        if len(numbers) != len(rows[0]):
            raise UsageError(
                f"{option}: row {row} ends at column {len(numbers)}, row 1 at column "
                f"{len(rows[0])}.",
                hint="Every row needs as many numbers.",
            )
    return np.array(rows, dtype=np.float64)


def read_gray(path: Path) -> tuple[Grid, tuple[int, int]]:
    """A picture's gray values, 0 black to 255 white; a large one is shrunk.

    Returns:
        (rows, columns), and the height and width that the file has.

    Raises:
        DataError: it can't be read.
    """
    from zoo.data.fit import fit
    from zoo.schema import Preprocessing

    picture = read_picture(path)
    height, width = picture.shape[-2:]
    scale = min(1.0, MAX_SIDE_PX / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    gray = Preprocessing(
        channels=1, size=size, content=size, mean=(0.0,), std=(1.0,), interpolation="bilinear",
        fit="resize",
    )  # fmt: skip
    return fit(picture[None], gray)[0, 0].numpy().astype(np.float64), (height, width)


def read_picture(path: Path) -> "Tensor":
    """The pixels of a file, (1 or 3, h, w), uint8.

    Raises:
        DataError: it can't be read.
    """
    from zoo.data.decode import BadPictureError, decode
    from zoo.data.finding import Failed, find, reason

    if path.is_dir():
        raise DataError(f"{path} is a directory; one picture is asked for.")
    (found,) = find([str(path)])
    if isinstance(found, Failed):
        raise DataError(f"{path}: {found.message}.")
    try:
        return decode(path.read_bytes())
    except BadPictureError as error:
        raise DataError(f"{path}: {error.message}.") from error
    except OSError as error:
        raise DataError(f"{path}: {reason(error)}.") from error


def _words(line: str) -> list[str]:
    return line.replace(",", " ").split()


def _number(word: str, option: str, row: int, column: int) -> float:
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{option}: row {row}, column {column}: {word!r} is no finite number.")
    return number
