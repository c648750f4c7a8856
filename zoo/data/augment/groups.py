"""A change of some pictures of a batch."""

from collections.abc import Callable

from torch import Tensor


def changed(images: Tensor, chosen: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """The pictures, those at the indices `chosen` (on the CPU) replaced by their change."""
    if len(chosen) == 0:
        return images
    if len(chosen) == len(images):
        return change(images)
    indices = chosen.to(images.device)
    return images.index_copy(0, indices, change(images[indices]))
