"""What `zoo report` says while it works."""

from collections.abc import Callable
from pathlib import Path

from tests.conftest import Ended

Zoo = Callable[..., Ended]


def test_it_says_what_it_does_next(zoo: Zoo, trained: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    said = zoo("report", trained, "-o", page).stderr.splitlines()
    assert said[:3] == [
        f"reading {trained}", "judging 359 test pictures", "drawing the page",
    ]  # fmt: skip
    assert zoo("report", trained, "-o", page, "--force", "--quiet").stderr == ""


def test_what_is_next_after_a_page_is_not_the_page(zoo: Zoo, tmp_path: Path) -> None:
    run, page = tmp_path / "run", tmp_path / "run" / "report.html"
    arguments = ("train", "lenet5", "--max-steps", 1, "-o", run)
    ended = zoo(*arguments, "--report").stdout
    assert f"run: {run}\nreport: {page}\n\nnext:\n  zoo evaluate {run}\n" in ended
    assert "zoo report" not in ended
    assert f"  zoo report {run}\n" in zoo(*arguments, "--force").stdout
