"""Writing files: all or nothing."""

import errno
import os
import stat
from pathlib import Path

import pytest

from zoo.errors import DiskError, OutputExistsError, UsageError
from zoo.files import atomic_path, check_is_run, check_output_file, disk_errors, write_text


def test_the_mode_is_the_umasks(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def no_space(*arguments: object, **options: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace", "pathlib.Path.write_text"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    write_text(path, "old")
    monkeypatch.setattr(call, no_space)
    with pytest.raises(DiskError, match=f"Can't write {path}: No space left on device") as caught:
        write_text(path, "new")
    assert caught.value.hint.startswith("Free some space, or choose another place: --output")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert path.read_text() == "old"


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with atomic_path(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())


def test_outputs_are_checked_before_the_work(tmp_path: Path) -> None:
    existing = tmp_path / "there"
    existing.write_text("x")
    check_output_file(tmp_path / "new", force=False)
    check_output_file(existing, force=True)
    with pytest.raises(OutputExistsError, match="exists"):
        check_output_file(existing, force=False)
    with pytest.raises(UsageError, match="is a directory"):
        check_output_file(tmp_path, force=True)
    with pytest.raises(UsageError, match="does not exist"):
        check_output_file(tmp_path / "no" / "file", force=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["there"]


def test_a_dash_is_no_output() -> None:
    with pytest.raises(UsageError, match="no output goes to standard output"):
        check_output_file(Path("-"), force=False)


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOENT])
def test_a_closed_directory_has_a_hint_for_writers_alone(number: int) -> None:
    def hint(action: str) -> str:
        with pytest.raises(DiskError) as caught, disk_errors(action, "x"):
            raise OSError(number, "what the system says")
        return caught.value.hint

    assert "--output" in hint("write")
    assert hint("read") == ""


def test_only_a_runs_directory_is_ever_removed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no run"):
        check_is_run(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    check_is_run(tmp_path)


def test_links_and_devices(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OutputExistsError):  # although it leads nowhere yet
        check_output_file(tmp_path / "link", force=False)
    write_text(tmp_path / "link", "through")
    assert (tmp_path / "target").read_text() == "through"
    assert (tmp_path / "link").is_symlink()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="no regular file"):
        check_output_file(tmp_path / "pipe", force=True)
    with pytest.raises(UsageError, match="no regular file"):
        check_output_file(Path("/dev/null"), force=True)


def test_the_longest_name_works(tmp_path: Path) -> None:
    write_text(tmp_path / ("x" * 255), "long")
