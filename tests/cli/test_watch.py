"""Progress of downloads and decoding."""

import io
from pathlib import Path

import pytest

from tests.conftest import zoo_process
from tests.pictures import write_folder
from zoo.cli import watch
from zoo.cli.app import OUTPUT


def test_a_line_where_nothing_can_move(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OUTPUT, "quiet", False)
    with watch.watched(offline=True) as watched:
        for done in (1, 2, 3):
            watched.decoded(done, 2000)
        watched.decoded(1, 10)
        assert watched.downloads.offline
        for done in (0, 512, 1024):
            watched.predicted(done, 1024)
        watched.predicted(0, 10)
    assert capsys.readouterr().err == "decoding 2,000 pictures\npredicting 1,024 pictures\n"


def a_terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """In place of standard error, until the test ends."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(OUTPUT, "quiet", False)
    monkeypatch.setenv("TERM", "xterm")
    return terminal


def test_bars_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = a_terminal(monkeypatch)
    with watch.watched(offline=False) as watched:
        assert watched.bars is not None
        watched.downloads.progress(500_000, 1_000_000)
        watched.decoded(10, 1000)
        watched.decoded(900, 1000)
        first = [(task.description, task.completed) for task in watched.bars.tasks]
        watched.decoded(1, 50)  # the next split starts anew
        second = [(task.description, task.completed, task.total) for task in watched.bars.tasks]
        print("a result")
        watched.predicted(512, 1024)
        assert ("predicting", 512) in [(t.description, t.completed) for t in watched.bars.tasks]
        watched.bars.remove_task(watched.bars.tasks[-1].id)
        amounts = [task.fields["amount"] for task in watched.bars.tasks]
        watched.decoded(1, 1)
        assert watched.bars.tasks[-1].fields["amount"] == "1/1 picture"
    assert first == [("downloading", 500_000), ("decoding", 900)]
    assert second == [("downloading", 500_000, 1_000_000), ("decoding", 1, 50)]
    assert amounts == ["500 kB/1 MB", "1/50 pictures"]
    assert "downloading" in screen.getvalue()
    # Results printed meanwhile go where standard output goes, not between the bars.
    assert capsys.readouterr().out == "a result\n"
    assert "a result" not in screen.getvalue()


def test_offline_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    with watch.watched(offline=False) as watched:
        assert watched.downloads.offline


def test_a_large_folder_says_that_it_is_decoded(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pics", count=1000, size=8)
    ended = zoo_process("data", "check", "--data", root)
    assert ended.returncode == 0
    assert "decoding 1,000 pictures" in ended.stderr


def test_no_bar_leaves_nothing_on_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = a_terminal(monkeypatch)
    with watch.watched(offline=False):
        OUTPUT.progress("a line")
    assert screen.getvalue() == "a line\n"
