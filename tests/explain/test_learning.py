"""Trying all filters, and gradient descent."""

from itertools import pairwise

import pytest
import torch

from zoo.explain.learning import PATTERNS, RATE, descend, examples, score, trials


def test_the_slides_sixteen_filters() -> None:
    tried = trials(2)
    assert len({one.filter for one in tried}) == len(tried) == 16
    best = max(tried, key=lambda one: one.margin)
    assert best.filter == PATTERNS[2]["\\"]
    assert best.scores == (4, -4)
    # The slide: "+ + + +" gives 0 for both.
    assert tried[0].filter == (1, 1, 1, 1)
    assert tried[0].scores == (0, 0)


def test_the_best_of_512_is_the_slides_pattern() -> None:
    best = max(trials(3), key=lambda one: one.margin)
    assert best.filter == (1, -1, 1, -1, 1, -1, 1, -1, 1)


@pytest.mark.parametrize("side", [2, 3])
@pytest.mark.parametrize("seed", range(10))
def test_descent_ends_at_the_best_of_all_trials(side: int, seed: int) -> None:
    history = list(descend(side, steps=200, seed=seed))
    assert [one.step for one in history] == list(range(201))
    errors = [one.error for one in history]
    assert all(b < a or a < 1e-20 for a, b in pairwise(errors))
    assert history[-1].wrong == 0
    for weights, pattern in zip(history[-1].filters, PATTERNS[side].values(), strict=True):
        assert weights == pytest.approx(pattern, abs=0.01)


def test_a_seed_gives_the_same_numbers() -> None:
    assert list(descend(2, steps=5, seed=3)) == list(descend(2, steps=5, seed=3))
    assert list(descend(2, steps=5, seed=3)) != list(descend(2, steps=5, seed=4))


def test_the_derivative_is_autograds() -> None:
    before, after = descend(3, steps=1, seed=0)
    pictures = torch.tensor([pixels for _, pixels in examples(3)], dtype=torch.float64)
    patterns = torch.tensor(list(PATTERNS[3].values()), dtype=torch.float64)
    weights = torch.tensor(before.filters, dtype=torch.float64, requires_grad=True)
    misses = (weights @ pictures.T - patterns @ pictures.T) ** 2
    misses.mean(dim=1).sum().backward()
    assert misses.mean().item() == pytest.approx(before.error)
    assert weights.grad is not None
    expected = weights - RATE * weights.grad
    assert torch.tensor(after.filters, dtype=torch.float64).allclose(expected)


def test_examples_have_at_most_one_wrong_pixel() -> None:
    found = examples(2)
    assert len({pixels for _, pixels in found}) == 10
    for label, pixels in found:
        assert score(list(PATTERNS[2].values())[label], pixels) in (4, 2)
