"""A change of some pictures of a batch."""

from collections.abc import Callable

from torch import Tensor


def changed(images: Tensor, chosen: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """The pictures, those at the indices `chosen`, on their device, replaced by their change."""
    if len(chosen) == 0:
        return images
    if len(chosen) == len(images):
        return change(images)
    return images.index_copy(0, chosen, change(images[chosen]))
