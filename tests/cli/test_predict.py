"""`zoo predict`, as a user meets it."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.conftest import Ended, zoo_process
from tests.pictures import encoded, gradient
from zoo.data import open_data
from zoo.description import describe
from zoo.schema import Dataset

Zoo = Callable[..., Ended]
PNG = encoded(gradient(), "PNG")


def test_the_share_of_right_labels_is_the_accuracy_of_an_evaluation(
    zoo: Zoo, trained: Path, tmp_path: Path
) -> None:
    # Eight pixels a side are the digits' own size, so they are not changed.
    as_they_are = describe("lenet5").preprocessing.model_copy(
        update={"size": (8, 8), "content": (8, 8)}
    )
    opened = open_data(Dataset(source="digits"), as_they_are)
    test, root = opened.parts["test"], tmp_path / "digits"
    root.mkdir()
    (images,) = test.batches([torch.arange(len(test))])
    for index, image in enumerate(images):
        Image.fromarray(image[0].numpy()).save(root / f"{index}.png")
    rows = zoo("predict", trained, root, "--json").json["predictions"]
    # In natural order: 2.png before 10.png.
    assert [row["path"] for row in rows] == [str(root / f"{index}.png") for index in range(359)]
    right = sum(
        row["label"] == test.classes[target]
        for row, target in zip(rows, test.targets.tolist(), strict=True)
    )
    assert right / 359 == zoo("evaluate", trained, "--json").json["top1"] > 0.9


def test_the_keys_of_the_json(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    (in_tmp / "a.png").write_bytes(PNG)
    document = zoo("predict", trained, "a.png", "--top", 3, "--json").json
    assert set(document) == {"schema", "ok", "notes", "model", "predictions", "failed"}
    (row,) = document["predictions"]
    assert set(row) == {"path", "label", "probability", "top"}
    assert [set(ranked) for ranked in row["top"]] == [{"label", "probability"}] * 3
    assert (row["label"], row["probability"]) == tuple(row["top"][0].values())
    assert document["failed"] == []
    assert len(zoo("predict", trained, "a.png", "--json").json["predictions"][0]["top"]) == 1
    ten = zoo("predict", trained, "a.png", "--json", "--top", 99).json["predictions"][0]["top"]
    assert len(ten) == 10


def test_a_bad_picture_is_told_and_the_rest_is_predicted(
    zoo: Zoo, trained: Path, in_tmp: Path
) -> None:
    (in_tmp / "a.png").write_bytes(PNG)
    (in_tmp / "text.png").write_text("no picture")
    words = ("predict", trained, "gone*.png", "text.png", "a.png", "missing.png")
    ended = zoo(*words, "--json")
    assert ended.code == 4
    assert ended.stderr == ""
    document = ended.json
    assert (document["ok"], document["error"]["kind"]) == (False, "DataError")
    assert document["error"]["message"] == "3 of 4 pictures can't be predicted."
    assert [row["path"] for row in document["predictions"]] == ["a.png"]
    assert [set(row) for row in document["failed"]] == [{"path", "message"}] * 3
    assert [row["path"] for row in document["failed"]] == ["gone*.png", "text.png", "missing.png"]

    for form in ((), ("--csv",), ("--quiet",)):
        ended = zoo(*words, *form)
        assert ended.code == 4
        assert ended.stderr.splitlines() == [
            "error: gone*.png: no picture matches",
            "error: text.png: no JPEG, PNG, WebP, BMP, GIF, TIFF or PPM",
            "error: missing.png: no such file or directory",
            "error: 3 of 4 pictures can't be predicted.",
        ]
        assert "a.png" in ended.stdout
        assert "text.png" not in ended.stdout
    nothing = zoo("predict", trained, "missing.png")
    assert (nothing.code, nothing.stdout) == (4, "")
    assert nothing.stderr.endswith("error: 1 of 1 picture can't be predicted.\n")


def test_lines_of_json(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    (in_tmp / "a.png").write_bytes(PNG)
    ended = zoo("predict", trained, "missing.png", "a.png", "--jsonl", "--top", 2)
    assert ended.code == 4
    first, second = map(json.loads, ended.stdout.splitlines())
    assert first == {"path": "missing.png", "error": "no such file or directory"}
    (row,) = zoo("predict", trained, "a.png", "--json", "--top", 2).json["predictions"]
    assert second == row
    assert ended.stderr == "error: 1 of 2 pictures can't be predicted.\n"


@pytest.mark.parametrize("form", ["--json", "--csv", "--markdown"])
def test_lines_exclude_other_forms(form: str, zoo: Zoo, trained: Path) -> None:
    ended = zoo("predict", trained, "a.png", "--jsonl", form)
    assert ended.code == 2
    assert f"{form} and --jsonl exclude one another." in ended.stdout + ended.stderr


def test_tables(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    (in_tmp / "a|b.png").write_bytes(PNG)
    text = zoo("predict", trained, "a|b.png", "--top", 3, "--csv").stdout
    (row,) = csv.DictReader(io.StringIO(text))
    assert list(row) == [
        "path", "label", "probability", "label_2", "probability_2", "label_3", "probability_3",
    ]  # fmt: skip
    expected = zoo("predict", trained, "a|b.png", "--top", 3, "--json").json["predictions"][0]
    assert [row["label"], row["label_2"], row["label_3"]] == [
        ranked["label"] for ranked in expected["top"]
    ]
    assert float(row["probability_3"]) == expected["top"][2]["probability"]
    assert zoo("predict", trained, "a|b.png", "--csv").stdout.startswith("path,label,probability\n")
    markdown = zoo("predict", trained, "a|b.png", "--markdown").stdout.splitlines()
    assert markdown[0] == "| Picture | Label | Probability |"
    assert markdown[2].startswith("| a\\|b.png |")


def test_an_unsure_label_is_a_dash_or_null(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    (in_tmp / "a.png").write_bytes(PNG)
    words = ("predict", trained, "a.png", "--min-probability", 1)
    (row,) = zoo(*words, "--json").json["predictions"]
    assert row["label"] is None
    assert 0 < row["probability"] == row["top"][0]["probability"] < 1
    assert zoo(*words).stdout.splitlines()[-1].split()[:2] == ["a.png", "–"]
    (cells,) = csv.DictReader(io.StringIO(zoo(*words, "--csv").stdout))
    assert cells["label"] == ""


@pytest.mark.parametrize("share", ["90", "-0.1", "1.5", "nan"])
def test_a_probability_is_a_share(share: str, zoo: Zoo, trained: Path) -> None:
    ended = zoo("predict", trained, "a.png", f"--min-probability={share}")
    assert ended.code == 2
    assert ("hint: --min-probability 0.9\n" in ended.stderr) == (share == "90")


def test_what_the_command_line_refuses(zoo: Zoo, trained: Path) -> None:
    assert zoo("predict", trained).code == 2
    assert zoo("predict", trained, "a.png", "--top", 0).code == 2
    assert zoo("predict", trained, "a.png", "--precision", "fp8").code == 2
    assert zoo("predict", trained, "a.png", "--device", "abacus").code == 2
    ended = zoo("predict", "lenet5", "a.png")
    assert (ended.code, ended.stderr.splitlines()[-1]) == (2, "hint: zoo train lenet5")


def test_names_that_would_steer_a_terminal(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    names = ["\x1b[31mred\nline.png", os.fsdecode(b"n\xff.png")]
    for name in names:
        (in_tmp / name).write_bytes(PNG)
    bad = "\x1b]0;title\nbad.png"
    (in_tmp / bad).write_text("no picture")
    ended = zoo("predict", trained, *names, bad)
    assert "\x1b" not in ended.stdout + ended.stderr
    assert "\\x1b[31mred\\nline.png" in ended.stdout
    assert "error: \\x1b]0;title\\nbad.png: no JPEG" in ended.stderr
    assert len(ended.stdout.splitlines()) == 2 + 2  # the head and a line a picture
    assert "\nn\\xff.png " in ended.stdout
    head, _, *rows = ended.stdout.splitlines()
    assert {len(line) for line in rows} == {len(head)}
    document = zoo("predict", trained, *names, bad, "--json").json
    assert [row["path"] for row in document["predictions"]] == names
    assert document["failed"][0]["path"] == bad


def predict_process(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "zoo", "predict", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=120, **options)


def test_ten_thousand_paths_on_standard_input(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    odd = tmp_path / os.fsdecode(b"n\xff.png")
    odd.write_bytes(PNG)
    paths = [tmp_path / "a.png", odd, tmp_path / "gone.png", tmp_path / "a.png"] * 2500
    listed = b"\n\n".join(map(os.fsencode, paths))
    ended = predict_process(trained, "-", "--jsonl", input=listed)
    assert ended.returncode == 4
    assert ended.stdout.isascii()
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [os.fsencode(row["path"]) for row in rows] == [os.fsencode(path) for path in paths]
    assert sum("error" in row for row in rows) == 2500
    assert ended.stderr.decode().splitlines() == [
        "predicting 10,000 pictures",
        "error: 2,500 of 10,000 pictures can't be predicted.",
    ]


@pytest.mark.parametrize("form", ["--jsonl", "--csv", ""])
def test_a_reader_that_leaves_is_no_error(form: str, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "list").write_text(f"{tmp_path / 'a.png'}\n" * 3000)
    script = (
        f"{sys.executable} -m zoo predict {trained} - {form} --quiet < list | head -1; "
        "echo ${PIPESTATUS[0]}"
    )
    ended = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert ended.stderr == ""
    assert len(ended.stdout.splitlines()) == 2
    assert ended.stdout.splitlines()[-1] == "0"


def test_an_interruption_keeps_what_was_predicted(
    zoo: Zoo, trained: Path, in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo import prediction
    from zoo.errors import SigtermInterrupt

    (in_tmp / "a.png").write_bytes(PNG)
    original = prediction.predict
    for interrupt, code in ((KeyboardInterrupt, 130), (SigtermInterrupt, 143)):

        def interrupted(*arguments: Any, **options: Any) -> Any:
            yield from original(*arguments, **options)
            raise interrupt  # noqa: B023

        monkeypatch.setattr("zoo.prediction.predict", interrupted)
        ended = zoo("predict", trained, "a.png", "missing.png", "--json")
        assert ended.code == code == ended.json["error"]["code"]
        assert "after 2 of 2 pictures" in ended.json["error"]["message"]
        assert [row["path"] for row in ended.json["predictions"]] == ["a.png"]
        assert [row["path"] for row in ended.json["failed"]] == ["missing.png"]


def test_lines_are_there_before_the_end_and_ctrl_c_ends_it(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    listed = tmp_path / "list"
    listed.write_text(f"{tmp_path / 'a.png'}\n" * 200_000)
    command = [sys.executable, "-m", "zoo", "predict", str(trained), "-", "--jsonl"]
    with (
        listed.open() as stdin,
        subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["path"] == str(tmp_path / "a.png")
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        assert process.stderr is not None
        lines, errors = process.stdout.read(), process.stderr.read()
        process.wait(60)
    assert process.returncode == 130
    assert time.monotonic() - begun < 20
    for line in lines.splitlines():
        json.loads(line)  # each is whole
    assert "error: Interrupted after " in errors
    assert "Traceback" not in errors


def test_threads_and_a_shorter_arithmetic(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    ended = zoo_process(
        "predict", trained, tmp_path / "a.png", "--threads", 1, "--precision", "bf16", "--json"
    )
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["predictions"]
