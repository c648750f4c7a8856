"""Decoding once: the cache, what is bad, and sets that do not fit into memory."""

import csv
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.pictures import write_folder
from zoo.data import Access, open_data
from zoo.data.fit import fit
from zoo.data.fitted import Decoded, FittedOnTheWay, InMemory
from zoo.data.gathering import Gathered, Settings, gather, refused
from zoo.data.pictures import FilePictures
from zoo.data.sources import digits, folder
from zoo.errors import DataError
from zoo.places import cache_directory
from zoo.schema import Dataset, Preprocessing

PREPROCESSING = Preprocessing(
    channels=1, size=(16, 16), content=(16, 16), mean=(0.0,), std=(1.0,),
    interpolation="bilinear", fit="resize",
)  # fmt: skip
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "pics", suffix="jpg")


def pictures(root: Path) -> FilePictures:
    found = folder.read(Dataset(source="folder"), root).train
    assert isinstance(found, FilePictures)
    return found


def all_images(gathered: Gathered) -> torch.Tensor:
    return next(gathered.fitted.batches([torch.arange(len(gathered.fitted))], CPU))


def test_the_tensor_holds_each_picture_fitted(root: Path) -> None:
    found = pictures(root)
    gathered = gather(found, PREPROCESSING, Settings())
    assert isinstance(gathered.fitted.store, InMemory)
    expected = torch.cat([fit(found.picture(i)[None], PREPROCESSING) for i in range(len(found))])
    assert torch.equal(all_images(gathered), expected)
    assert gathered.digests() == [found.digest(index) for index in range(len(found))]


