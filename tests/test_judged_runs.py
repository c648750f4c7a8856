"""Which runs were judged by the same pictures."""

from pathlib import Path
from typing import Any

from tests.made_runs import write_run
from zoo.runs import Record, open_run
from zoo.runs.judged import Split, grouped

HEAD = "path,hash,split\n"


def run(path: Path, split_csv: str = "", **document: Any) -> Record:
    write_run(path, **document)
    if split_csv:
        (path / "split.csv").write_text(HEAD + split_csv)
    return open_run(str(path))


def letters(*runs: tuple[Record, Split]) -> list[str]:
    named = [(letter, *one) for letter, one in zip("ABCDEF", runs, strict=False)]
    return ["".join(group.letters) for group in grouped(named)]


def test_one_digest_is_one_set_of_pictures(tmp_path: Path) -> None:
    a = run(tmp_path / "a", pictures_digest="1")
    b = run(tmp_path / "b", pictures_digest="2")
    c = run(tmp_path / "c", pictures_digest="1")
    assert letters((a, "test"), (b, "test"), (c, "test")) == ["AC", "B"]
    assert letters((a, "test"), (c, "validation")) == ["A", "B"]


def test_test_pictures_may_agree_where_validation_does_not(tmp_path: Path) -> None:
    a = run(tmp_path / "a", "p,1,train\nq,2,validation\nr,3,test\n", pictures_digest="1")
    b = run(tmp_path / "b", "p,1,validation\nq,2,train\nr,3,test\n", pictures_digest="2")
    assert letters((a, "test"), (b, "test")) == ["AB"]
    assert letters((a, "validation"), (b, "validation")) == ["A", "B"]
    (tmp_path / "b" / "split.csv").write_text("damaged")
    assert letters((a, "test"), (b, "test")) == ["A", "B"]


def test_without_digests_the_settings_tell(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a"), run(tmp_path / "b")
    c = run(tmp_path / "c", resolved_recipe={"dataset": {"source": "shapes"}})
    assert letters((a, "test"), (b, "test"), (c, "test")) == ["AB", "C"]


def test_pictures_are_told(tmp_path: Path) -> None:
    a = run(tmp_path / "a", pictures={"test": 359})
    b = run(
        tmp_path / "b",
        pictures={"validation": 1},
        data="birds",
        resolved_recipe={"dataset": {"source": "folder"}},
    )
    told = [group.pictures for group in grouped([("A", a, "test"), ("B", b, "validation")])]
    assert told == ["359 test pictures of digits", "1 validation picture of folder in birds"]
