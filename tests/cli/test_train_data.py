"""Training on pictures: one's own, the embedded ones, and what is wrong with them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.cards import EVERY_CARD_THE_LARGE_SLOWLY
from tests.conftest import Ended, zoo_process
from tests.pictures import write_folder
from zoo import catalog
from zoo.description import read_description

Zoo = Callable[..., Ended]


@pytest.mark.parametrize("recipe", ["digits", "shapes"])
@EVERY_CARD_THE_LARGE_SLOWLY
def test_every_architecture_trains_on_every_embedded_recipe(
    card: catalog.Architecture, recipe: str, zoo: Zoo, tmp_path: Path
) -> None:
    ended = zoo(
        "train", card.name, "--recipe", recipe, "--max-steps", 2, "-o", tmp_path / "r", "--json"
    )
    assert ended.code == 0, ended.stdout
    assert ended.json["test"]["images"] > 300


@pytest.fixture
def pics(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "pics", count=30)


def spoil(root: Path) -> list[str]:
    """Every kind of bad picture there is."""
    good = (root / "circle" / "000.png").read_bytes()
    bad = {
        "empty.png": b"",
        "cut.png": good[: len(good) // 2],
        "text.jpg": b"this is no picture",
        "drawing.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        "flipped.png": good[:60] + bytes([good[60] ^ 0xFF]) + good[61:],
    }
    for name, content in bad.items():
        (root / "circle" / name).write_bytes(content)
    return sorted(bad)


def test_bad_pictures_stop_a_training_before_it_starts(
    zoo: Zoo, pics: Path, tmp_path: Path
) -> None:
    names = spoil(pics)
    ended = zoo("train", "lenet5", "--data", pics, "-o", tmp_path / "r", "--json")
    assert ended.code == 4
    assert sorted(Path(one["path"]).name for one in ended.json["bad"]) == names
    assert all(name in ended.json["error"]["message"] for name in names)
    assert "--on-bad skip" in ended.json["error"]["hint"]
    assert not (tmp_path / "r").exists()


def test_the_bad_pictures_of_all_splits_are_told_at_once(zoo: Zoo, tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        write_folder(tmp_path / split, count=6)
        (tmp_path / split / "circle" / f"{split}.png").write_bytes(b"")
    ended = zoo("train", "lenet5", "--data", tmp_path)
    assert ended.code == 4
    assert "3 of 21 pictures can't be read" in ended.stderr
    assert all(f"{split}.png" in ended.stderr for split in ("train", "val", "test"))


def test_an_output_that_exists_is_told_before_anything_is_decoded(
    zoo: Zoo, pics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x")
    monkeypatch.setattr("zoo.data.gathering.in_parallel", None)
    for force in ((), ("--force",)):
        ended = zoo("train", "lenet5", "--data", pics, "-o", tmp_path / "mine", *force)
        assert ended.code == 2
    assert (tmp_path / "mine" / "file").read_text() == "x"


def test_an_evaluation_reads_no_training_pictures_that_it_does_not_need(
    zoo: Zoo, tmp_path: Path
) -> None:
    for split in ("train", "val", "test"):
        write_folder(tmp_path / "p" / split, count=6)
    run = tmp_path / "run"
    assert zoo("train", "lenet5", "--data", tmp_path / "p", "--max-steps", 1, "-o", run).code == 0
    for path in (tmp_path / "p" / "train").rglob("*.png"):
        path.write_bytes(b"")
    assert zoo("evaluate", run, "--json").json["images"] == 6
    assert zoo("evaluate", run, "--split", "train").code == 4


def test_bad_pictures_can_be_left_out(zoo: Zoo, pics: Path, tmp_path: Path) -> None:
    spoil(pics)
    ended = zoo("train", "lenet5", "--data", pics, "--on-bad", "skip", "--max-steps", 2,
                "-o", tmp_path / "r", "--json")  # fmt: skip
    assert ended.code == 0, ended.stdout
    assert "5 pictures can't be read and are left out" in " ".join(ended.json["notes"])
    run = json.loads((tmp_path / "r" / "run.json").read_text())
    assert run["pictures"] == {"train": 27, "validation": 3, "test": 0}
    again = zoo("evaluate", tmp_path / "r", "--json")
    assert again.code == 0  # the run remembers to leave them out


def test_a_class_of_bad_pictures_alone_is_an_error(zoo: Zoo, pics: Path) -> None:
    for path in (pics / "circle").iterdir():
        path.write_bytes(b"")
    ended = zoo("train", "lenet5", "--data", pics, "--on-bad", "skip")
    assert ended.code == 4
    assert "No picture of circle is left in train" in ended.stderr


def test_pictures_of_every_size_and_mode(zoo: Zoo, pics: Path, tmp_path: Path) -> None:
    for index, (mode, size) in enumerate(
        [("L", (9, 200)), ("RGBA", (200, 9)), ("CMYK", (33, 31)), ("P", (1, 1)), ("1", (8, 8))]
    ):
        kind = "jpg" if mode == "CMYK" else "png"
        Image.new(mode, size).save(pics / "circle" / f"odd{index}.{kind}")
    for fit in ("resize", "pad", "crop"):
        ended = zoo("train", "lenet5", "--data", pics, "--set", f"preprocess.fit={fit}",
                    "--max-steps", 1, "-o", tmp_path / fit, "--json")  # fmt: skip
        assert ended.code == 0, ended.stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--set", "augment.color_jitter={hue: 0.1}"), 3, "hue"),
        (("--set", "augment.color_jitter={saturation: 0.1}"), 3, "saturation"),
        (("--set", "dataset.images=5"), 3, "applies to shapes only"),
        (("--set", "dataset.source=digitz"), 3, "Did you mean digits?"),
        (("--data", "/nowhere"), 4, "no directory /nowhere"),
        (("--recipe", "digits", "--data", "."), 2, "digits comes with zoo"),
        (("--recipe", "csv"), 3, "csv is a source, not a recipe"),
        (("--recipe", "mnist", "--data", "/nowhere"), 4, "there is no such directory"),
        (("--recipe", "folder"), 2, "needs to know where your pictures are"),
        (("--recipe", "imagenet", "--offline"), 4, "imagenet"),
        (("--recipe", "cifar10", "--offline"), 4, "cifar-10-python.tar.gz"),
        (("--set", "dataset.source=torchvision/DTD", "--offline"), 4, "DTD"),
        (("--set", "dataset.source=torchvision/DTT"), 2, "Did you mean"),
        (("--set", "dataset.source=torchvision/CocoDetection"), 2, "CocoDetection"),
        (("--weights", "nowhere.safetensors"), 2, "no weights file"),
    ],
)
def test_what_can_not_be_trained_on(
    words: tuple[str, ...], code: int, message: str, zoo: Zoo, in_tmp: Path
) -> None:
    ended = zoo("train", "lenet5", *words)
    assert ended.code == code, ended.stderr
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (in_tmp / "runs").exists()


def test_augmentation_does_not_apply_to_an_evaluation(zoo: Zoo, trained: Path) -> None:
    ended = zoo("evaluate", trained, "--set", "augment.cutmix=1")
    assert ended.code == 2
    assert "does not apply" in ended.stderr


@pytest.mark.parametrize(
    "option",
    [
        "mixup=0.2", "cutmix=1.0", "random_erasing=true", "trivial_augment=true",
        "rand_augment=true", "random_crop=2", "random_resized_crop=true", "gaussian_blur=true",
        "color_jitter={brightness: 0.3, contrast: 0.3}", "brightness_range=[0.5, 1.5]",
        "channel_shift_range=20",
    ],
)  # fmt: skip
def test_every_augmentation_trains(option: str, zoo: Zoo, tmp_path: Path) -> None:
    ended = zoo("train", "lenet5", "--max-steps", 3, "--set", f"augment.{option}",
                "-o", tmp_path / "r", "--json")  # fmt: skip
    assert ended.code == 0, ended.stdout
    plain = zoo("train", "lenet5", "--max-steps", 3, "-o", tmp_path / "plain", "--json")
    assert ended.json["best"]["loss"] != plain.json["best"]["loss"]


def test_measured_mean_and_std_are_kept_in_the_model_file(
    zoo: Zoo, trained: Path, tmp_path: Path
) -> None:
    ended = zoo("train", "lenet5", "--max-steps", 2, "--set", "preprocess.mean=auto",
                "--set", "preprocess.std=auto", "-o", tmp_path / "r", "--json")  # fmt: skip
    assert ended.code == 0
    kept = read_description(tmp_path / "r" / "best.safetensors").preprocessing
    # The recipe's own, 0.306 and 0.376, are of the bare 8×8 pictures; here black stands around.
    assert 0.2 < kept.mean[0] < 0.3
    assert 0.3 < kept.std[0] < 0.4
    again = zoo("evaluate", tmp_path / "r", "--json")
    assert again.json["top1"] == ended.json["test"]["top1"]


def test_workers_and_memory_change_nothing(zoo: Zoo, pics: Path, tmp_path: Path) -> None:
    weights = []
    for name, *words in (
        ("memory",),
        ("none", "--set", "dataset.in_memory=false", "--set", "dataset.workers=0"),
        ("two", "--set", "dataset.in_memory=false", "--set", "dataset.workers=2"),
    ):
        ended = zoo("train", "lenet5", "--data", pics, "--max-steps", 4, *words,
                    "-o", tmp_path / name, "--json")  # fmt: skip
        assert ended.code == 0, ended.stdout
        weights.append((tmp_path / name / "last.safetensors").read_bytes())
    assert weights[0] == weights[1] == weights[2]


def test_an_interrupt_while_workers_decode_is_clean(pics: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "zoo", "train", "lenet5", "--data", str(pics), "--epochs",
               "500", "--set", "dataset.in_memory=false", "--set", "dataset.workers=2",
               "-o", str(tmp_path / "run")]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    next(line for line in process.stderr if line.startswith("epoch   1/500"))
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does: to the workers too
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"


def test_a_cache_that_can_not_be_written_is_no_error(pics: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "ZOO_CACHE": "/dev/null/none"}
    ended = zoo_process("data", "preview", "--data", pics, "-o", tmp_path / "s.png",
                        env=environment)  # fmt: skip
    assert ended.returncode == 0, ended.stderr
