"""zoo: a command-line model zoo for convolutional networks.

The names below serve notebooks. They load on first use, because the command line imports this
package on every start and torch takes seconds.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Architecture": "zoo.catalog",
    "ZooError": "zoo.errors",
    "build": "zoo.modelfile",
    "describe": "zoo.description",
    "evaluate": "zoo.evaluation",
    "load": "zoo.modelfile",
    "load_recipe": "zoo.recipe",
    "save": "zoo.modelfile",
    "summarize": "zoo.summary",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