def test_the_next_run_decodes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = gather(pictures(root), PREPROCESSING, Settings())

    def refuse(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(FilePictures, "read", refuse)
    second = gather(pictures(root), PREPROCESSING, Settings())
    assert torch.equal(all_images(first), all_images(second))
    assert first.digests() == second.digests()


@pytest.mark.parametrize(
    "change", ["picture", "more", "size", "channels", "damaged", "odd", "holes", "short"]
)
def test_the_cache_is_of_these_files_and_this_fitting(root: Path, change: str) -> None:
    before = gather(pictures(root), PREPROCESSING, Settings())
    preprocessing = PREPROCESSING
    if change == "picture":
        shutil.copy(root / "square" / "001.jpg", root / "circle" / "000.jpg")
    elif change == "more":
        shutil.copy(root / "square" / "001.jpg", root / "circle" / "new.jpg")
    elif change == "size":
        preprocessing = PREPROCESSING.model_copy(update={"size": (8, 8), "content": (8, 8)})
    elif change == "channels":
        preprocessing = PREPROCESSING.model_copy(update={"channels": 3})
    elif change == "damaged":
        (kept,) = (cache_directory() / "pictures").glob("*.json")
        kept.write_text('{"digests": 3')
    elif change == "odd":
        (kept,) = (cache_directory() / "pictures").glob("*.json")
        kept.write_text('{"digests": 3, "bad": {}}')
    elif change == "holes":
        (kept,) = (cache_directory() / "pictures").glob("*.json")
        kept.write_text(json.dumps({"digests": [""] * 24, "bad": {}}))
    elif change == "short":
        (kept,) = (cache_directory() / "pictures").glob("*.u8")
        kept.unlink()  # cut in place it would be missing under the mapping of `before`
        kept.write_bytes(b"123")
    after = gather(pictures(root), preprocessing, Settings())
    found = pictures(root)
    expected = torch.cat([fit(found.picture(i)[None], preprocessing) for i in range(len(found))])
    assert torch.equal(all_images(after), expected)
    assert all_images(before).shape == (24, 1, 16, 16)


def test_nothing_is_written_beside_the_data(root: Path) -> None:
    before = sorted(root.rglob("*"))
    gather(pictures(root), PREPROCESSING, Settings())
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("place", ["/dev/null/cache", "/proc/cache"])
def test_no_room_for_the_cache_is_no_error(
    place: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = all_images(gather(pictures(root), PREPROCESSING, Settings()))
    monkeypatch.setenv("ZOO_CACHE", place)
    assert torch.equal(all_images(gather(pictures(root), PREPROCESSING, Settings())), expected)
    lazily = Settings(in_memory=False, workers=0)
    assert torch.equal(all_images(gather(pictures(root), PREPROCESSING, lazily)), expected)


def test_a_link_to_nothing_is_a_bad_picture(root: Path) -> None:
    (root / "circle" / "gone.jpg").symlink_to(root / "nowhere.jpg")
    os.mkfifo(root / "circle" / "pipe.jpg")  # reading it would never end
    gathered = gather(pictures(root), PREPROCESSING, Settings())
    assert len(gathered.fitted) == 24
    (bad,) = gathered.bad
    assert bad.path.endswith("gone.jpg")
    assert "No such file" in bad.reason


def spoil(root: Path) -> list[Path]:
    bad = [root / "circle" / name for name in ("empty.jpg", "text.png", "cut.jpg")]
    bad[0].write_bytes(b"")
    bad[1].write_text("no picture")
    bad[2].write_bytes((root / "circle" / "000.jpg").read_bytes()[:300])
    return bad


@pytest.mark.parametrize("in_memory", [True, False])
def test_bad_pictures_are_all_listed(root: Path, in_memory: bool) -> None:
    bad = spoil(root)
    for _ in range(2):  # the second time from what the first kept
        found = gather(pictures(root), PREPROCESSING, Settings(in_memory=in_memory, workers=0))
        error = refused(found.bad, 27)
        assert error.message.startswith("3 of 27 pictures can't be read:")
        assert all(str(path) in error.message for path in bad)
        assert {one["path"] for one in error.results["bad"]} == {str(path) for path in bad}
    assert "--on-bad skip" in error.hint


@pytest.mark.parametrize("in_memory", [True, False])
def test_bad_pictures_can_be_left_out(root: Path, in_memory: bool) -> None:
    good = gather(pictures(root), PREPROCESSING, Settings())
    spoil(root)
    settings = Settings(in_memory=in_memory, workers=0)
    gathered = gather(pictures(root), PREPROCESSING, settings)
    assert len(gathered.fitted) == 24
    assert gathered.fitted.names == good.fitted.names
    assert torch.equal(all_images(gathered), all_images(good))
    assert gathered.digests() == good.digests()
    assert len(gathered.bad) == 3


def test_a_single_picture_is_no_pictures(root: Path) -> None:
    dataset = Dataset(source="folder", on_bad="skip")
    whole = open_data(dataset, PREPROCESSING, Access(root)).split_csv
    assert whole is not None
    split = {row[1]: row[2] for row in list(csv.reader(whole.splitlines()))[1:]}
    split.popitem()
    (new,) = open_data(dataset, PREPROCESSING, Access(root, recorded=split)).notes
    assert new.startswith("1 picture is new since the split was drawn: 1 to ")
    bad = root / "circle" / "bad.jpg"
    bad.write_bytes(b"")
    (left_out,) = open_data(dataset, PREPROCESSING, Access(root)).notes
    assert left_out == f"1 picture can't be read and is left out: {bad}"


def test_what_does_not_fit_into_memory_is_decoded_by_workers(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = all_images(gather(pictures(root), PREPROCESSING, Settings()))
    monkeypatch.setattr("zoo.data.gathering.available_bytes", lambda: 1000)
    for workers in (0, 1, 2):
        gathered = gather(pictures(root), PREPROCESSING, Settings(workers=workers))
        assert isinstance(gathered.fitted.store, Decoded)
        order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
        batches = list(gathered.fitted.at(order.tolist()).batches(torch.split(order, 7), CPU))
        assert torch.equal(torch.cat(batches), expected[order][order])
    forced = gather(pictures(root), PREPROCESSING, Settings(in_memory=True))
    assert isinstance(forced.fitted.store, InMemory)


def test_a_picture_that_goes_away_later_is_a_data_error(root: Path) -> None:
    gathered = gather(pictures(root), PREPROCESSING, Settings(in_memory=False, workers=1))
    for reason in ("the file is empty", "No such file or directory"):
        path = root / "circle" / "000.jpg"
        if reason.startswith("No"):
            path.unlink()
        else:
            path.write_bytes(b"")
        with pytest.raises(DataError, match=f"can't be read any more: .*{reason}") as caught:
            all_images(gathered)
        assert "Traceback" not in caught.value.message


def test_arrays_are_fitted_once_or_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    found = digits.read().train
    once = gather(found, PREPROCESSING, Settings())
    assert isinstance(once.fitted.store, InMemory)
    monkeypatch.setattr("zoo.data.gathering.available_bytes", lambda: 1000)
    later = gather(found, PREPROCESSING, Settings())
    assert isinstance(later.fitted.store, FittedOnTheWay)
    assert torch.equal(all_images(once), all_images(later))
    assert once.digests() == later.digests()


def test_large_arrays_are_cached_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.data.gathering._WORTH_A_CACHE", range(1, 1 << 31))
    found = digits.read().train
    first = gather(found, PREPROCESSING, Settings())
    (kept,) = (cache_directory() / "pictures").iterdir()
    assert kept.stat().st_size == 1797 * 16 * 16
    monkeypatch.setattr("zoo.data.gathering._fit_into", None)  # the next run fits nothing
    assert torch.equal(all_images(gather(found, PREPROCESSING, Settings())), all_images(first))
    monkeypatch.undo()
    plain = gather(found, PREPROCESSING, Settings())
    assert torch.equal(all_images(plain), all_images(first))


def test_another_array_has_another_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.data.gathering._WORTH_A_CACHE", range(1, 1 << 31))
    found = digits.read().train
    before = gather(found, PREPROCESSING, Settings())
    other = replace(found, images=255 - found.images)
    after = gather(other, PREPROCESSING, Settings())
    assert not torch.equal(all_images(before), all_images(after))
    monkeypatch.setenv("ZOO_CACHE", "/dev/null/none")
    assert torch.equal(all_images(gather(other, PREPROCESSING, Settings())), all_images(after))


def test_progress_counts_every_picture(root: Path) -> None:
    seen: list[tuple[int, int]] = []
    follow: Callable[[int, int], None] = lambda done, total: seen.append((done, total))  # noqa: E731
    gather(pictures(root), PREPROCESSING, Settings(progress=follow))
    assert seen == [(done, 24) for done in range(1, 25)]
