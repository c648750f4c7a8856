"""What stands where a layer was taken out."""

from torch import Tensor, nn


class Removed(nn.Identity):
    """Gives what it reads, and counts nowhere as a layer.

    Args:
        copies: give a copy, since what follows changes it in place: others may need what was read.
    """

    def __init__(self, *, copies: bool = False) -> None:
        super().__init__()
        self.copies = copies

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (its class's name for it)
        """Of any shape."""
        return input.clone() if self.copies else input
