"""A run's figures for TensorBoard."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

from zoo.errors import UsageError
from zoo.files import disk_errors

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from zoo.training.engine import Epoch


def check_installed() -> None:
    """Refuses before anything is done.

    Raises:
        UsageError: tensorboard is missing.
    """
    if find_spec("tensorboard") is None:
        raise UsageError(
            "train.tensorboard needs tensorboard.", hint="pip install 'cnn-zoo[tensorboard]'"
        )


class Board:
    """The event files of a run; a scalar's step is the number of its epoch."""

    def __init__(self, writer: "SummaryWriter") -> None:
        self._writer = writer

    @classmethod
    def open(cls, directory: Path, purge_step: int | None = None) -> "Board":
        """Goes on in a directory, or begins there.

        Args:
            directory: where TensorBoard looks.
            purge_step: the first epoch that a resumed run will write anew; TensorBoard then
                forgets what an earlier file says of it and of later ones.

        Raises:
            UsageError: tensorboard is missing.
            DiskError: the disk is full, or there is no permission.
        """
        check_installed()
        from torch.utils.tensorboard import SummaryWriter

        with disk_errors("write", directory):
            return cls(SummaryWriter(str(directory), purge_step=purge_step))

    def epoch(self, epoch: "Epoch") -> None:
        """Writes one epoch's figures, those that there are.

        Raises:
            DiskError: the disk is full.
        """
        figures = {
            "loss/train": epoch.train_loss,
            "loss/val": epoch.val_loss,
            "top1/train": epoch.train_top1,
            "top1/val": epoch.val_top1,
            "lr": epoch.lr,
            "images_per_second": epoch.images_per_second,
        }
        with disk_errors("write", self._writer.log_dir):
            for name, value in figures.items():
                if value is not None:
                    self._writer.add_scalar(name, value, epoch.epoch)
            self._writer.flush()  # who watches sees each epoch at once

    def close(self) -> None:
        """Writes what is left.

        Raises:
            DiskError: the disk is full.
        """
        with disk_errors("write", self._writer.log_dir):
            self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
