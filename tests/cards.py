"""Which cards a test goes through."""

import pytest

from zoo.catalog import CARDS, Architecture


def is_small(card: Architecture) -> bool:
    """Whether building it and running it takes no time worth mentioning."""
    return card.mult_adds < 50e6


SMALL = [card for card in CARDS if is_small(card)]

EVERY_CARD = pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
"""For tests on the meta device."""

SMALL_CARDS = pytest.mark.parametrize("card", SMALL, ids=lambda card: card.name)

EVERY_CARD_THE_LARGE_SLOWLY = pytest.mark.parametrize(
    "card",
    [card if is_small(card) else pytest.param(card, marks=pytest.mark.slow) for card in CARDS],
    ids=lambda card: card.name,
)
"""For tests that allocate weights."""
