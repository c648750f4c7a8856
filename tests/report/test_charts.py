"""Drawings: whose axes can be read, and what the marks say."""

import re
import xml.etree.ElementTree as ET

import pytest

from zoo.report import charts
from zoo.report.charts import Chart, Group, Place, Series

SVG = "{http://www.w3.org/2000/svg}"


def letters(chart: Chart) -> list[str]:
    """Texts of the drawing."""
    return [text.text or "" for text in ET.fromstring(chart.svg).iter(f"{SVG}text")]


def marks(chart: Chart) -> list[dict[str, str]]:
    return [circle.attrib for circle in ET.fromstring(chart.svg).iter(f"{SVG}circle")]


def drawn(*curves: list[float | None], clips: bool = False) -> Chart:
    series = [Series("a", values, [f"told {value}" for value in values]) for values in curves]
    epochs = [[*range(1, len(values) + 1)] for values in curves]
    found = charts.curves("Loss", "losses", epochs, series, clips=clips)
    assert found is not None
    return found


def numbers(chart: Chart) -> list[float]:
    return [float(text) for text in letters(chart) if re.match(r"-?[\d.]+(e-?\d+)?$", text)]


def test_every_letter_has_the_pages_colour() -> None:
    places = [Place(10, 0.5, "A", "a", 0), Place(1000, 0.9, "B", "b", 1)]
    for chart in (
        charts.scatter("S", "s", "parameters", places),
        charts.reliability([Group(0.5, 0.4, 3)], "r", "c"),
        drawn([1.0, 0.5]),
    ):
        texts = [*ET.fromstring(chart.svg).iter(f"{SVG}text")]
        assert texts
        for text in texts:
            assert "fill: var(--muted)" in text.attrib["style"], text.text
            assert "font-family" not in text.attrib["style"]


def test_runs_on_one_place_share_a_label_and_a_validation_figure_is_hollow() -> None:
    places = [
        Place(10, 0.5, "A", "a", 0),
        Place(10, 0.5, "B", "b", 1, is_hollow=True),
        Place(1000, 0.5, "C", "c", 2),
    ]
    chart = charts.scatter("S", "s", "parameters", places)
    assert {"A, B", "C"} <= set(letters(chart))
    assert [mark.get("class") for mark in marks(chart)] == [None, "hollow", None]


@pytest.mark.parametrize(
    "rates", [[1.999e-3, 1.999e-3 - 1e-7, 1.999e-3 - 3e-7], [2e-3] * 3, [1e-6, 5e-7], [2.5e5, 1e5]]
)
def test_an_axis_says_its_numbers_in_full(rates: list[float | None]) -> None:
    chart = drawn(rates)
    assert not [text for text in letters(chart) if "+" in text or "\N{MINUS SIGN}" in text]
    least, most = min(filter(None, rates)), max(filter(None, rates))
    _, *levels = sorted({number for number in numbers(chart) if number < 1 or number > 100})
    assert levels
    assert 0.8 * least <= levels[0] <= levels[-1] <= 1.2 * most


def test_a_loss_that_explodes_flattens_no_other() -> None:
    chart = drawn([2.0, 0.5, 0.25], [3e19, 1e19, 4e18], clips=True)
    assert max(numbers(chart)) <= 3  # the epochs
    assert "beyond 2.2 are drawn at the upper edge" in chart.caption
    assert "told 3e+19" in chart.svg
    at = [float(mark["cy"]) for mark in marks(chart)]
    assert at[3] == at[4] == at[5] < at[0] < at[1] < at[2]


@pytest.mark.parametrize(
    "losses", [[11.0, 0.5, 0.001], [3e19, 2e19, 1e19], [0.0, 0.0], [None, 5.0]]
)
def test_losses_are_drawn_as_they_are_where_all_can_be_seen(losses: list[float | None]) -> None:
    assert drawn(losses, clips=True).caption == ""


def test_small_groups_look_small() -> None:
    chart = charts.reliability([Group(0.3, 0.5, 1), Group(0.9, 0.8, 400)], "r", "c")
    small, large = (float(mark["r"]) for mark in marks(chart))
    assert small < large / 2
    assert "1 answer of 30.0 %" in chart.svg
    assert chart.groups[1].gap == pytest.approx(-0.1)
