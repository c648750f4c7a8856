"""The zoo at a glance: finding and choosing cards. Imports no torch."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from zoo import tables
from zoo.cards import CARDS as CARDS
from zoo.cards import IMPORTED
from zoo.cards import Architecture as Architecture
from zoo.cards.of_libraries import card_of
from zoo.errors import NotFoundError, UsageError, closest


def canonical(name: str) -> str:
    """The name by which cards and weights are found: `_` and `-` are the same letter."""
    return name.replace("_", "-").lower()


def _index(cards: Iterable[Architecture]) -> dict[str, Architecture]:
    index: dict[str, Architecture] = {}
    for card in cards:
        if index.setdefault(canonical(card.name), card) is not card:
            raise ValueError(f"two cards are called {card.name}")
    return index


_BY_NAME = _index((*CARDS, *IMPORTED))


def named(model: str) -> Architecture | None:
    """The card that MODEL means, or None.

    Raises:
        NotFoundError: the architecture is one that only imported files have.
    """
    card = lookup(model)
    if card is not None and card.is_imported:
        raise NotFoundError(
            f"{card.name} is no network by itself: {card.title}.",
            hint="zoo import keras FILE -o OUT, and then OUT is a MODEL.",
        )
    return card


def lookup(name: str) -> Architecture | None:
    """The card of that name, `_` and `-` being the same letter, or None.

    Imports no torch, but for a network that the installed timm has and the table of an older one
    has not.
    """
    wanted = canonical(name)
    library, slash, rest = wanted.partition("/")
    if not slash or library not in tables.LIBRARIES:
        return _BY_NAME.get(wanted)
    return _by_name_in(library).get(wanted) or _unlisted(library, rest)


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
    wanted = canonical(name)
    library, slash, _ = wanted.partition("/")
    missing = f"No architecture, model file or run is called {name!r}."
    if slash and library in tables.LIBRARIES:
        known = {key: card.name for key, card in _by_name_in(library).items()}
        network, dot, _ = wanted.partition(".")
        if dot and network in known:
            tag = name.partition(".")[2]
            return NotFoundError(
                f"{missing} The part after the dot names weights, not a network.",
                hint=f"{known[network]} --weights {tag}",
            )
        hint = f"zoo list --search {library} shows every network of {library}."
    elif slash or "." in name:
        return _no_such_path(name)
    else:
        known = {key: card.name for key, card in _BY_NAME.items() if not card.is_imported}
        hint = (
            "zoo list shows every architecture, zoo list --all those of torchvision and timm too."
        )
        for other in tables.LIBRARIES:
            if card := _by_name_in(other).get(f"{other}/{wanted}"):
                known = {wanted: card.name}
                break
    match = closest(wanted, known)
    suggestion = f" Did you mean {known[match]}?" if match else ""
    return NotFoundError(missing + suggestion, hint=hint)


def _no_such_path(name: str) -> NotFoundError:
    """The error for a MODEL that looks like a file or a run."""
    path = Path(name)
    try:
        beside = [one.name for one in path.parent.iterdir()]
    except OSError:
        beside = []
    near = closest(path.name, beside)
    suggestion = f" Did you mean {path.with_name(near)}?" if near else ""
    return NotFoundError(
        f"There is no file or run {name}.{suggestion}",
        hint="zoo runs list shows the runs, zoo list every architecture.",
    )


def cards_of(library: str) -> list[Architecture]:
    """A card for every network of torchvision or timm, by name."""
    return list(_by_name_in(library).values())


@cache
def _by_name_in(library: str) -> dict[str, Architecture]:
    version = {"listed_in": tables.version_of("timm")} if library == "timm" else {}
    return _index(card_of(library, row, **version) for row in tables.rows_of(library))


def _unlisted(library: str, name: str) -> Architecture | None:
    """A network of the installed timm, where it is another than the table's."""
    installed = tables.installed_version("timm")
    if library != "timm" or "." in name or installed in (None, tables.version_of("timm")):
        return None
    from zoo.tables import of_timm

    row = of_timm.row_of(name)
    return None if row is None else card_of("timm", row)


def select(
    *,
    family: str | None = None,
    search: str | None = None,
    max_params: int | None = None,
    pretrained: bool = False,
    sort: str = "name",
    libraries: bool = False,
) -> list[Architecture]:
    """The cards that meet every condition, in order.

    Args:
        family: exact family name.
        search: words that name, title, family or paper must all contain, in any case.
        max_params: at most this many parameters in PyTorch's count.
        pretrained: only those with published weights.
        sort: a field of the card; cards without a value come last, and accuracy descends.
        libraries: also every network of torchvision and timm.

    Raises:
        UsageError: no card is of that family.
    """
    cards = [*CARDS]
    if libraries:
        cards += [card for library in tables.LIBRARIES for card in cards_of(library)]
    family = family.lower() if family else family
    families = sorted({card.family for card in cards})
    if family is not None and family not in families:
        raise UsageError(
            f"No family is called {family!r}.",
            hint=f"Families: {', '.join(families)}." + ("" if libraries else " --all has more."),
        )

    def matches(card: Architecture) -> bool:
        text = f"{card.name} {card.family} {card.year or ''}".lower()
        if "/" not in card.name:  # the other cards' texts are all alike
            text += f" {card.title} {card.paper}".lower()
        return (
            (family is None or card.family == family)
            and (search is None or all(word in text for word in search.lower().split()))
            and (max_params is None or (card.params is not None and card.params <= max_params))
            and (not pretrained or bool(card.weights))
        )

    def key(card: Architecture) -> tuple[bool, Any, str]:
        value = getattr(card, sort)
        if sort == "top1" and value is not None:
            value = -value
        return (value is None, value, card.name)

    return sorted((card for card in cards if matches(card)), key=key)
