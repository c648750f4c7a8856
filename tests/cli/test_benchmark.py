"""`zoo benchmark`: rows, what they say, and what is refused. Nothing depends on a real speed."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ended
from zoo import modelfile
from zoo.benchmark import memory
from zoo.errors import SigtermInterrupt
from zoo.timing import Turns

Zoo = Callable[..., Ended]

QUICK = ("--seconds", 0, "--threads", 1, "--no-memory")

# Scripts rely on these.
ROW_KEYS = [
    "model", "format", "precision", "batch_size", "latency_ms", "interval_ms", "spread", "p95_ms",
    "images_per_second", "passes", "rounds", "params", "mult_adds", "file_bytes",
    "peak_memory_bytes", "ceiling_share", "top1", "device", "threads",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _small_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.benchmark.ceiling._SIDES", (32, 64))


def test_a_row_for_each_model_arithmetic_and_size(zoo: Zoo) -> None:
    ended = zoo(
        "benchmark", "lenet5", "keras-mnist-cnn", "--batch-sizes", "1,3", "--precision",
        "fp32,bf16", *QUICK, "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.stdout
    rows = ended.json["rows"]
    assert [(row["model"], row["precision"], row["batch_size"]) for row in rows] == [
        (model, precision, size)
        for model in ("lenet5", "keras-mnist-cnn")
        for precision in ("fp32", "bf16")
        for size in (1, 3)
    ]
    assert list(rows[0]) == ROW_KEYS
    ceilings = {one["precision"]: one["mult_adds_per_second"] for one in ended.json["ceilings"]}
    for row in rows:
        assert (row["format"], row["device"], row["threads"]) == ("torch", "cpu", 1)
        low, high = row["interval_ms"]
        assert 0 < low <= row["latency_ms"] <= high
        assert row["p95_ms"] >= row["latency_ms"]
        assert row["spread"] == pytest.approx((high - low) / 2 / row["latency_ms"])
        assert row["images_per_second"] == pytest.approx(
            1000 * row["batch_size"] / row["latency_ms"]
        )
        assert row["ceiling_share"] == pytest.approx(
            row["images_per_second"] * row["mult_adds"] / ceilings[row["precision"]]
        )
        assert row["passes"] >= row["rounds"] >= 6
        assert row["top1"] is row["peak_memory_bytes"] is None
    summary = zoo("summary", "lenet5", "--json").json
    assert (rows[0]["params"], rows[0]["mult_adds"]) == (61_706, summary["mult_adds"])
    measuring = ended.json["measuring"]
    assert measuring["confidence"] == 0.95
    assert measuring["settled"] is all(row["spread"] <= measuring["spread"] for row in rows)
    assert set(ended.json["machine"]) == {"processor", "threads", "torch"}


def test_what_people_read(zoo: Zoo, trained: Path) -> None:
    ended = zoo("benchmark", trained, *QUICK, "--spread", 1)
    assert ended.code == 0
    head, _, row, *rest = ended.stdout.splitlines()
    assert head.split()[:4] == ["Model", "Format", "Precision", "Batch"]
    assert "Top-1" not in head
    assert row.startswith(f"{trained}   torch    fp32            1")
    assert "6 rounds of turns" in rest[1]
    assert "every median is known within 100.00 % (95 % confidence)" in rest[1]
    assert rest[2].startswith("ceiling, multiply-adds of matrix products: fp32 ")


def test_it_says_where_time_was_up(zoo: Zoo) -> None:
    ended = zoo("benchmark", "lenet5", *QUICK, "--spread", 0)
    assert "time was up before every median was known within 0.00 %: the least" in ended.stdout


def test_with_a_recipe_accuracy_is_measured_as_evaluate_does(zoo: Zoo, trained: Path) -> None:
    ended = zoo("benchmark", trained, "--recipe", "digits", *QUICK, "--json")
    evaluated = zoo("evaluate", trained, "--json").json
    assert [row["top1"] for row in ended.json["rows"]] == [evaluated["top1"]]
    assert ended.json["judged_by"] == {str(trained): {"recipe": "digits", "split": "test"}}
    assert "Top-1" in zoo("benchmark", trained, "--recipe", "digits", *QUICK).stdout


def test_exports_beside_the_model(zoo: Zoo, trained: Path) -> None:
    ended = zoo(
        "benchmark", trained, "--formats", "torch,onnx,pt2", "--precision", "fp32,bf16",
        "--recipe", "digits", *QUICK, "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.stdout
    rows = ended.json["rows"]
    assert [(row["format"], row["precision"]) for row in rows] == [
        ("torch", "fp32"), ("torch", "bf16"), ("onnx", "fp32"), ("pt2", "fp32"),
    ]  # fmt: skip
    assert {row["model"] for row in rows} == {str(trained)}
    assert len({row["mult_adds"] for row in rows}) == 1
    assert len({rows[index]["top1"] for index in (0, 2, 3)}) == 1
    assert len({row["file_bytes"] for row in rows}) == 3
    assert (
        "onnx and pt2: the arithmetic is in the file, whatever --precision" in ended.json["notes"]
    )


def test_pictures_calibrate_what_is_not_trained(zoo: Zoo, trained: Path) -> None:
    command = ("benchmark", "lenet5", trained, "--recipe", "digits", *QUICK, "--json")
    ended = zoo(*command, "--formats", "onnx-int8")
    assert ended.code == 0, ended.stdout
    first, second = ended.json["rows"]
    assert (first["format"], first["precision"], first["top1"]) == ("onnx-int8", "int8", None)
    assert second["top1"] > 0.5
    assert set(ended.json["judged_by"]) == {str(trained)}
    (note,) = (note for note in ended.json["notes"] if "lenet5 has" in note)
    assert "nothing trained in it: the pictures calibrate its onnx-int8 file, which is" in note
    ended = zoo("benchmark", "lenet5", "--formats", "onnx-int8", *QUICK)
    assert ended.code == 2
    assert "hint: --recipe RECIPE or --data DIR" in ended.stderr


def test_any_pictures_do_for_random_weights(zoo: Zoo, in_tmp: Path) -> None:
    command = ("export", "lenet5", "--format", "onnx-int8", "-o", "m.onnx", "--no-check")
    ended = zoo(*command, "--recipe", "shapes", "--calibration-images", 4, "--json")
    assert ended.code == 0, ended.stdout


def test_a_foreign_file_beside_an_exported_one_is_not_counted(
    zoo: Zoo, trained: Path, in_tmp: Path
) -> None:
    zoo("export", trained, "-o", "m.onnx")
    Path("m.onnx.data").write_bytes(bytes(1_000_000))
    (row,) = zoo("benchmark", "m.onnx", *QUICK, "--json").json["rows"]
    assert row["file_bytes"] == Path("m.onnx").stat().st_size


def test_exported_files_are_measured_as_they_are(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    assert zoo("export", trained, "-o", "m.onnx").code == 0
    ended = zoo("benchmark", trained, "m.onnx", *QUICK, "--json")
    assert [(row["model"], row["format"]) for row in ended.json["rows"]] == [
        (str(trained), "torch"), ("m.onnx", "onnx"),
    ]  # fmt: skip
    assert ended.json["rows"][1]["file_bytes"] == Path("m.onnx").stat().st_size
    ended = zoo("benchmark", "m.onnx", "--formats", "onnx", *QUICK)
    assert ended.code == 2
    assert "--formats does not apply" in ended.stderr
    ended = zoo("benchmark", "m.onnx", "--precision", "bf16", *QUICK)
    assert ended.code == 2
    assert "the arithmetic of m.onnx is in the file" in ended.stderr


def test_a_network_without_a_head(zoo: Zoo, in_tmp: Path) -> None:
    zoo("prune", "lenet5", "--pop", 2, "-o", "features")
    assert zoo("benchmark", "features", *QUICK).code == 0
    ended = zoo("benchmark", "features", "--recipe", "digits", *QUICK)
    assert ended.code == 2
    assert "hint: zoo train features" in ended.stderr


def test_peak_memory_is_of_a_process_of_its_own(zoo: Zoo) -> None:
    ended = zoo(
        "benchmark", "lenet5", "--batch-sizes", 1024, "--seconds", 0, "--threads", 1, "--json"
    )
    (row,) = ended.json["rows"]
    # Pictures and what c1 makes of them, which are needed together.
    least = 1024 * 4 * (32 * 32 + 6 * 28 * 28)
    assert least < row["peak_memory_bytes"] < 5 * least


@pytest.mark.slow
def test_a_file_takes_as_much_memory_as_its_architecture(zoo: Zoo, in_tmp: Path) -> None:
    zoo("build", "resnet20", "-o", "r.safetensors")
    both = ("resnet20", "r.safetensors")
    ended = zoo("benchmark", *both, "--seconds", 0, "--threads", 1, "--json")
    of_name, of_file = (row["peak_memory_bytes"] for row in ended.json["rows"])
    assert of_file == pytest.approx(of_name, rel=0.3)


def test_memory_is_that_of_the_file_and_not_of_an_architecture_of_its_name(
    zoo: Zoo, in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo("build", "keras-mnist-cnn", "-o", "lenet5")
    jobs: list[memory.Job] = []
    monkeypatch.setattr("zoo.benchmark.peak_bytes", jobs.append)
    ended = zoo("benchmark", "./lenet5", "--seconds", 0, "--threads", 1)
    assert ended.code == 0, ended.stderr
    opened = modelfile.resolve(jobs[0].model)
    assert opened.description.architecture == "keras-mnist-cnn"


def test_a_process_that_the_system_ends_is_out_of_memory(
    zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    start = subprocess.Popen
    monkeypatch.setattr(
        memory.subprocess, "Popen", lambda _command, **options: start(killed, **options)
    )
    ended = zoo("benchmark", "lenet5", "--seconds", 0, "--threads", 1, "--json")
    assert ended.code == 9
    assert ended.json["too_large"] == ["lenet5 as torch in fp32, 1 picture at a time"]
    assert ended.json["rows"][0]["latency_ms"] > 0


def test_what_does_not_fit_leaves_the_others(zoo: Zoo) -> None:
    ended = zoo("benchmark", "lenet5", "--batch-sizes", "1,1000000000", *QUICK, "--json")
    assert ended.code == 9
    assert ended.json["error"]["message"] == (
        "Memory ran out: lenet5 as torch in fp32, 1,000,000,000 pictures at a time."
    )
    assert [row["batch_size"] for row in ended.json["rows"]] == [1]
    ended = zoo("benchmark", "lenet5", "--batch-sizes", "1000000000", *QUICK)
    assert (ended.code, ended.stdout) == (9, "")


def faster(rows: list[dict[str, Any]], times: float) -> list[dict[str, Any]]:
    """Rows as of a machine that is so many times as fast."""
    return [
        {
            **row,
            "latency_ms": row["latency_ms"] / times,
            "interval_ms": [end / times for end in row["interval_ms"]],
        }
        for row in rows
    ]


def test_a_baseline_that_was_faster(zoo: Zoo, in_tmp: Path) -> None:
    document = zoo("benchmark", "lenet5", *QUICK, "--json").json
    earlier = {**document, "rows": faster(document["rows"], 1e6)}
    Path("b.json").write_text(json.dumps(earlier))
    ended = zoo("benchmark", "lenet5", "keras-mnist-cnn", "--baseline", "b.json", *QUICK, "--json")
    assert ended.code == 10
    assert "Slower than b.json by more than 10.00 %" in ended.json["error"]["message"]
    first, second = ended.json["rows"]
    assert first["is_slower"] is True
    assert first["baseline_ms"] == earlier["rows"][0]["latency_ms"]
    assert "is_slower" not in second
    assert ended.json["baseline"] == {
        "file": "b.json", "tolerance": 0.1, "compared": 1, "slower": 1,
    }  # fmt: skip
    assert ended.json["notes"] == ["keras-mnist-cnn (torch, fp32, batch 1) is not in b.json"]
    ended = zoo("benchmark", "lenet5", "--baseline", "b.json", *QUICK)
    assert ended.code == 10
    assert ended.stdout.splitlines()[0].split()[-3:] == ["Before,", "ms", "Times"]


def test_a_baseline_that_was_slower(zoo: Zoo, in_tmp: Path) -> None:
    document = zoo("benchmark", "lenet5", *QUICK, "--json").json
    Path("b.json").write_text(json.dumps({**document, "rows": faster(document["rows"], 1e-6)}))
    ended = zoo("benchmark", "lenet5", "--baseline", "b.json", "--tolerance", 0, *QUICK)
    assert ended.code == 0
    assert "0 of 1 row slower than b.json" in ended.stdout


def test_a_baseline_without_a_partner_asserts_nothing(zoo: Zoo, in_tmp: Path) -> None:
    Path("b.json").write_text(zoo("benchmark", "lenet5", *QUICK, "--json").stdout)
    ended = zoo("benchmark", "keras-mnist-cnn", "--baseline", "b.json", *QUICK)
    assert ended.code == 2
    assert "no row of b.json has a partner here; it has lenet5 (torch, fp32, b" in ended.stderr
    assert "latency:" not in ended.stderr, "it was measured first"


def test_a_baseline_knows_a_run_by_any_path(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    (in_tmp / "run").symlink_to(trained)
    document = zoo("benchmark", "run", *QUICK, "--json").json
    Path("b.json").write_text(json.dumps({**document, "rows": faster(document["rows"], 1e-6)}))
    ended = zoo("benchmark", "./run/", "--baseline", "b.json", *QUICK, "--json")
    assert (ended.code, ended.json["baseline"]["compared"]) == (0, 1)


def test_a_picture(zoo: Zoo, in_tmp: Path) -> None:
    ended = zoo("benchmark", "lenet5", *QUICK, "--png", "a.png")
    assert ended.code == 0
    assert ended.stdout.endswith("picture: a.png\n")
    assert Path("a.png").read_bytes()[:4] == b"\x89PNG"
    assert zoo("benchmark", "lenet5", *QUICK, "--png", "a.png").code == 2
    assert zoo("benchmark", "lenet5", *QUICK, "--png", "a.png", "--force").code == 0


def test_without_matplotlib(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.plotting.find_spec", lambda name: None)
    ended = zoo("benchmark", "lenet5", "--png", "a.png")
    assert ended.code == 2
    assert "hint: pip install 'cnn-zoo[report]'" in ended.stderr


def test_without_onnxruntime(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnx", "onnxruntime", "onnxscript"):
        monkeypatch.setitem(sys.modules, name, None)
    ended = zoo("benchmark", "lenet5", "--formats", "onnx", *QUICK)
    assert ended.code == 2
    assert "pip install 'cnn-zoo[export]'" in ended.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("lenet5 --formats onx", "--formats onx is none of torch, onnx"),
        ("lenet5 --formats onx", "Did you mean onnx?"),
        ("lenet5 --precision fp23", "Did you mean fp32?"),
        ("lenet5 --batch-sizes 0", "--batch-sizes 0: '0' is no number of pictures."),
        ("lenet5 --batch-sizes 1,,2", "'' is no number of pictures."),
        ("lenet5 --batch-sizes 4,4", "names a size twice"),
        ("lenet5 lenet5", "MODEL lenet5 is named twice."),
        ("lenet5 --precision fp32,fp32", "--precision fp32 is named twice."),
        ("lenet6", "Did you mean lenet5?"),
        ("lenet5 --recipe digits", "lenet5 has nothing trained in it"),
        ("lenet5 --tolerance 0.1", "--tolerance goes with --baseline."),
        ("lenet5 --baseline b.json --tolerance 10", "hint: --tolerance 0.1"),
        ("lenet5 --spread 5", "--spread 5.0 is no share in [0, 1]"),
        ("lenet5 --force", "--force goes with --png."),
        ("lenet5 --offline", "--offline goes with --recipe or --data."),
        ("lenet5 --baseline nowhere.json", "nowhere.json does not exist"),
        ("lenet5 --png a.jpg", "a.jpg would be no .jpg file."),
        ("lenet5 --formats onnx --device cuda", "--device cuda does not apply to onnx"),
        ("lenet5 --formats onnx,pt2 --precision bf16", "does not apply to onnx and pt2: the"),
        ("lenet5 --device cuda:99", "no device 'cuda:99'"),
    ],
)
def test_bad_input(words: str, message: str, zoo: Zoo, in_tmp: Path) -> None:
    ended = zoo("benchmark", *words.split(), *QUICK)
    assert ended.code == 2
    assert message in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize(("interrupt", "code"), [(KeyboardInterrupt, 130), (SigtermInterrupt, 143)])
def test_an_interrupt_keeps_what_was_measured(
    interrupt: type[BaseException], code: int, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = Turns.rounds

    def interrupted(turns: Turns) -> Iterator[int]:
        for done in rounds(turns):
            yield done
            if done == 2:
                raise interrupt

    monkeypatch.setattr(Turns, "rounds", interrupted)
    ended = zoo("benchmark", "lenet5", *QUICK, "--png", "a.png", "--json")
    assert ended.code == ended.json["error"]["code"] == code
    (row,) = ended.json["rows"]
    assert row["rounds"] == 2
    assert row["latency_ms"] > 0
    assert ended.json["measuring"]["settled"] is False
    assert ended.json["png"] is None


def test_an_interrupt_ends_the_process_that_measures_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[subprocess.Popen[str]] = []
    start = subprocess.Popen

    def sleeping(_command: object, **options: Any) -> "subprocess.Popen[str]":
        started.append(start([sys.executable, "-c", "import time; time.sleep(100)"], **options))
        monkeypatch.setattr(started[0], "communicate", interrupted)
        return started[0]

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(memory.subprocess, "Popen", sleeping)
    with pytest.raises(KeyboardInterrupt):
        memory.peak_bytes(memory.Job("lenet5", "torch", "fp32", "cpu", 1, 1))
    assert started[0].poll() is not None
