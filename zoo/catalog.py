"""The zoo at a glance: one card per architecture.

A card names its builder by dotted path and states its counts, so that listing imports no torch;
`tests/test_catalog.py` builds every card and holds what it states.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from zoo import tables
from zoo.errors import NotFoundError, UsageError, closest


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A named network."""

    name: str
    builder: str
    """`module:callable`, called with num_classes, in_channels and input_size."""
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Further keyword arguments of the builder, so that one file serves a family."""
    family: str
    year: int | None
    title: str
    """One line for people."""
    paper: str
    input_shape: tuple[int, int, int]
    """Channels, height, width."""
    smallest_px: int = 1
    """Shortest side of a picture that can pass."""
    content_px: int | None = None
    """Side of the square that pictures are fitted into before padding; None is the whole input."""
    num_classes: int = 1000
    auxiliary_from: int | None = None
    """Smallest side in pixels that the auxiliary classifiers can see; None where it has none.

    Such a network's builder takes `auxiliary` too.
    """
    params: int | None
    """Parameters in PyTorch's count: batch-norm statistics left out."""
    total_params: int | None
    """Parameters in Keras's count: batch-norm statistics included."""
    mult_adds: int | None
    """Multiply-adds for one picture of `input_shape`, a bias counting as one per output."""
    top1: float | None = None
    """Published ImageNet accuracy of the best pretrained weights, in [0, 1]."""
    weights: tuple[str, ...] = ()
    """Names of published pretrained weights."""
    departures: tuple[str, ...] = ()
    """Where the network differs from its paper."""
    recipe: str = "digits"
    """What `zoo train` uses without --recipe."""


LECUN_1998 = "LeCun et al. 1998, Gradient-based learning applied to document recognition"

CARDS: tuple[Architecture, ...] = (
    Architecture(
        name="lenet5",
        builder="zoo.architectures.lenet5:LeNet5",
        family="lenet",
        year=1998,
        title="LeNet-5 as lectures tabulate it",
        paper=LECUN_1998,
        input_shape=(1, 32, 32),
        content_px=28,
        num_classes=10,
        params=61_706,
        total_params=61_706,
        mult_adds=423_038,
        departures=(
            "C3 sees all six maps of S2; the paper's sparse table I gives it 60 of 96 pairs",
            "S2 and S4 average without the paper's trainable coefficient and bias",
            "plain tanh; the paper scales it to 1.7159 tanh(2x/3)",
            "a linear output with softmax; the paper's is Euclidean RBF against fixed bitmaps",
            "PyTorch's initial weights; the paper draws them uniformly from ±2.4 / fan-in",
        ),
    ),
    Architecture(
        name="lenet5-1998",
        builder="zoo.architectures.lenet5_1998:LeNet5Of1998",
        family="lenet",
        year=1998,
        title="LeNet-5 as its paper has it: sparse C3, trainable sub-sampling, RBF output",
        paper=LECUN_1998 + ", section II.B",
        input_shape=(1, 32, 32),
        content_px=28,
        num_classes=10,
        params=60_000,
        total_params=60_000,
        mult_adds=334_604,
        departures=(
            "the 7×12 bitmaps of the paper's figure 3 are redrawn, so single pixels may differ",
            "trained by cross-entropy over negative distances: the paper's equation 9 without its "
            "rubbish-class constant",
            "classes beyond the ten digits get fixed random codes of ±1",
        ),
    ),
    Architecture(
        name="keras-mnist-cnn",
        builder="zoo.architectures.keras_mnist_cnn:KerasMnistCnn",
        family="keras",
        year=2015,
        title="the Keras Sequential that CNN lectures train on MNIST",
        paper="none, a lecture's models.Sequential",
        input_shape=(1, 28, 28),
        num_classes=10,
        params=87_162,
        total_params=87_290,
        mult_adds=2_553_418,
        departures=(
            "a linear output; the softmax is in the loss",
            "running variance is PyTorch's unbiased one, n/(n-1) of Keras's",
        ),
    ),
)


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
    """The card of that name, `_` and `-` being the same letter, or None.

    Imports no torch, but for a network that the installed timm has and the table of an older one
    has not.
    """
    canonical = _canonical(name)
    library, slash, rest = canonical.partition("/")
    if not slash or library not in tables.LIBRARIES:
        return _BY_NAME.get(canonical)
    return _by_name_in(library).get(canonical) or _unlisted(library, rest)


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
    canonical = _canonical(name)
    library, slash, rest = canonical.partition("/")
    missing = f"No architecture, model file or run is called {name!r}."
    if slash and library in tables.LIBRARIES:
        known = {key: card.name for key, card in _by_name_in(library).items()}
        network, dot, _ = canonical.partition(".")
        if dot and network in known:
            tag = name.partition(".")[2]
            return NotFoundError(
                f"{missing} The part after the dot names weights, not a network.",
                hint=f"{known[network]} --weights {tag}",
            )
        hint = f"zoo list --search {library} shows every network of {library}."
    else:
        known = {key: card.name for key, card in _BY_NAME.items()}
        hint = "zoo list shows every architecture, zoo list --all those of torchvision and timm too."
        for other in tables.LIBRARIES:
            if card := _by_name_in(other).get(f"{other}/{canonical}"):
                known = {canonical: card.name}
                break
    match = closest(canonical, known)
    suggestion = f" Did you mean {known[match]}?" if match else ""
    return NotFoundError(missing + suggestion, hint=hint)


def cards_of(library: str) -> list[Architecture]:
    """A card for every network of torchvision or timm, by name."""
    return list(_by_name_in(library).values())


@cache
def _by_name_in(library: str) -> dict[str, Architecture]:
    version = {"listed_in": tables.version_of("timm")} if library == "timm" else {}
    return _index(_card(library, row, **version) for row in tables.rows_of(library))


def _unlisted(library: str, name: str) -> Architecture | None:
    """A network of the installed timm, where it is another than the table's."""
    installed = tables.installed_version("timm")
    if library != "timm" or "." in name or installed in (None, tables.version_of("timm")):
        return None
    from zoo.tables import of_timm

    row = of_timm.row_of(name)
    return None if row is None else _card("timm", row)


_PAPERS = {
    "torchvision": "see torchvision, https://docs.pytorch.org/vision/stable/models.html",
    "timm": "see timm, https://github.com/huggingface/pytorch-image-models/blob/main/timm/models/"
    "{family}.py",
}


def _card(library: str, row: tables.Row, **options: str) -> Architecture:
    return Architecture(
        name=f"{library}/{row.name}",
        builder=f"zoo.architectures.{library}_models:{library}_model",
        options={"name": row.name, **options},
        family=row.family,
        year=row.year,
        title=f"{row.name} as {library} builds it",
        paper=_PAPERS[library].format(family=row.family),
        input_shape=row.input_shape,
        smallest_px=row.smallest_px,
        num_classes=row.num_classes,
        auxiliary_from=row.auxiliary_from,
        params=row.params,
        total_params=row.total_params,
        mult_adds=row.mult_adds,
        top1=row.top1,
        weights=row.weights,
    )


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
            f"No family is called {family!r}.", hint=f"Families: {', '.join(families)}."
        )

    def matches(card: Architecture) -> bool:
        text = " ".join((card.name, card.title, card.family, card.paper, str(card.year))).lower()
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
