"""A recipe's `dataset`."""

from typing import Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from zoo.schema.section import Section
from zoo.values import Share, Side, SourceName


class Dataset(Section):
    """Which pictures, and how they are split."""

    source: SourceName = "digits"
    """Where the pictures come from: a named set, `folder`, `csv`, `idx`, or `torchvision/NAME`."""
    root: str | None = None
    """Directory that holds the set, searched after --data; left out, the usual places are."""
    validation: Share | None = None
    """Share of the training pictures, per class, that measures each epoch. Left out, it is the
    source's own validation split, or 0.1 where it has none."""
    test: Share | None = None
    """Share of all pictures, per class, that only the final evaluation sees. Left out, it is the
    source's own test split; without one, 0.2 of `digits` and `shapes`, and none of other sets."""
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    """Draws the split. It is not --seed, so that runs of several seeds share their test pictures,
    and a model trained further has never seen its own."""
    on_bad: Literal["error", "skip"] = "error"
    """What to do when pictures can't be read: list them all and stop, or name them and go on."""
    in_memory: bool | None = None
    """Whether all pictures are decoded once into memory and a cache on disk. Left out, they are
    where they fit. Otherwise worker processes decode them in each epoch."""
    workers: int | None = Field(default=None, ge=0, le=256)
    """Processes that decode pictures; left out, one per processor core."""
    split: str | None = None
    """`emnist`: balanced, byclass, bymerge, digits, letters or mnist; left out, balanced."""
    train_file: str | None = None
    """`csv`: the table of training pictures, below the root; left out, train.csv."""
    validation_file: str | None = None
    """`csv`: the table of validation pictures; left out, validation.csv where there is one."""
    test_file: str | None = None
    """`csv`: the table of test pictures; left out, test.csv where there is one."""
    path_column: str = "path"
    """`csv`: the column of paths, below the table's directory."""
    label_column: str = "label"
    """`csv`: the column of class names."""
    images: int = Field(default=2000, ge=1, le=10_000_000)
    """`shapes`: how many pictures."""
    num_classes: int = Field(default=6, ge=2, le=12)
    """`shapes`: how many figures."""
    size: Side = 32
    """`shapes`: height and width in pixels."""
    classes: tuple[str, ...] | None = Field(default=None, strict=False)
    """`idx`: names of the classes in the order of their numbers; left out, the numbers."""

    @model_validator(mode="after")
    def _options_apply(self) -> Self:
        for key in sorted(self.model_fields_set):
            sources = _APPLIES.get(key)
            if sources and self.source not in sources and getattr(self, key) != _default(self, key):
                raise ValueError(f"dataset.{key} applies to {' and '.join(sources)} only")
        if self.classes is not None and len(set(self.classes)) != len(self.classes):
            raise ValueError("dataset.classes names a class twice")
        return self

    def surplus_options(self) -> set[str]:
        """Options of other sources."""
        return {key for key, sources in _APPLIES.items() if self.source not in sources}


_APPLIES = {
    "split": ("emnist",),
    "train_file": ("csv",),
    "validation_file": ("csv",),
    "test_file": ("csv",),
    "path_column": ("csv",),
    "label_column": ("csv",),
    "images": ("shapes",),
    "num_classes": ("shapes",),
    "size": ("shapes",),
    "classes": ("idx",),
}
LOCAL = frozenset({"root", "in_memory", "workers"})
"""What depends on the machine, and changes no picture."""


def _default(section: BaseModel, key: str) -> Any:
    return type(section).model_fields[key].get_default()
