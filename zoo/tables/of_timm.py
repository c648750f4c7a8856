"""What the installed timm says of its networks."""

import timm
from timm.models import PretrainedCfg, model_entrypoint

from zoo.tables import Row


def row_of(name: str) -> Row | None:
    """A network's row, less its counts; `_` and `-` are the same letter."""
    known = {other.replace("_", "-").lower(): other for other in timm.list_models()}
    found = known.get(name.replace("_", "-").lower())
    if found is None:
        return None
    config = timm.get_pretrained_cfg(found) or PretrainedCfg()
    channels, height, width = config.input_size
    preferred, published = config.tag, timm.list_pretrained(found)
    tags = [other.partition(".")[2] for other in published]
    return Row(
        name=found,
        family=model_entrypoint(found).__module__.rpartition(".")[2],
        input_shape=(channels, height, width),
        num_classes=config.num_classes or 1000,  # 0 is a network published without a head
        weights=tuple(sorted(tags, key=lambda tag: (tag != preferred, tag))),
    )
