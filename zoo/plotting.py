"""What every diagram needs: matplotlib, asked for before there is work to lose, and a PNG."""

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import UsageError
from zoo.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 144


def check_can_draw() -> None:
    """Refuses to draw where that can't be, before minutes of work.

    Raises:
        UsageError: matplotlib is missing.
    """
    if find_spec("matplotlib") is None:
        raise UsageError("Drawing needs matplotlib.", hint="pip install 'cnn-zoo[report]'")


def new_figure(width_inches: float, height_inches: float) -> "Figure":
    """An empty figure. Without pyplot, which keeps figures and a backend for the whole process."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches, height_inches), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def write_png(figure: "Figure", path: Path) -> None:
    """Writes a figure as a PNG, atomically.

    Raises:
        DiskError: the disk is full, or there is no permission.
    """
    with atomic_path(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a name's letters that the font lacks
        figure.savefig(temporary, format="png")
