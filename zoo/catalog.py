"""The zoo at a glance: finding and choosing cards. Imports no torch."""

from collections.abc import Iterable
from typing import Any

from zoo.cards import CARDS as CARDS
from zoo.cards import Architecture as Architecture
from zoo.errors import NotFoundError, UsageError, closest


def _canonical(name: str) -> str:
    return name.replace("_", "-").lower()


def _index(cards: Iterable[Architecture]) -> dict[str, Architecture]:
    index: dict[str, Architecture] = {}
    for card in cards:
        if index.setdefault(_canonical(card.name), card) is not card:
            raise ValueError(f"two cards are called {card.name}")
    return index


_BY_NAME = _index(CARDS)


def lookup(name: str) -> Architecture | None:
    """The card of that name, `_` and `-` being the same letter, or None."""
    return _BY_NAME.get(_canonical(name))


def find(name: str) -> Architecture:
    """The card of that name.

    Raises:
        NotFoundError: there is none; the hint names the closest.
    """
    card = lookup(name)
    if card is None:
        raise not_found(name)
    return card


def not_found(name: str) -> NotFoundError:
    """The error for a MODEL that names neither an architecture nor a file nor a run."""
    match = closest(_canonical(name), _BY_NAME)
    suggestion = f" Did you mean {match}?" if match else ""
    return NotFoundError(
        f"No architecture, model file or run is called {name!r}.{suggestion}",
        hint="zoo list shows every architecture.",
    )


def select(
    *,
    family: str | None = None,
    search: str | None = None,
    max_params: int | None = None,
    pretrained: bool = False,
    sort: str = "name",
) -> list[Architecture]:
    """The cards that meet every condition, in order.

    Args:
        family: exact family name.
        search: words that name, title, family or paper must all contain, in any case.
        max_params: at most this many parameters in PyTorch's count.
        pretrained: only those with published weights.
        sort: a field of the card; cards without a value come last, and accuracy descends.

    Raises:
        UsageError: no card is of that family.
    """
    family = family.lower() if family else family
    families = sorted({card.family for card in CARDS})
    if family is not None and family not in families:
        raise UsageError(
            f"No family is called {family!r}.", hint=f"Families: {', '.join(families)}."
        )

    def matches(card: Architecture) -> bool:
        text = " ".join((card.name, card.title, card.family, card.paper, str(card.year))).lower()
        return (
            (family is None or card.family == family)
            and (search is None or all(word in text for word in search.lower().split()))
            and (max_params is None or card.params <= max_params)
            and (not pretrained or bool(card.weights))
        )

    def key(card: Architecture) -> tuple[bool, Any, str]:
        value = getattr(card, sort)
        if sort == "top1" and value is not None:
            value = -value
        return (value is None, value, card.name)

    return sorted((card for card in CARDS if matches(card)), key=key)
