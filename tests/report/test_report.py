"""The page: what it holds, that names stay text, and what it says where something is missing."""

import base64
import io
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.conftest import Ended
from tests.made_runs import results, write_run
from tests.report.conftest import NAMES, SCRIPT
from zoo.figures import Figures
from zoo.report.looking import Look, varied
from zoo.report.page import duration
from zoo.report.single import run_page
from zoo.runs import open_run

Zoo = Callable[..., Ended]
VOID = {"meta", "img", "br", "link", "input"}


class Read(HTMLParser):
    """The page's elements, its texts by element, and whether everything that opens closes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def read(page: str) -> Read:
    return Read(page)


def test_the_page_is_whole_and_its_ids_are_its_own(read: Read) -> None:
    assert read.open == []
    ids = Counter(attributes["id"] for _, attributes in read.elements if "id" in attributes)
    assert ids.most_common(1)[0][1] == 1
    linked = {attributes["href"] for attributes in read.all("a")}
    assert linked <= {f"#{name}" for name in ids}


def test_hostile_names_are_text(read: Read, page: str) -> None:
    assert len(read.all("script")) == 1
    assert SCRIPT not in page
    for name in NAMES.values():
        assert name in read.texts
    assert {name for _, attributes in read.elements for name in attributes if name[:2] == "on"} == (
        set()
    )


def test_nothing_is_loaded_and_the_policy_says_so(read: Read) -> None:
    policy = next(a["content"] for a in read.all("meta") if "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert re.search(r"script-src 'sha256-[\w+/]{43}='", policy)
    for _, attributes in read.elements:
        for name in ("src", "href", "action", "srcset", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/png;base64,"))
    assert not read.all("link")


def test_every_picture_can_be_read_and_says_what_it_is(read: Read, seen: Look) -> None:
    images = read.all("img")
    pictures = seen.pictures
    assert pictures is not None
    shots = len(pictures.mistakes) * 2 + len(pictures.right) + len(pictures.training) * 2
    assert len(images) == shots + len(pictures.stages) + 2  # filters, the picture of the maps
    for image in images:
        assert image["alt"]
        assert image["src"] is not None
        png = base64.b64decode(image["src"].partition(",")[2])
        drawn = Image.open(io.BytesIO(png))
        assert drawn.size == (int(image["width"] or 0), int(image["height"] or 0))
    for svg in read.all("svg"):
        assert svg["role"] == "img"
        assert svg["aria-label"]


def test_the_figures_are_those_of_evaluate_and_summary(read: Read, hostile: Path, zoo: Zoo) -> None:
    found = zoo("evaluate", hostile, "--json").json
    text = read.text.replace("\N{NO-BREAK SPACE}", " ")
    assert f"Test accuracy {100 * found['top1']:.2f} %" in text
    assert f"{found['images']} pictures" in text
    assert f"calibration error {100 * found['expected_calibration_error']:.2f} %" in text
    summary = zoo("summary", hostile, "--json").json
    for key in ("torch_params", "total_params", "mult_adds"):
        assert f"{summary[key]:,}" in text
    for layer in summary["layers"]:
        assert f"{layer['name']} {layer['type']}" in text
    headings = {"Learning curves", "Classes", "Mistakes and right answers", "Inside", "Layers"}
    assert headings <= set(read.texts)


def test_mistakes_are_the_worst_and_right_answers_the_surest(seen: Look) -> None:
    assert seen.pictures is not None
    mistakes = [shot.judged for shot in seen.pictures.mistakes]
    assert mistakes
    assert len(mistakes) == min(24, seen.pictures.total_mistakes)
    assert all(one.label != one.predicted for one in mistakes)
    losses = [one.loss for one in mistakes]
    assert losses == sorted(losses, reverse=True)
    right = [shot.judged for shot in seen.pictures.right]
    assert all(one.label == one.predicted for one in right)
    shares = [one.probability for one in right]
    assert shares == sorted(shares, reverse=True)


def test_right_answers_are_of_many_classes() -> None:
    targets = torch.tensor([0] * 30 + [1, 1, 1, 2])
    ranked = torch.arange(34)
    chosen, each = varied(ranked, targets)
    assert each == 4
    assert chosen.tolist() == [0, 1, 2, 3, 30, 31, 32, 33]
    many, each = varied(ranked, torch.arange(34) // 2)
    assert (many.tolist(), each) == ([*range(0, 24, 2)], 1)
    none, _ = varied(ranked[:0], targets)
    assert none.tolist() == []


def test_points_say_their_values(read: Read, hostile: Path) -> None:
    losses = [row["train_loss"] for row in open_run(str(hostile)).epochs.to_dict("records")]
    for loss in losses:
        assert f"training: {loss:.4f}" in read.texts


def test_a_thousand_classes_become_the_most_confused_pairs(hostile: Path, seen: Look) -> None:
    names = tuple(f"class {number}" for number in range(1000))
    confusion = [[0] * 1000 for _ in range(1000)]
    for true in range(1000):
        confusion[true][true] = 5
        confusion[true][(true * 7 + 1) % 1000] += 3 if true == 500 else 1
    figures = Figures(
        6002, 0.8, 0.9, 1.0, 0.1, 0.01, "class 0", names, tuple(map(tuple, confusion))
    )
    assert seen.pictures is not None
    page = run_page(
        open_run(str(hostile)), replace(seen, pictures=replace(seen.pictures, figures=figures))
    )
    read = Read(page)
    assert "matrix" not in {a.get("class") for a in read.all("table")}
    assert "More than 60 classes fit no matrix" in read.text
    rows = page.partition('id="pairs"')[2].partition("</table>")[0].split("<tr>")[2:]
    assert len(rows) == 20
    assert "class 500" in rows[0]
    assert "class 501" in rows[0]
    assert len(page) < 3_000_000


def test_fifty_classes_are_numbered_and_counted(hostile: Path, seen: Look) -> None:
    names = tuple(f"class number {number:03} of many" for number in range(50))
    confusion = tuple(
        tuple(4321 if true == predicted else int(predicted == 7) for predicted in range(50))
        for true in range(50)
    )
    figures = Figures(9, 0.8, 0.9, 1.0, 0.1, 0.01, names[0], names, confusion)
    assert seen.pictures is not None
    pictures = replace(seen.pictures, figures=figures)
    page = run_page(open_run(str(hostile)), replace(seen, pictures=pictures))
    matrix = page.partition('<table class="matrix dense">')[2].partition("</table>")[0]
    head, *rows = matrix.split("<tr>")[1:]
    assert [int(number) for number in re.findall(r">(\d+)</span>", head)] == [*range(1, 51)]
    assert "<b>12</b>" in rows[11]
    assert ">…011…</span>" in rows[11]
    assert f'title="{names[11]}"' in rows[11]
    counts = [re.sub("<.*?>", "", cell) for cell in rows[11].split("<td")[1:]]
    assert [count.rpartition(">")[2].strip() for count in counts][7:12] == [
        "1", "0", "0", "0", "4.32k",
    ]  # fmt: skip


def test_data_that_is_gone_costs_the_pictures_alone(
    hostile: Path, tmp_path: Path, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(hostile, tmp_path / "run")
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    gone = str(tmp_path / "gone")
    document["data"] = gone
    (tmp_path / "run" / "run.json").write_text(json.dumps(document))
    ended = zoo("report", tmp_path / "run", "--json")
    assert ended.code == 0
    assert gone in ended.json["notes"][0]
    assert "with --data DIR" in ended.json["notes"][0]
    read = Read((tmp_path / "run" / "report.html").read_text())
    assert "Its pictures can’t be shown" in read.text
    assert {"Learning curves", "Inside", "Layers", "How it was made"} <= set(read.texts)
    assert "Mistakes and right answers" not in read.texts
    assert len(read.all("img")) == 1  # the filters
    assert zoo("report", tmp_path / "run").code == 2
    again = zoo("report", tmp_path / "run", "--force", "--data", hostile.parent / "pictures & <b>")
    assert again.code == 0
    assert "Mistakes and right answers" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize(
    ("status", "said"),
    [("interrupted", "was interrupted: 2 of 3 epochs"), ("diverged", "diverged: 2 of 3 epochs")],
)
def test_a_run_that_did_not_finish_is_marked(
    status: str, said: str, tmp_path: Path, zoo: Zoo
) -> None:
    run = write_run(tmp_path / "run", results(0.5, 0.75), status=status, error="<i>why</i>")
    ended = zoo("report", run, "-o", tmp_path / "a.html", "--json")
    assert ended.code == 0
    assert any("2 epochs ended, but it was removed" in note for note in ended.json["notes"])
    assert any(f"is not finished ({status})" in note for note in ended.json["notes"])
    read = Read((tmp_path / "a.html").read_text())
    assert f"This run {said}" in read.text
    assert "<i>why</i>" in read.text
    assert "Its network can’t be shown" in read.text
    assert len(read.all("svg")) == 3


def test_a_run_before_its_first_epoch_has_a_page(tmp_path: Path, zoo: Zoo) -> None:
    run = write_run(tmp_path / "run", status="running", resolved_recipe={"odd": "<b>"}, model=None)
    assert zoo("report", run).code == 0
    read = Read((run / "report.html").read_text())
    assert "was killed: 0 epochs are done" in read.text  # nobody holds its lock
    assert "no epoch was finished" in read.text
    assert '"odd": "<b>"' in read.text


def test_a_damaged_table_of_epochs_is_told(tmp_path: Path, zoo: Zoo) -> None:
    best = {"epoch": 2, "top1": 0.75, "loss": 0.4321}
    run = write_run(tmp_path / "run", "no table\n", best=best)
    assert zoo("report", run).code == 0
    told = f"{run / 'results.csv'} is no table of epochs"
    assert told in Read((run / "report.html").read_text()).text
    other = write_run(tmp_path / "other", results(0.5))
    assert zoo("report", run, other, "-o", tmp_path / "both.html").code == 0
    both = Read((tmp_path / "both.html").read_text())
    assert told in both.text
    assert "0.4321" in both.texts


def test_one_epoch_of_four_is_done(tmp_path: Path, zoo: Zoo) -> None:
    recipe = {"dataset": {"source": "digits"}, "train": {"epochs": 4}}
    run = write_run(tmp_path / "run", results(0.5), status="interrupted", resolved_recipe=recipe)
    assert zoo("report", run).code == 0
    assert "1 of 4 epochs is done" in Read((run / "report.html").read_text()).text


def test_several_runs_are_compared(trained: Path, hostile: Path, tmp_path: Path, zoo: Zoo) -> None:
    ended = zoo("report", trained, hostile, "-o", tmp_path / "a.html", "--json")
    assert ended.code == 0
    assert ended.json["runs"] == [str(trained), str(hostile)]
    read = Read((tmp_path / "a.html").read_text())
    assert read.open == []
    assert {"2 runs compared", "Accuracy against parameters", "Accuracy against latency"} <= set(
        read.texts
    )
    assert {"train.epochs", "dataset.source", "augment.rotation_range"} <= set(read.texts)
    assert len(read.all("svg")) == 5
    told = [text for text in read.texts if text.startswith(f"A {trained}: ")]
    assert any(text.endswith("61,706") for text in told)
    assert "different pictures" in ended.json["notes"][0]
    assert "were judged by different pictures" in read.text
    assert zoo("report", trained, hostile, "--data", tmp_path).code == 2
    assert zoo("report", trained, trained).code == 2


def test_settings_of_many_runs_are_listed_by_value(tmp_path: Path, zoo: Zoo) -> None:
    runs = [write_run(tmp_path / f"r{seed}", results(0.5), seed=seed // 5) for seed in range(10)]
    assert zoo("report", *runs, "-o", tmp_path / "a.html").code == 0
    read = Read((tmp_path / "a.html").read_text())
    assert read.open == []
    assert "Setting Value Runs seed 0 A, B, C, D, E 1 F, G, H, I, J" in read.text


def test_a_damaged_model_among_several_is_told(trained: Path, tmp_path: Path, zoo: Zoo) -> None:
    shutil.copytree(trained, tmp_path / "run")
    damaged = tmp_path / "run" / "best.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-50] ^= 255
    damaged.write_bytes(content)
    ended = zoo("report", tmp_path / "run", trained, "-o", tmp_path / "a.html", "--json")
    assert ended.code == 0
    assert [note for note in ended.json["notes"] if f"{damaged} is corrupt" in note]
    assert not [note for note in ended.json["notes"] if "different pictures" in note]


def test_bad_input_is_refused_before_anything_is_computed(
    trained: Path, tmp_path: Path, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("zoo.report.making.make", never)
    (tmp_path / "there.html").write_text("mine")
    for words, said in (
        ((trained, "-o", tmp_path / "there.html"), "exists."),
        ((trained, "-o", tmp_path / "page.pdf"), "would be no .pdf file"),
        ((trained, "-o", tmp_path / "none" / "a.html"), "does not exist"),
        ((tmp_path / "none",), "is no run"),
    ):
        ended = zoo("report", *words)
        assert (ended.code, said in ended.stderr) == (2, True), ended.stderr
    assert (tmp_path / "there.html").read_text() == "mine"


def test_a_missing_extra_names_the_command_that_installs_it(
    trained: Path, zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.report.page.find_spec", lambda name: None)
    for words in (
        ("report", trained, "-o", tmp_path / "a.html"),
        ("train", "lenet5", "--report", "-o", tmp_path / "run"),
    ):
        ended = zoo(*words)
        assert ended.code == 2
        assert "A report needs jinja2 and matplotlib, which are not installed." in ended.stderr
        assert "pip install 'cnn-zoo[report]'" in ended.stderr
    assert not (tmp_path / "run").exists()


def test_train_writes_the_page_of_its_run(tmp_path: Path, zoo: Zoo) -> None:
    run = tmp_path / "run"
    ended = zoo("train", "lenet5", "--max-steps", 2, "--report", "-o", run, "--json")
    assert ended.code == 0
    assert ended.json["report"] == str(run / "report.html")
    assert "lenet5 on digits" in Read((run / "report.html").read_text()).text
    assert (run / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert zoo("train", "lenet5", "--find-lr", "--report").code == 2


def test_durations() -> None:
    said = [duration(seconds) for seconds in (None, 9.44, 60, 125.2, 3600, 12_000)]
    assert said == ["–", "9.4 s", "1 min 00 s", "2 min 05 s", "1 h 00 min", "3 h 20 min"]
