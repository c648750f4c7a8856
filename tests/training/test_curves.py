"""`curves.png`."""

import math
from pathlib import Path

from PIL import Image

from zoo.training.curves import draw
from zoo.training.engine import Epoch

BLUE, RED = (26, 102, 204), (194, 65, 12)


def epoch(number: int, loss: float, val_loss: float | None = None) -> Epoch:
    return Epoch(number, 1.0, 100.0, 0.1, loss, 0.5, val_loss, None if val_loss is None else 0.5)


def picture(tmp_path: Path, *epochs: Epoch, best: int | None = None) -> Image.Image:
    draw(epochs, best, tmp_path / "curves.png")
    return Image.open(tmp_path / "curves.png").convert("RGB")


def rows_of(image: Image.Image, colour: tuple[int, int, int], column: int) -> list[int]:
    """Where in one column of pixels, below the legend, a colour is."""

    def is_near(pixel: tuple[int, ...]) -> bool:
        return all(abs(a - b) < 60 for a, b in zip(pixel, colour, strict=True))

    return [y for y in range(54, image.height) if is_near(image.getpixel((column, y)))]


def test_the_curves_are_where_the_values_are(tmp_path: Path) -> None:
    drawn = picture(tmp_path, epoch(1, 1.0, 0.5), epoch(2, 0.0, 0.5), epoch(3, 1.0, 0.5))
    middle = rows_of(drawn, BLUE, 282)  # epoch 2, between 64 and 500
    start = rows_of(drawn, BLUE, 66)
    flat = rows_of(drawn, RED, 173)
    assert start[0] < flat[0] < middle[0]
    assert abs(flat[0] - (start[0] + middle[0]) / 2) < 4


def test_one_epoch_and_missing_and_huge_values(tmp_path: Path) -> None:
    assert rows_of(picture(tmp_path, epoch(1, 0.5), best=1), BLUE, 282)  # in the middle
    for losses in ((1e30, 1.0, math.nan), (math.inf, 2.0, 3.0), (5.0, 5.0, 5.0)):
        drawn = picture(tmp_path, *(epoch(n, loss) for n, loss in enumerate(losses, start=4)))
        assert drawn.size == (1040, 340)


def test_equal_runs_give_equal_bytes(tmp_path: Path) -> None:
    epochs = [epoch(number, 1 / number, 1 / number) for number in range(1, 9)]
    draw(epochs, 8, tmp_path / "a.png")
    draw(epochs, 8, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_axis_has_a_name_and_the_dashed_line_a_legend(tmp_path: Path) -> None:
    def is_inked(image: Image.Image, box: tuple[int, int, int, int]) -> bool:
        return image.crop(box).convert("L").getextrema()[0] < 150

    epochs = [epoch(number, 1 / number, 1 / number) for number in range(1, 5)]
    name, legend = (250, 316, 310, 334), (265, 34, 350, 52)
    assert is_inked(picture(tmp_path, *epochs, best=3), name)
    assert is_inked(picture(tmp_path, *epochs, best=3), legend)
    assert not is_inked(picture(tmp_path, *epochs), legend)
