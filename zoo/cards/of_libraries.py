"""The cards of networks that libraries build, from the libraries' tables."""

from zoo import published
from zoo.cards.card import Architecture
from zoo.tables import Row

_PAPERS = {
    "torchvision": "see torchvision, https://docs.pytorch.org/vision/stable/models.html",
    "timm": "see timm, https://github.com/huggingface/pytorch-image-models/blob/main/timm/models/"
    "{family}.py",
}


def card_of(library: str, row: Row, **options: str) -> Architecture:
    """The card of a library's network; `options` go to its builder."""
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
        **(published.on_card(row.name) if library == "torchvision" else {"weights": row.weights}),
    )
