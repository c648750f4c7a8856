"""The range test finds rates that work."""

import math
from pathlib import Path

import pytest
from PIL import Image

from zoo.errors import UsageError
from zoo.plotting import check_can_draw
from zoo.training.rate_finder import RangeTest, draw, range_test


class Quadratic:
    """Gradient descent on curvature * w² / 2, which diverges from rates of 2 / curvature on."""

    def __init__(self, curvature: float) -> None:
        self.curvature, self.w = curvature, 1.0

    def step(self, rate: float) -> float:
        loss = self.curvature * self.w**2 / 2
        self.w -= rate * self.curvature * self.w
        return loss


@pytest.mark.parametrize("curvature", [0.5, 1.0, 20.0, 1000.0])
def test_the_suggestion_suits_the_curvature(curvature: float) -> None:
    test = range_test(Quadratic(curvature).step, highest=100)
    assert test.suggestion is not None
    assert 0.01 / curvature < test.suggestion < 1 / curvature
    after = Quadratic(curvature)
    losses = [after.step(test.suggestion) for _ in range(300)]
    assert losses[-1] < 0.01 * losses[0]


def test_rates_rise_evenly_on_the_logarithmic_axis() -> None:
    test = range_test(lambda rate: 1.0, lowest=1e-4, highest=1.0, steps=5)
    assert test.rates == pytest.approx((1e-4, 1e-3, 1e-2, 1e-1, 1.0))
    assert not test.stopped_early


def test_the_average_starts_without_bias() -> None:
    test = range_test(lambda rate: 3.0, steps=7)
    assert test.smoothed == pytest.approx((3.0,) * 7)


def test_a_lost_loss_ends_the_test() -> None:
    test = range_test(Quadratic(1000.0).step)
    assert test.stopped_early
    assert len(test.rates) == len(test.losses) == len(test.smoothed) < 100
    assert test.smoothed[-1] > 4 * min(test.smoothed)
    assert all(loss <= 4 * min(test.smoothed[: i + 1]) for i, loss in enumerate(test.smoothed[:-1]))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_test(bad: float) -> None:
    def step(rate: float) -> float:
        return bad if rate > 0.1 else 2.0 - rate

    test = range_test(step)
    assert test.stopped_early
    assert not math.isfinite(test.losses[-1])
    assert all(math.isfinite(loss) for loss in test.losses[:-1])
    assert test.suggestion is not None
    assert test.suggestion <= 0.1


@pytest.mark.parametrize("step", [lambda rate: 1.0, lambda rate: 1.0 + rate, lambda rate: math.nan])
def test_a_loss_that_never_falls_suggests_nothing(step: object) -> None:
    assert range_test(step).suggestion is None  # type: ignore[arg-type]


def test_a_suggestion_has_two_digits() -> None:
    suggestion = range_test(Quadratic(3.0).step).suggestion
    assert suggestion is not None
    assert suggestion == float(f"{suggestion:.1e}")


@pytest.mark.parametrize(
    "test",
    [
        range_test(Quadratic(1.0).step, highest=100),
        range_test(lambda rate: 0.0),
        range_test(lambda rate: math.nan),
        RangeTest((0.1,), (math.inf,), (math.inf,), None, False),
    ],
    ids=["falling", "flat", "nan", "single"],
)
def test_the_curve_is_a_png(test: RangeTest, tmp_path: Path) -> None:
    path = tmp_path / "curve"  # without a suffix too
    draw(test, path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.width > image.height > 500
    assert list(tmp_path.iterdir()) == [path]


def test_without_matplotlib_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    check_can_draw()
    monkeypatch.setattr("zoo.plotting.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="Drawing needs matplotlib") as caught:
        draw(range_test(lambda rate: 1.0), tmp_path / "curve.png")
    assert caught.value.hint == "pip install 'cnn-zoo[report]'"
    assert not list(tmp_path.iterdir())
