"""Going on with a run: to the same bits, wherever it was stopped."""

import csv
import errno
import json
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from zoo import description, modelfile
from zoo.errors import (
    DataError,
    DiskError,
    DivergedError,
    InterruptionError,
    ModelFileError,
    NotFoundError,
    OutOfMemoryError,
    RecipeError,
    RunInUseError,
    UsageError,
    ZooError,
)
from zoo.training.preparation import Request, prepare
from zoo.training.resumption import resume
from zoo.training.session import Session

ALL_ON = (
    "augment.rotation_range=10",
    "augment.mixup=0.2",
    "train.ema_decay=0.9",
    "train.clip_norm=1",
    "train.label_smoothing=0.1",
    "train.class_weights=balanced",
    "train.warmup_epochs=0.5",
)
RECIPES = {
    "everything, bf16": (*ALL_ON, "train.precision=bf16"),
    "everything, fp32": (*ALL_ON, "train.precision=fp32", "train.optimizer=adamw"),
    "fp16 has a scaler": ("train.precision=fp16",),
    "sgd, accumulated": ("train.optimizer=sgd", "train.lr=0.05", "train.accumulate=2"),
    "rmsprop, plateau": (
        "train.optimizer=rmsprop", "train.schedule=plateau", "train.plateau_patience=1",
    ),
    "one-cycle, patience": ("train.schedule=one-cycle", "train.patience=1", "train.lr=0.1"),
    "by name": ("train.unfreeze={1: dense_1, 3: 'conv*'}",),
    "head first": ("train.head_epochs=1", "train.unfreeze=1", "train.backbone_lr_scale=0.1"),
}  # fmt: skip
BATCH, STEPS = 64, 8  # 504 pictures
FILES = ("last.safetensors", "best.safetensors", "split.csv")


def start(path: Path, *overrides: str, model: str = "keras-mnist-cnn", **request: Any) -> Session:
    few = ("dataset.test=0.6", "dataset.validation=0.3")
    settings = (*few, "train.epochs=3", f"train.batch_size={BATCH}", *overrides)
    last = {setting.partition("=")[0]: setting for setting in settings}
    return prepare(
        Request(
            model=model, recipe="digits", overrides=tuple(last.values()), output=path, **request
        )
    )


def again(path: Path, *overrides: str, override: bool = False, **request: Any) -> Session:
    return resume(path, Request(model="", overrides=overrides, **request), override=override)


def finish(session: Session, stop_after: int | None = None) -> None:
    """Trains to the end, or up to so many steps, where a signal comes."""
    seen = 0

    def on_step(_: int) -> None:
        nonlocal seen
        if seen == stop_after:
            raise InterruptionError("stop")
        seen += 1

    for _ in session.epochs(on_step):
        pass
    session.outcome()


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "results.csv").open() as file:
        found = list(csv.DictReader(file))
    return [
        {k: v for k, v in r.items() if k not in ("seconds", "images_per_second")} for r in found
    ]


def assert_same(run: Path, other: Path) -> None:
    for name in FILES:
        assert (run / name).read_bytes() == (other / name).read_bytes(), name
    assert rows(run) == rows(other)


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_stopped_anywhere_ends_with_the_same_bits(name: str, tmp_path: Path) -> None:
    model = "lenet5" if "fp16" in name else "keras-mnist-cnn"  # a processor's fp16 is slow
    finish(start(tmp_path / "whole", *RECIPES[name], model=model))
    run = tmp_path / "stopped"
    session = start(run, *RECIPES[name], model=model)
    steps = len(session.prepared.batches)
    with pytest.raises(InterruptionError):
        finish(session, stop_after=random.Random(name).randrange(steps + 1))
    with pytest.raises(InterruptionError):
        finish(again(run), stop_after=steps - 1)  # in the second epoch, or at its end
    torch.rand(7)  # nothing hangs on the global generator
    finish(again(run))
    assert_same(run, tmp_path / "whole")
    document = json.loads((run / "run.json").read_text())
    assert (document["status"], document["exit_code"]) == ("finished", 0)


def test_a_signal_during_validation_loses_no_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(start(tmp_path / "whole"))
    session = start(tmp_path / "run")

    def interrupted(*arguments: object, **options: object) -> None:
        raise InterruptionError("stop")

    with monkeypatch.context() as patch:
        patch.setattr("zoo.evaluation.evaluate_network", interrupted)
        with pytest.raises(InterruptionError):
            finish(session)
    assert not rows_exist(tmp_path / "run")
    finish(again(tmp_path / "run"))
    assert_same(tmp_path / "run", tmp_path / "whole")


