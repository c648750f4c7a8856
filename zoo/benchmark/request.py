"""What is asked of a benchmark."""

from dataclasses import dataclass, field
from pathlib import Path

from zoo.data.gathering import Progress
from zoo.downloads import Downloads
from zoo.timing import Goal


@dataclass(frozen=True)
class Request:
    """What to measure, and how."""

    models: tuple[str, ...]
    """Each an architecture, a model file, a run or an exported file."""
    scratch: Path
    """An empty directory for what is exported to be measured."""
    formats: tuple[str, ...] | None = None
    """Of models that are not exported; None is torch."""
    precisions: tuple[str, ...] = ("fp32",)
    batch_sizes: tuple[int, ...] = (1,)
    device: str = "cpu"
    """Such as `cpu`, `cuda:0` or `auto`; exported files run on the processor."""
    threads: int | None = None
    """Of the processor; None leaves torch its own choice."""
    goal: Goal = field(default_factory=Goal)
    seed: int = 0
    """Draws the order of each round."""
    with_memory: bool = True
    """Whether to start a process for each row that measures its peak memory."""
    recipe: str | None = None
    """Whose pictures measure accuracy; with neither it nor `data`, none is measured."""
    data: Path | None = None
    """`--data`, the first place to look for the pictures."""
    downloads: Downloads | None = None
    progress: Progress = lambda _done, _total: None

    @property
    def has_pictures(self) -> bool:
        """Whether accuracy is asked for."""
        return self.recipe is not None or self.data is not None
