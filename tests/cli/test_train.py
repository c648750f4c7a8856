"""`zoo train` and `zoo evaluate`, as a user meets them."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ended, zoo_process
from zoo import modelfile

Zoo = Callable[..., Ended]


def test_lenet5_learns_to_read(zoo: Zoo, in_tmp: Path) -> None:
    """One real training from end to end with nothing but defaults."""
    ended = zoo("train", "lenet5", "--json")
    document = ended.json
    assert document["status"] == "finished"
    assert document["run"] == "runs/lenet5-digits"
    assert document["test"]["top1"] >= 0.975
    assert document["test"]["naive_top1"] < 0.11
    assert ended.stderr.count("epoch ") == document["epochs"] == 40
    assert set(document) >= {
        "run", "status", "epochs", "best", "test", "images_per_second", "seconds", "device",
        "precision", "threads",
    }  # fmt: skip
    assert set(document["best"]) == {"epoch", "top1", "loss"}
    assert set(document["test"]) == {
        "top1", "top5", "loss", "images", "naive_top1", "naive_class",
    }  # fmt: skip
    evaluated = zoo("evaluate", "runs/lenet5-digits", "--json").json
    assert evaluated["top1"] == document["test"]["top1"]
    assert evaluated["loss"] == pytest.approx(document["test"]["loss"])


@pytest.mark.parametrize("name", ["keras-mnist-cnn", "lenet5-1998"])
def test_the_other_networks_train_too(name: str, zoo: Zoo, tmp_path: Path) -> None:
    document = zoo("train", name, "--epochs", 3, "-o", tmp_path / "run", "--json").json
    assert document["test"]["top1"] > 0.75


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least"), [("lenet5", 0.975), ("keras-mnist-cnn", 0.98), ("lenet5-1998", 0.95)]
)
def test_mean_accuracy_of_five_seeds(name: str, least: float, zoo: Zoo, tmp_path: Path) -> None:
    reached = [
        zoo("train", name, "--seed", seed, "-o", tmp_path / str(seed), "--json").json["test"]
        for seed in range(5)
    ]
    assert sum(test["top1"] for test in reached) / 5 >= least


def test_what_people_see(zoo: Zoo, tmp_path: Path) -> None:
    ended = zoo("train", "lenet5", "--epochs", 2, "-o", tmp_path / "run")
    assert "1,295 training, 143 validation, 359 test pictures; cpu, " in ended.stderr
    assert "always guessing '3' gives 10.31 %" in ended.stdout
    assert f"zoo evaluate {tmp_path / 'run'}" in ended.stdout


def test_flags_override_the_recipe(zoo: Zoo, tmp_path: Path) -> None:
    flags = ("--epochs", 1, "--batch-size", 100, "--lr", 0.01, "--seed", 4, "--threads", 1)
    zoo("train", "lenet5", *flags, "--set", "augment.rotation_range=33", "-o", tmp_path / "run")
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    train = run["resolved_recipe"]["train"]
    assert (train["epochs"], train["batch_size"], train["lr"], train["seed"]) == (1, 100, 0.01, 4)
    assert run["resolved_recipe"]["augment"]["rotation_range"] == 33
    assert run["threads"] == 1


def test_other_sizes_and_channels(zoo: Zoo, tmp_path: Path) -> None:
    flags = ("--input-size", "48x40", "--in-channels", 3, "--max-steps", 1)
    assert zoo("train", "lenet5", *flags, "-o", tmp_path / "run").code == 0
    assert zoo("summary", tmp_path / "run", "--json").json["input_shape"] == [3, 48, 40]


def test_evaluates_keys_and_threshold(zoo: Zoo, trained: Path) -> None:
    document = zoo("evaluate", trained, "--json").json
    assert set(document) >= {
        "model", "recipe", "split", "images", "top1", "top5", "loss", "naive_top1", "classes",
        "per_class", "confusion", "expected_calibration_error", "macro_f1", "precision",
    }  # fmt: skip
    assert set(document["per_class"][0]) == {
        "name", "images", "support", "precision", "recall", "f1",
    }  # fmt: skip
    assert sum(map(sum, document["confusion"])) == document["images"] == 359
    assert zoo("evaluate", trained, "--min-top1", 0.5).code == 0
    missed = zoo("evaluate", trained, "--min-top1", 1, "--json")
    assert missed.code == 10
    assert missed.json["top1"] == document["top1"]
    ended = zoo("evaluate", trained, "--min-top1", 97)
    assert ended.code == 2
    assert "hint: --min-top1 0.97" in ended.stderr
    assert zoo("evaluate", trained, "--csv").stdout.startswith(
        "name,images,precision,recall,f1\n0,36,"
    )
    assert zoo("evaluate", trained, "--set", "c1.stride=2").code == 2
    assert zoo("evaluate", trained, "--set", "preprocess.mean=0.5").code == 2


def test_an_evaluation_says_its_arithmetic_and_its_further_figures(zoo: Zoo, trained: Path) -> None:
    exact = zoo("evaluate", trained, "--json").json
    short = zoo("evaluate", trained, "--precision", "bf16", "--json").json
    assert (exact["precision"], short["precision"]) == ("fp32", "bf16")
    assert exact["loss"] != short["loss"]
    assert exact["per_class"][0]["support"] == exact["per_class"][0]["images"] == 36
    text = zoo("evaluate", trained).stdout
    assert text.splitlines()[0].split() == ["Class", "Pictures", "Precision", "Recall", "F1"]
    error, score = exact["expected_calibration_error"], exact["macro_f1"]
    assert f"calibration error {100 * error:.2f} %, macro F1 {100 * score:.2f} %" in text
    assert zoo("evaluate", trained, "--precision", "fp8").code == 2


def test_another_split_than_the_models_is_said(zoo: Zoo, trained: Path, tmp_path: Path) -> None:
    ended = zoo("evaluate", trained, "--set", "dataset.seed=1", "--json")
    assert "another split" in ended.json["notes"][0]
    flags = ("--set", "dataset.seed=1", "--max-steps", 1, "-o", tmp_path / "run")
    assert "another split" in zoo("train", trained, *flags).stderr
    assert zoo("evaluate", trained, "--json").json["notes"] == []


def test_a_network_that_only_guesses_is_said(zoo: Zoo, tmp_path: Path) -> None:
    flags = ("--epochs", 1, "--lr", "1e-9", "--seed", 2, "-o", tmp_path / "run", "--json")
    guesses = zoo("train", "lenet5", *flags)
    assert "it answers no better than always guessing" in guesses.json["notes"][-1]
    learned = zoo("train", "lenet5", "--epochs", 1, "-o", tmp_path / "two", "--json")
    assert not any("guessing" in note for note in learned.json["notes"])


def test_divergence_is_exit_8_and_keeps_the_last_finite_model(zoo: Zoo, tmp_path: Path) -> None:
    run = tmp_path / "run"
    flags = ("--set", "train.optimizer=sgd", "--lr", "1e38", "-o", run)
    ended = zoo("train", "keras-mnist-cnn", *flags, "--json")
    assert ended.code == 8
    assert ended.json["error"]["kind"] == "DivergedError"
    assert "in epoch 1, step" in ended.json["error"]["message"]
    assert ended.json["run"] == str(run)
    state = json.loads((run / "run.json").read_text())
    assert (state["status"], state["exit_code"]) == ("diverged", 8)
    kept = modelfile.load(run / "last.safetensors")
    assert all(parameter.isfinite().all() for parameter in kept.parameters())


def test_a_last_step_that_ruins_the_weights_is_divergence_too(zoo: Zoo, tmp_path: Path) -> None:
    flags = ("--set", "train.optimizer=sgd", "--max-steps", 1, "--set", "dataset.validation=0")
    run = tmp_path / "run"
    ended = zoo("train", "lenet5-1998", "--lr", "3e38", *flags, "-o", run)
    assert ended.code == 8
    assert "a weight is NaN or infinite in epoch 1, step 1" in ended.stderr
    kept = modelfile.load(run / "last.safetensors")
    assert all(parameter.isfinite().all() for parameter in kept.parameters())
    # Weights that are huge but finite make a test loss that is not.
    ended = zoo("train", "keras-mnist-cnn", "--lr", "1e38", *flags, "-o", tmp_path / "huge")
    assert ended.code == 8
    assert "test loss is nan" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("lenet6",), 2, "Did you mean lenet5?"),
        (("lenet5", "--recipe", "digitz"), 3, "Did you mean digits?"),
        (("lenet5", "--set", "train.epoch=3"), 3, "Did you mean epochs?"),
        (("lenet5", "--lr", "-1"), 2, "--lr -1 is no learning rate"),
        (("lenet5", "--lr", "nan"), 2, "--lr nan is no learning rate"),
        (("lenet5", "--set", "train.lr=-1"), 3, "train.lr must be greater than 0"),
        (("lenet5", "--set", "train.lr=1", "--lr", "2"), 2, "train.lr is given twice: 1 and 2."),
        (("lenet5", "--seed", "99999999999999999999"), 2, "less than or equal to"),
        (("lenet5", "--threads", "100000"), 2, "less than or equal to 1024"),
        (("lenet5", "--epochs", "0"), 2, "greater than or equal to 1"),
        (("lenet5", "--input-size", "0"), 2, "expected a side of 1 to 4096"),
        (("lenet5", "--input-size", "64", "--set", "preprocess.size=48"), 2, "given twice"),
        (("lenet5", "--device", "cuda:9"), 2, "no device 'cuda:9'"),
        (("lenet5", "-o", "mine"), 2, "mine exists"),
        (("lenet5", "-o", "mine", "--force"), 2, "no run.json"),
        (("lenet5", "--set", "c9.stride=2"), 2, "No layer is called 'c9'"),
        (("lenet5", "--set", "dataset.test=0.9999"), 4, "Fewer than two training pictures"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    arguments: tuple[str, ...], code: int, message: str, zoo: Zoo, in_tmp: Path
) -> None:
    (in_tmp / "mine").mkdir()
    (in_tmp / "mine" / "thesis").write_text("years of work")
    ended = zoo("train", *arguments)
    assert ended.code == code
    assert message in ended.stderr
    assert sorted(path.name for path in in_tmp.rglob("*")) == ["mine", "thesis"]


def limit_file_size(limit: int) -> Callable[[], None]:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return limited


@pytest.mark.parametrize("limit", [1_000, 200_000])
def test_a_disk_too_small_is_found_before_training(limit: int, tmp_path: Path) -> None:
    ended = zoo_process(
        "train", "lenet5", "-o", tmp_path / "run", "--json", preexec_fn=limit_file_size(limit)
    )
    assert ended.returncode == 6, ended.stdout
    assert "epoch" not in ended.stderr
    assert not (tmp_path / "run").exists()


def start(run: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "zoo", "train", "lenet5", "--epochs", "10000", "--json"]
    process = subprocess.Popen(
        [*command, "-o", str(run)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 100
    while not (run / "results.csv").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_early_interrupt_is_a_document_too(number: int, code: int, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "zoo", "train", "lenet5", "--json", "-o", str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(1.0)  # while torch is being imported
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == code, stderr
    assert json.loads(stdout)["error"]["code"] == code
    assert "Traceback" not in stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_keeps_the_epochs_done(number: int, code: int, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(run)
    os.kill(process.pid, number)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == code, stderr
    assert "Traceback" not in stderr
    document = json.loads(stdout)
    assert document["error"]["code"] == code
    assert document["run"] == str(run)
    state = json.loads((run / "run.json").read_text())
    assert (state["status"], state["exit_code"]) == ("interrupted", code)
    assert modelfile.load(run)
    assert modelfile.load(run / "last.safetensors")
    assert not list(run.glob(".zoo*"))  # no temporary file is left


def test_a_second_writer_is_exit_7_and_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(run)
    second = zoo_process("train", "lenet5", "-o", run, "--force", "--max-steps", 1, "--json")
    assert second.returncode == 7, second.stdout
    assert json.loads(second.stdout)["error"]["kind"] == "RunInUseError"
    process.kill()
    process.communicate(timeout=30)
    third = zoo_process("train", "lenet5", "-o", run, "--force", "--max-steps", 1, "--json")
    assert third.returncode == 0, third.stdout


def test_a_closed_stderr_does_not_end_a_training(tmp_path: Path) -> None:
    command = f"{sys.executable} -m zoo train lenet5 --epochs 3 -o {tmp_path}/run 2> >(true)"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0
    assert "3 epochs" in ended.stdout
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"


@pytest.mark.parametrize("module", ["zoo.errors", "typer", "torch.types"])
def test_an_interrupt_during_start_up_is_clean(module: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "zoo", "summary", "lenet5"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background inherits that SIGINT is ignored; Python would keep to that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    seen = next(line for line in process.stderr if line.split("|")[-1].strip() == module)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert seen
    assert process.returncode == 130
    assert "Traceback" not in stderr