def rows_exist(run: Path) -> bool:
    return (run / "results.csv").exists()


def test_the_interruption_says_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(InterruptionError) as caught:
        finish(start(tmp_path / "a run"), stop_after=3)
    command = f"zoo train --resume '{tmp_path}/a run'"
    assert caught.value.hint == command
    assert caught.value.results == {"run": str(tmp_path / "a run"), "resume": command}


def test_checkpoints_within_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(start(tmp_path / "whole"))
    session = start(tmp_path / "run", "train.checkpoint_every=3")
    with pytest.raises(KeyboardInterrupt):  # at once: nothing more is saved
        for _ in session.epochs(stop_at(STEPS + 7)):
            pass
    session.run.release()  # type: ignore[union-attr]
    resumed = again(tmp_path / "run")
    position = resumed.learner.position
    assert (position.epoch, position.step, position.done) == (2, 6, STEPS + 6)
    finish(resumed)
    assert_same(tmp_path / "run", tmp_path / "whole")


def stop_at(step: int) -> Any:
    left = [step]

    def on_step(_: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt

    return on_step


class Faults:
    """Makes the n-th write, fsync or rename fail."""

    def __init__(self, fails: int | None) -> None:
        self.left = fails
        self.count = 0

    def pass_or_fail(self) -> None:
        self.count += 1
        if self.count - 1 == self.left:
            raise OSError(errno.ENOSPC, "No space left on device")


@contextmanager
def faults(monkeypatch: pytest.MonkeyPatch, fails: int | None) -> Iterator[Faults]:
    import safetensors.torch

    found = Faults(fails)

    def guarded(function: Any) -> Any:
        def run(*arguments: Any, **options: Any) -> Any:
            found.pass_or_fail()
            return function(*arguments, **options)

        return run

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", guarded(os.fsync))
        patch.setattr(Path, "replace", guarded(Path.replace))
        patch.setattr(Path, "write_text", guarded(Path.write_text))
        patch.setattr(safetensors.torch, "save_file", guarded(safetensors.torch.save_file))
        yield found


def test_no_failing_write_of_a_commit_loses_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("train.epochs=2", "train.ema_decay=0.9")
    finish(start(tmp_path / "whole", *options, model="lenet5"))
    base = tmp_path / "base"
    with pytest.raises(InterruptionError):
        finish(start(base, *options, model="lenet5"), stop_after=STEPS + 3)
    (base / ".lock").unlink()

    def second_epoch(run: Path, fails: int | None) -> int:
        shutil.copytree(base, run)
        session = again(run)
        with faults(monkeypatch, fails) as found:
            for _ in session.epochs():
                pass
        session.run.release()  # type: ignore[union-attr]
        return found.count

    operations = second_epoch(tmp_path / "count", None)
    assert operations >= 12  # state, last, best, results: write, two fsyncs and a rename each
    for fails in range(operations):
        run = tmp_path / f"fails-{fails}"
        with pytest.raises(DiskError, match="No space left"):
            second_epoch(run, fails)
        assert not list(run.glob(".zoo-*")), "a temporary file is left"
        finish(again(run))
        assert_same(run, tmp_path / "whole")
        shutil.rmtree(run)


def test_what_a_killed_writer_left_is_removed(stopped: Path) -> None:
    (stopped / ".zoo-0123456789abcdef.tmp").write_bytes(b"half a state")
    again(stopped)
    assert not list(stopped.glob(".zoo-*"))


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A run of LeNet-5 that was stopped in its second epoch of three."""
    with pytest.raises(InterruptionError):
        finish(start(tmp_path / "run", model="lenet5"), stop_after=STEPS + 3)
    return tmp_path / "run"


def contents(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}


def refused(run: Path, *overrides: str, **request: Any) -> str:
    with pytest.raises(UsageError) as caught:
        again(run, *overrides, **request)
    assert "--override" in caught.value.hint
    return caught.value.message


def test_what_changed_is_listed(stopped: Path) -> None:
    found = refused(stopped, "train.lr=0.1", "augment.rotation_range=3", threads=1)
    assert "train.lr: 0.002 before, 0.1 now" in found
    assert "augment.rotation_range: 10.0 before, 3.0 now" in found
    if torch.get_num_threads() != 1:
        assert "threads" in found


def test_another_processor_or_torch_is_a_change(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.devices.kind_of", lambda device: "an abacus")
    monkeypatch.setattr(torch, "__version__", "2.9.9")
    found = refused(stopped)
    assert "an abacus now" in found
    assert "versions.torch" in found
    assert again(stopped, override=True)


def test_batches_of_another_size_after_a_whole_epoch(tmp_path: Path) -> None:
    """The schedule goes on where the epochs are, not where the steps were."""
    run = tmp_path / "run"
    with pytest.raises(InterruptionError):
        finish(start(run, model="lenet5"), stop_after=STEPS)
    session = again(run, "train.batch_size=32", override=True)
    assert session.learner.position.done == len(session.prepared.batches) == 2 * STEPS
    finish(session)
    assert [row["epoch"] for row in rows(run)] == ["1", "2", "3"]
    assert float(rows(run)[-1]["lr"]) < 1e-4


def test_groups_of_the_optimizer_may_change(stopped: Path) -> None:
    """Moments belong to parameters, whatever the order of the groups."""
    before = again(stopped)
    moments = {
        name: before.learner.optimizer.state[parameter]["exp_avg"].clone()
        for name, parameter in before.learner.network.named_parameters()
    }
    before.run.release()  # type: ignore[union-attr]
    session = again(stopped, "train.backbone_lr_scale=0.1", override=True)
    for name, parameter in session.learner.network.named_parameters():
        found = session.learner.optimizer.state[parameter]["exp_avg"]
        assert torch.equal(found, moments[name])
    finish(session)


@pytest.mark.parametrize(
    "change", ["preprocess.mean=0.5", "dataset.validation=0.2", "dataset.seed=3"]
)
def test_pictures_and_preprocessing_stay_whatever_is_overridden(change: str, stopped: Path) -> None:
    with pytest.raises(UsageError, match="keeps its pictures") as caught:
        again(stopped, change, override=True)
    assert f"--weights {stopped}" in caught.value.hint


def test_augmentation_that_can_not_apply(stopped: Path) -> None:
    with pytest.raises(RecipeError, match="colour needs RGB"):
        again(stopped, "augment.color_jitter={hue: 0.2}", override=True)


def test_what_was_accepted_holds_from_then_on(stopped: Path) -> None:
    session = again(stopped, "train.lr=0.1", "train.epochs=5", override=True)
    session.run.release()  # type: ignore[union-attr]
    config = again(stopped).learner.config
    assert (config.lr, config.epochs) == (0.1, 5)


def test_what_was_accepted_is_recorded(stopped: Path) -> None:
    session = again(stopped, "train.lr=0.1", override=True)
    session.run.release()  # type: ignore[union-attr]
    session = again(stopped, "train.lr=0.2", override=True)
    assert any("train.lr: 0.1 before, 0.2 now" in note for note in session.prepared.notes)
    finish(session)
    assert json.loads((stopped / "run.json").read_text())["overridden"] == [
        {"epoch": 2, "step": 3, "differences": [f"train.lr: {before} before, {now} now"]}
        for before, now in ((0.002, 0.1), (0.1, 0.2))
    ]
    events = [json.loads(line) for line in (stopped / "events.jsonl").read_text().splitlines()]
    found = [event["overridden"] for event in events if event["event"] == "resumed"]
    assert found == [
        ["train.lr: 0.002 before, 0.1 now"], ["train.lr: 0.1 before, 0.2 now"],
    ]  # fmt: skip


def test_precision_is_the_runs_unless_another_is_asked_for(stopped: Path) -> None:
    session = again(stopped, "train.precision=fp32", override=True)
    assert session.learner.precision.name == "fp32"
    session.run.release()  # type: ignore[union-attr]
    assert again(stopped).learner.precision.name == "fp32"


def test_override_accepts_and_says_so(stopped: Path) -> None:
    session = again(stopped, "train.optimizer=sgd", "train.batch_size=32", override=True)
    notes = " ".join(session.prepared.notes)
    assert "overridden: train.optimizer: adam before, sgd now" in notes
    assert "trained from its start" in notes
    assert session.learner.position.step == 0
    finish(session)
    assert len(rows(stopped)) == 3


def test_what_changes_no_weight_may_change(stopped: Path, tmp_path: Path) -> None:
    finish(start(tmp_path / "whole", model="lenet5"))
    finish(again(stopped, "train.checkpoint_every=2"))
    assert_same(stopped, tmp_path / "whole")


def test_epochs_may_be_raised_but_not_lowered(stopped: Path) -> None:
    assert "train.epochs: 3 before, 2 now" in refused(stopped, "train.epochs=2")
    finish(again(stopped, "train.epochs=5"))
    assert [row["epoch"] for row in rows(stopped)] == ["1", "2", "3", "4", "5"]
    finish(again(stopped, "train.epochs=6"))  # a finished run goes on too
    assert len(rows(stopped)) == 6
    with pytest.raises(UsageError, match="6 epochs are done or begun"):
        again(stopped, "train.epochs=2", override=True)


def test_resuming_a_finished_run_changes_nothing(stopped: Path) -> None:
    finish(again(stopped))
    before = contents(stopped)
    session = again(stopped)
    assert "was finished already" in session.prepared.notes[-1]
    assert "--epochs 6 trains longer" in session.prepared.notes[-1]
    finish(session)
    assert contents(stopped) == before
    with pytest.raises(UsageError, match="nothing would be trained with other settings") as caught:
        again(stopped, "train.lr=0.1", override=True)
    assert "--epochs 6 trains longer" in caught.value.hint
    assert contents(stopped) == before
    session = again(stopped, "train.lr=0.1", "train.epochs=4", override=True)
    finish(session)
    assert len(rows(stopped)) == 4


@pytest.mark.parametrize(
    ("overrides", "request_", "longer"),
    [
        (("train.patience=1", "train.min_delta=1"), {}, "--patience 2 --override trains longer"),
        ((), {"max_steps": 3}, "--max-steps 6 trains longer"),
    ],
)
def test_how_a_finished_run_is_trained_longer(
    overrides: tuple[str, ...], request_: dict[str, Any], longer: str, tmp_path: Path
) -> None:
    finish(start(tmp_path / "run", *overrides, model="lenet5", **request_))
    session = again(tmp_path / "run")
    assert longer in session.prepared.notes[-1]
    finish(session)


def test_an_epoch_that_max_steps_ended_stays_ended(tmp_path: Path) -> None:
    finish(start(tmp_path / "run", model="lenet5", max_steps=3))
    session = again(tmp_path / "run", max_steps=5)
    assert f"ended epoch 1 after 3 of {STEPS} steps" in " ".join(session.prepared.notes)
    finish(session)
    assert [row["epoch"] for row in rows(tmp_path / "run")] == ["1", "2"]


def test_a_change_is_refused_without_touching_the_run(stopped: Path) -> None:
    before = (stopped / "run.json").read_bytes()
    refused(stopped, "train.lr=0.1")
    assert (stopped / "run.json").read_bytes() == before
    finish(again(stopped))  # and lets go of its lock


def broken(stopped: Path, change: str, tmp_path: Path) -> None:
    state = stopped / "state.safetensors"
    content = bytearray(state.read_bytes())
    if change == "truncated":
        state.write_bytes(content[: len(content) // 2])
    elif change == "flipped":
        content[-5] ^= 1
        state.write_bytes(content)
    elif change == "missing":
        state.unlink()
    elif change == "another run's":
        with pytest.raises(InterruptionError):
            finish(start(tmp_path / "other", model="lenet5"), stop_after=2)
        shutil.copy(tmp_path / "other" / state.name, state)
    elif change == "a model file":
        shutil.copy(stopped / "last.safetensors", state)
    elif change == "empty":
        state.write_bytes(b"")


@pytest.mark.parametrize(
    "change", ["truncated", "flipped", "missing", "another run's", "a model file", "empty"]
)
def test_a_bad_state_is_refused(change: str, stopped: Path, tmp_path: Path) -> None:
    broken(stopped, change, tmp_path)
    before = contents(stopped)
    with pytest.raises(ModelFileError) as caught:
        again(stopped)
    assert f"--weights {stopped / 'last.safetensors'}" in caught.value.hint
    assert contents(stopped) == before


@pytest.mark.parametrize("change", ["missing", "another epoch's", "a state"])
def test_a_lost_best_is_noticed_before_training(change: str, stopped: Path) -> None:
    best = stopped / "best.safetensors"
    if change == "missing":
        best.unlink()
    elif change == "another epoch's":
        read = description.read_description(best)
        other = read.model_copy(update={"metrics": {**read.metrics, "epoch": 7}})
        modelfile.save(best, modelfile.load(best), other)
    else:
        shutil.copy(stopped / "state.safetensors", best)
    before = contents(stopped)
    with pytest.raises(ModelFileError) as caught:
        again(stopped)
    assert str(best) in caught.value.message
    assert contents(stopped) == before


def test_a_best_that_is_also_the_latest_is_written_again(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(InterruptionError):
        finish(start(run, model="lenet5"), stop_after=STEPS)
    before = contents(run)
    (run / "best.safetensors").unlink()
    again(run)
    assert (run / "best.safetensors").read_bytes() == before["best.safetensors"]


def test_a_picture_that_changed_under_its_name_is_a_change(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    for name, level in (("dark", 20), ("light", 200)):
        (pictures / name).mkdir(parents=True)
        for number in range(8):
            Image.new("L", (32, 32), level + number).save(pictures / name / f"{number}.png")
    few = ("dataset.test=0.25", "dataset.validation=0", "train.batch_size=4", "train.epochs=2")
    session = prepare(
        Request(
            model="lenet5", recipe="folder", data=pictures, overrides=few, output=tmp_path / "run"
        )
    )
    with pytest.raises(InterruptionError):
        finish(session, stop_after=1)
    finish(again(tmp_path / "run", "train.epochs=3"))
    Image.new("L", (32, 32), 99).save(pictures / "dark" / "0.png")
    with pytest.raises(UsageError, match="pictures: other contents"):
        again(tmp_path / "run", "train.epochs=4")


def test_a_damaged_split_file_says_how_to_go_on(stopped: Path) -> None:
    (stopped / "split.csv").write_text("not a split")
    with pytest.raises(DataError) as caught:
        again(stopped)
    assert f"Remove {stopped / 'split.csv'}" in caught.value.hint
    (stopped / "split.csv").unlink()
    finish(again(stopped))


def test_a_directory_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no run"):
        again(tmp_path)


def test_a_run_that_is_being_written(tmp_path: Path) -> None:
    session = start(tmp_path / "run", model="lenet5")
    with pytest.raises(RunInUseError):
        again(tmp_path / "run")
    session.run.release()  # type: ignore[union-attr]
    assert again(tmp_path / "run")


def test_divergence_keeps_the_last_finite_checkpoint(tmp_path: Path) -> None:
    session = start(
        tmp_path / "run", "train.optimizer=sgd", "train.lr=1e18", "train.precision=fp32"
    )
    with pytest.raises(DivergedError, match=r"step 2, at a learning rate of 9\.9") as caught:
        finish(session)
    pictures = caught.value.results["pictures"]
    assert len(pictures) == BATCH
    assert str(pictures[0]) in caught.value.message
    resumed = again(tmp_path / "run")
    weights = resumed.learner.network.state_dict().values()
    assert all(bool(tensor.isfinite().all()) for tensor in weights)


def test_added_pictures_are_a_change(tmp_path: Path) -> None:
    from tests.pictures import write_folder

    root = write_folder(tmp_path / "pictures", count=40, size=32)
    session = prepare(
        Request(
            model="lenet5", recipe="folder", data=root, output=tmp_path / "run",
            overrides=("train.epochs=2", "train.batch_size=8"),
        )
    )  # fmt: skip
    with pytest.raises(InterruptionError):
        finish(session, stop_after=2)
    one = next(root.rglob("*.png"))
    content = bytearray(one.read_bytes())
    one.with_name("added.png").write_bytes(content)
    assert "pictures" in refused(tmp_path / "run")


def test_every_failure_is_one_of_ours(stopped: Path) -> None:
    (stopped / "run.json").write_text("{")
    with pytest.raises(ZooError, match="is damaged"):
        again(stopped)


def test_a_run_that_replaces_another_is_kept_once_it_can_be_resumed(stopped: Path) -> None:
    with pytest.raises(InterruptionError):
        finish(start(stopped, "train.lr=0.01", model="lenet5", force=True), stop_after=1)
    resumed = again(stopped)
    assert resumed.learner.config.lr == 0.01
    assert resumed.learner.position.done == 1
    assert sorted(path.name for path in stopped.parent.iterdir()) == ["run"]


def test_one_that_fails_before_gives_way_to_the_old_one(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = start(stopped, "train.lr=0.01", model="lenet5", force=True)

    def full(*arguments: object, **options: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(session.learner.optimizer, "step", full)
        with pytest.raises(OutOfMemoryError) as caught:
            finish(session)
    assert "--resume" not in caught.value.hint
    assert "run" not in caught.value.results
    assert again(stopped).learner.config.lr == 0.002
