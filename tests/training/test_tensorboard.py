"""What TensorBoard reads back."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from zoo.errors import UsageError
from zoo.training.engine import Epoch
from zoo.training.tensorboard import Board


def epoch(number: int, loss: float, *, validated: bool = True) -> Epoch:
    return Epoch(
        epoch=number, seconds=2.0, images_per_second=1000.0 + number, lr=0.1 / number,
        train_loss=loss, train_top1=0.5, val_loss=loss + 1 if validated else None,
        val_top1=0.25 if validated else None,
    )  # fmt: skip


def scalars(directory: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(directory))
    events.Reload()
    return {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def test_each_epoch_is_a_step(tmp_path: Path) -> None:
    with Board.open(tmp_path / "board") as board:
        board.epoch(epoch(1, 4.0))
        assert scalars(tmp_path / "board")["loss/train"] == [(1, 4.0)]  # at once, not at the end
        board.epoch(epoch(2, 3.0))
    assert scalars(tmp_path / "board") == {
        "loss/train": [(1, 4.0), (2, 3.0)],
        "loss/val": [(1, 5.0), (2, 4.0)],
        "top1/train": [(1, 0.5), (2, 0.5)],
        "top1/val": [(1, 0.25), (2, 0.25)],
        "lr": [(1, pytest.approx(0.1)), (2, pytest.approx(0.05))],
        "images_per_second": [(1, 1001.0), (2, 1002.0)],
    }


def test_without_validation_its_figures_are_left_out(tmp_path: Path) -> None:
    with Board.open(tmp_path) as board:
        board.epoch(epoch(1, 4.0, validated=False))
    assert set(scalars(tmp_path)) == {"loss/train", "top1/train", "lr", "images_per_second"}


def test_a_resumed_run_replaces_the_epochs_that_it_trains_again(tmp_path: Path) -> None:
    with Board.open(tmp_path) as board:
        for number in (1, 2, 3):
            board.epoch(epoch(number, 4.0))
    with Board.open(tmp_path, purge_step=2) as board:
        board.epoch(epoch(2, 1.0))
    assert scalars(tmp_path)["loss/train"] == [(1, 4.0), (2, 1.0)]


def test_without_tensorboard_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("zoo.training.tensorboard.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="needs tensorboard") as caught:
        Board.open(tmp_path / "board")
    assert caught.value.hint == "pip install 'cnn-zoo[tensorboard]'"
    assert not (tmp_path / "board").exists()
