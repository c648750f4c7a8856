"""One card per architecture, in the order of their history.

A card names its builder by dotted path and states its counts, so that listing imports no torch;
`tests/test_catalog.py` builds every card and holds what it states.
"""

from zoo.cards.card import Architecture as Architecture
from zoo.cards.imported import IMPORTED as IMPORTED
from zoo.cards.of_torchvision import OF_TORCHVISION
from zoo.cards.written_here import WRITTEN_HERE

CARDS: tuple[Architecture, ...] = (*WRITTEN_HERE, *OF_TORCHVISION)
