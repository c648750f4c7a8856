"""The diagram shows every row where it belongs, and says what is what."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.benchmark.rows import ROW, slowed
from zoo.benchmark.plot import draw, figure_of

ROWS = [
    replace(ROW, top1=0.9, batch_size=size, format=name, model=model)
    for size in (1, 32)
    for name in ("torch", "onnx")
    for model in ("lenet5", "_odd $name")
]


def test_a_panel_for_each_size_of_batch() -> None:
    rows = [slowed(row, 1 + index) for index, row in enumerate(ROWS)]
    figure = figure_of(rows)
    assert [axes.get_title() for axes in figure.axes] == [
        "1 picture at a time", "32 pictures at a time",
    ]  # fmt: skip
    for axes, size in zip(figure.axes, (1, 32), strict=True):
        points = {
            (bar.lines[0].get_xdata()[0], bar.lines[0].get_ydata()[0]) for bar in axes.containers
        }
        assert points == {(row.latency_ms, 90.0) for row in rows if row.batch_size == size}


def test_colours_and_shapes_are_explained() -> None:
    (legend,) = figure_of(ROWS).legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["lenet5", r" _odd \$name", "torch, fp32", "onnx, fp32"]


@pytest.mark.parametrize(
    ("top1", "label"),
    [(0.9, "top-1 accuracy, %"), (None, "multiply-adds for one picture")],
)
def test_accuracy_where_it_was_measured_else_multiply_adds(top1: float | None, label: str) -> None:
    figure = figure_of([replace(ROW, top1=top1)])
    assert figure.get_supylabel() == label


def test_many_sizes_take_several_rows_of_panels(tmp_path: Path) -> None:
    rows = [replace(ROW, batch_size=size) for size in (1, 2, 4, 8)]
    visible = [axes for axes in figure_of(rows).axes if axes.get_visible()]
    assert len(visible) == 4
    draw(rows, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000


def test_names_in_letters_that_the_font_lacks(tmp_path: Path) -> None:
    draw([replace(ROW, model="網路\x1b")], tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size
