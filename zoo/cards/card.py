"""What a card says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.published import Weights, of_torchvision


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
    smallest_px: int | None = 1
    """Shortest side of a picture that can pass; None where only the network itself knows."""
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
    """Published ImageNet accuracy of the first of `weights`, in [0, 1]."""
    weights: tuple[str, ...] = ()
    """Names of published pretrained weights, the library's own choice first."""
    departures: tuple[str, ...] = ()
    """Where the network differs from its paper."""
    is_imported: bool = False
    """Whether only files have such networks: the layers are theirs, and the name is no MODEL."""
    recipe: str = "digits"
    """What `zoo train` uses without --recipe."""

    @property
    def library(self) -> str | None:
        """`torchvision` or `timm`, where the network is theirs."""
        module = self.builder.partition(":")[0].rpartition(".")[2]
        return module.removesuffix("_models") if module.endswith("_models") else None

    @property
    def published(self) -> tuple[Weights, ...]:
        """What is known of the weights that torchvision publishes, its default first."""
        if self.library != "torchvision":
            return ()
        return of_torchvision(self.options["name"])
