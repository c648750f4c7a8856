"""The table of downloads, and sets that come from it into zoo's cache."""

import io
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.data.sources.fakes import OFFLINE, ONLINE, check, mnist_files, publish, write_picture
from tests.data.sources.test_cifar import write_set as write_cifar
from tests.data.sources.test_flowers102 import write_set as write_flowers
from tests.mirror import Fault, Mirror
from zoo.data.sources import named, remote
from zoo.data.sources.named import fetch_named, read_named, remote_files
from zoo.downloads import Downloads
from zoo.errors import DataError, UsageError
from zoo.places import search_path
from zoo.schema import Dataset
from zoo.values import SOURCES

NO_DOWNLOAD = ("digits", "shapes", "folder", "csv", "idx", "imagenet")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


def packed(root: Path, names: Iterable[str]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name in names:
            tar.add(root / name, name)
    return content.getvalue()


def test_every_source_has_a_reader_and_all_but_a_few_a_download() -> None:
    assert set(named.NAMED) == set(SOURCES) - set(NO_DOWNLOAD) | {"imagenet"}
    assert set(remote.SETS) == set(SOURCES) - set(NO_DOWNLOAD)


def test_the_table_is_well_formed() -> None:
    for name, parts in remote.SETS.items():
        assert [part.file for part in parts] == remote_files(name)
        for part in parts:
            algorithm, _, digest = part.file.digest.partition(":")
            assert (algorithm, len(digest)) == ("md5", 32)
            assert part.file.dataset == name
            assert part.file.urls
            assert all(url.startswith(("https://", "http://")) for url in part.file.urls)
            assert all(url.endswith(f"/{part.file.name}") for url in part.file.urls)
            assert part.folder is not None or part.keeps.endswith(part.file.name)


def test_the_digests_are_torchvisions() -> None:
    from torchvision import datasets as theirs

    digests = {
        "mnist": {digest for _, digest in theirs.MNIST.resources},
        "fashion-mnist": {digest for _, digest in theirs.FashionMNIST.resources},
        "kmnist": {digest for _, digest in theirs.KMNIST.resources},
        "emnist": {theirs.EMNIST.md5},
        "cifar10": {theirs.CIFAR10.tgz_md5},
        "cifar100": {theirs.CIFAR100.tgz_md5},
        "svhn": {theirs.SVHN.split_list[split][2] for split in ("train", "test")},
        "stl10": {theirs.STL10.tgz_md5},
        "flowers102": {digest for _, digest in theirs.Flowers102._file_dict.values()},
        "food101": {theirs.Food101._MD5},
    }
    assert digests == {
        name: {file.digest.removeprefix("md5:") for file in remote_files(name)}
        for name in remote.SETS
    }


def test_what_is_nowhere_is_downloaded_and_then_found(
    cache: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = mnist_files()
    mirror.files = {f"/{name}": content for name, content in files.items()}
    publish("kmnist", files, mirror.url, monkeypatch)
    dataset = Dataset(source="kmnist")
    places = search_path("kmnist", None, None)
    found = read_named(dataset, places, ONLINE)
    check(found)
    assert len(found.train) == 20
    assert sorted(os.listdir(cache / "kmnist")) == sorted(files)
    mirror.files = {}
    again = read_named(dataset, places, OFFLINE)
    assert (
        again.train.names == found.train.names == tuple(f"kmnist/train/{i:05}" for i in range(20))
    )


def test_offline_names_every_file_that_is_missing(
    cache: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = mnist_files()
    publish("kmnist", files, mirror.url, monkeypatch)
    here, *missing = files
    (cache / "kmnist").mkdir(parents=True)
    (cache / "kmnist" / here).write_bytes(files[here])
    places = search_path("kmnist", None, None)
    with pytest.raises(DataError, match="zoo is offline") as caught:
        read_named(Dataset(source="kmnist"), places, OFFLINE)
    assert all(str(place) in caught.value.message for place in places)
    for name in missing:
        assert f"{mirror.url}/{name}\n    to {cache / 'kmnist' / name}" in caught.value.hint
    assert here not in caught.value.hint
    assert mirror.requests == []


def test_an_archive_is_unpacked_and_not_kept(
    cache: Path, tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar(tmp_path / "server", "cifar10", monkeypatch)
    archive = packed(tmp_path / "server", ["cifar-10-batches-py"])
    mirror.files["/cifar-10-python.tar.gz"] = archive
    publish("cifar10", {"cifar-10-python.tar.gz": archive}, mirror.url, monkeypatch)
    lines: list[str] = []
    online = Downloads(False, lines.append, lambda *_: None)
    fetched = fetch_named("cifar10", online)
    assert (fetched.path, fetched.bytes) == (cache / "cifar10", len(archive))
    assert os.listdir(cache / "cifar10") == ["cifar-10-batches-py"]
    assert [line.split()[0] for line in lines] == ["downloading", "unpacking"]
    check(read_named(Dataset(source="cifar10"), [cache / "cifar10"], OFFLINE))
    assert fetch_named("cifar10", OFFLINE).bytes == 0


def test_an_archive_that_someone_put_there_is_used_offline(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar(tmp_path / "server", "cifar10", monkeypatch)
    archive = packed(tmp_path / "server", ["cifar-10-batches-py"])
    publish("cifar10", {"cifar-10-python.tar.gz": archive}, "http://127.0.0.1:1", monkeypatch)
    (cache / "cifar10").mkdir(parents=True)
    (cache / "cifar10" / "cifar-10-python.tar.gz").write_bytes(archive)
    places = search_path("cifar10", None, None)
    check(read_named(Dataset(source="cifar10"), places, OFFLINE))


def test_a_set_of_several_files_in_folders(
    cache: Path, tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_flowers(tmp_path / "server")
    contents = {
        "imagelabels.mat": (tmp_path / "server/imagelabels.mat").read_bytes(),
        "setid.mat": (tmp_path / "server/setid.mat").read_bytes(),
        "102flowers.tgz": packed(tmp_path / "server", ["jpg"]),
    }
    mirror.files = {f"/{name}": content for name, content in contents.items()}
    publish("flowers102", contents, mirror.url, monkeypatch)
    found = read_named(Dataset(source="flowers102"), [tmp_path / "nowhere"], ONLINE)
    check(found)
    assert sorted(os.listdir(cache / "flowers102/flowers-102")) == [
        "imagelabels.mat",
        "jpg",
        "setid.mat",
    ]


def test_a_hostile_archive_with_the_right_digest_leaves_nothing(
    cache: Path, tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        entry = tarfile.TarInfo("cifar-10-batches-py/../../../../evil")
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"evil"))
    mirror.files["/cifar-10-python.tar.gz"] = content.getvalue()
    publish("cifar10", {"cifar-10-python.tar.gz": content.getvalue()}, mirror.url, monkeypatch)
    with pytest.raises(DataError, match="reaches outside"):
        fetch_named("cifar10", ONLINE)
    assert os.listdir(cache / "cifar10") == ["cifar-10-python.tar.gz"]
    assert not list(tmp_path.rglob("evil"))


def test_a_set_that_no_mirror_gives(
    cache: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = mnist_files()
    publish("mnist", files, mirror.url, monkeypatch)
    mirror.faults["/train-images-idx3-ubyte.gz"] = Fault(status=500)
    with pytest.raises(DataError, match="HTTP 500"):
        read_named(Dataset(source="mnist"), [], ONLINE)


def test_torchvisions_name_of_a_named_set_is_the_set(tmp_path: Path, cache: Path) -> None:
    for name, content in mnist_files().items():
        (tmp_path / name).write_bytes(content)
    found = read_named(Dataset(source="torchvision/kmnist"), [tmp_path], OFFLINE)
    assert found.train.names[0] == "kmnist/train/00000"


def test_emnists_split_arrives(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no split nonsense"):
        read_named(Dataset(source="emnist", split="nonsense"), [tmp_path], OFFLINE)


def test_torchvisions_sets_are_reached(tmp_path: Path) -> None:
    for name in ("Forest", "River"):
        write_picture(tmp_path / "eurosat/2750" / name / "1.jpg", 1)
    check(read_named(Dataset(source="torchvision/EuroSAT"), [tmp_path], OFFLINE))


def test_names_do_not_depend_on_the_place(tmp_path: Path) -> None:
    for place in ("one", "two/deeper"):
        for name, content in mnist_files().items():
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
            (tmp_path / place / name).write_bytes(content)
        write_flowers(tmp_path / place / "flowers-102")
    for source in ("mnist", "flowers102"):
        names = {
            read_named(Dataset(source=source), [tmp_path / place], OFFLINE).train.names
            for place in ("one", "two/deeper")
        }
        assert len(names) == 1
