"""Medians, their intervals, and when measuring stops: on given numbers and a clock of one's own."""

import itertools
import math
import random
import statistics

import pytest

from zoo import timing
from zoo.timing import FEWEST_ROUNDS, Goal, Times, Turns, median_interval


class Clock:
    """Passes only when something takes time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.seconds)

    def takes(self, *milliseconds: float) -> timing.Pass:
        """A thing whose passes take so long, over and over."""
        durations = itertools.cycle(milliseconds)

        def one() -> None:
            self.seconds += next(durations) / 1000

        return one


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


# Ranks of the 95 % interval of a median: Conover's table of the binomial distribution.
@pytest.mark.parametrize(
    ("count", "rank"), [(6, 1), (8, 1), (9, 2), (11, 2), (12, 3), (20, 6), (25, 8), (100, 40)]
)
def test_the_interval_of_a_median(count: int, rank: int) -> None:
    values = list(range(1, count + 1))
    random.Random(0).shuffle(values)
    assert median_interval(values) == (rank, count + 1 - rank)


@pytest.mark.parametrize("count", [6, 9, 16, 40, 3000])
def test_the_interval_is_the_shortest_that_is_sure_enough(count: int) -> None:
    low, _ = median_interval(range(1, count + 1))

    def below(rank: int) -> float:
        return sum(math.comb(count, heads) for heads in range(rank)) / 2**count

    assert below(low) <= 0.025 < below(low + 1)


def test_few_values_lie_inside_their_interval() -> None:
    assert median_interval([3.0]) == (3.0, 3.0)
    assert median_interval([5.0, 3.0, 4.0]) == (3.0, 5.0)


def test_the_interval_holds_the_median_as_often_as_it_says() -> None:
    draws = random.Random(1)
    held = 0
    for _ in range(1000):
        low, high = median_interval([draws.expovariate(1) for _ in range(20)])
        held += low <= math.log(2) <= high
    assert held >= 940


def test_figures_of_given_times() -> None:
    times = Times()
    for block in ([1.0, 2.0, 9.0], [4.0, 4.0, 4.0], [3.0, 3.0, 5.0]):
        times.add(block)
    assert times.median_ms == statistics.median([2.0, 4.0, 3.0])
    assert times.p95_ms == 9.0
    assert times.interval_ms == (2.0, 4.0)
    assert times.spread == pytest.approx(1 / 3)


def test_one_pass_in_twenty_exceeds_p95() -> None:
    times = Times()
    times.add([float(ms) for ms in range(1, 101)])
    assert times.p95_ms == 95.0


def test_steady_things_settle_soon(clock: Clock) -> None:
    turns = Turns([clock.takes(1.0), clock.takes(40.0)], Goal(spread=0.01, seconds=0.5))
    assert list(turns.rounds()) == list(range(1, FEWEST_ROUNDS + 1))
    assert turns.settled
    assert [times.median_ms for times in turns.times] == pytest.approx([1.0, 40.0])
    # A block is 20 ms of passes, or one that takes longer.
    assert [len(times.passes_ms) for times in turns.times] == [20 * FEWEST_ROUNDS, FEWEST_ROUNDS]


def test_a_fifth_of_the_time_is_spent_in_any_case(clock: Clock) -> None:
    turns = Turns([clock.takes(50.0), clock.takes(50.0)], Goal(spread=0.01, seconds=10.0))
    list(turns.rounds())
    assert turns.settled
    assert turns.seconds == pytest.approx(4.0, abs=0.11)


def test_unsteady_things_take_until_time_is_up(clock: Clock) -> None:
    turns = Turns([clock.takes(50.0, 100.0), clock.takes(30.0)], Goal(spread=0.01, seconds=2.0))
    rounds = len(list(turns.rounds()))
    assert not turns.settled
    assert 4.0 <= turns.seconds < 4.0 + 0.2
    assert rounds == len(turns.times[1].medians_ms) > FEWEST_ROUNDS
    assert turns.times[1].spread == pytest.approx(0)
    assert turns.times[0].spread > 0.01


def test_an_interval_needs_six_rounds_whatever_the_limit(clock: Clock) -> None:
    turns = Turns([clock.takes(1000.0, 3000.0)], Goal(spread=0.01, seconds=0.1))
    assert len(list(turns.rounds())) == FEWEST_ROUNDS
    assert not turns.settled


def test_the_first_passes_do_not_count(clock: Clock) -> None:
    slow_start = itertools.chain([500.0], itertools.repeat(1.0))

    def one() -> None:
        clock.seconds += next(slow_start) / 1000

    turns = Turns([one], Goal(spread=0.01, seconds=1))
    list(turns.rounds())
    assert max(turns.times[0].passes_ms) == pytest.approx(1.0)


def test_rounds_are_shuffled_by_the_seed(clock: Clock) -> None:
    def order(seed: int) -> list[int]:
        called: list[int] = []

        def thing(index: int) -> timing.Pass:
            def one() -> None:
                called.append(index)
                clock.seconds += 0.03

            return one

        turns = Turns([thing(index) for index in range(4)], Goal(), seed=seed)
        list(turns.rounds())
        return called[-4 * FEWEST_ROUNDS :]

    drawn = order(0)
    rounds = [tuple(drawn[start : start + 4]) for start in range(0, len(drawn), 4)]
    assert all(sorted(one) == [0, 1, 2, 3] for one in rounds)
    assert len(set(rounds)) > 1
    assert order(0) == drawn != order(1)


def test_what_was_measured_stays_when_it_is_interrupted(clock: Clock) -> None:
    turns = Turns([clock.takes(30.0)], Goal())
    for done in turns.rounds():
        if done == 2:
            break
    assert turns.times[0].medians_ms == pytest.approx([30.0, 30.0])
