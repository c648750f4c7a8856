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
