"""torchvision's sets, each in the layout of its class."""

import bz2
import hashlib
import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat
from torchvision import datasets

from tests.data.sources.fakes import OFFLINE, ONLINE, check, level, write_picture
from zoo.data.pictures import DatasetPictures, FilePictures
from zoo.data.sources import torchvision_sets
from zoo.errors import DataError, UsageError


def write_text(path: Path, *lines: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return md5(path)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


Patch = pytest.MonkeyPatch


def caltech101(root: Path, patch: Patch) -> None:
    for name, gray in (("ant", 10), ("bonsai", 20), ("BACKGROUND_Google", 30)):
        write_picture(root / "caltech101/101_ObjectCategories" / name / "image_0001.jpg", gray)


def caltech256(root: Path, patch: Patch) -> None:
    for number, name in ((1, "ak47"), (2, "flag")):
        folder = root / "caltech256/256_ObjectCategories" / f"{number:03}.{name}"
        write_picture(folder / f"{number:03}_0001.jpg", 10 * number)


def clevr(root: Path, patch: Patch) -> None:
    base = root / "clevr/CLEVR_v1.0"
    for split in ("train", "val", "test"):
        scenes = []
        for index, objects in enumerate((5, 3)):
            write_picture(base / "images" / split / f"{index}.png", 10 + index)
            scenes.append({"image_filename": f"{index}.png", "objects": [{}] * objects})
        write_text(base / f"scenes/CLEVR_{split}_scenes.json", json.dumps({"scenes": scenes}))


def country211(root: Path, patch: Patch) -> None:
    for split in ("train", "valid", "test"):
        for gray, name in enumerate(("AD", "AE")):
            write_picture(root / "country211" / split / name / "1.jpg", gray)


def dtd(root: Path, patch: Patch) -> None:
    for number, split in enumerate(("train", "val", "test")):
        names = [f"{name}/{name}_{number}.jpg" for name in ("banded", "dotted")]
        for index, name in enumerate(names):
            write_picture(root / "dtd/dtd/images" / name, 10 * number + index)
        write_text(root / f"dtd/dtd/labels/{split}1.txt", *names)


def eurosat(root: Path, patch: Patch) -> None:
    for gray, name in enumerate(("Forest", "River")):
        write_picture(root / "eurosat/2750" / name / f"{name}_1.jpg", gray)


def fer2013(root: Path, patch: Patch) -> None:
    pixels = " ".join(["7"] * 48 * 48)
    train = write_text(root / "fer2013/train.csv", "emotion,pixels", f"0,{pixels}", f"6,{pixels}")
    test = write_text(root / "fer2013/test.csv", "pixels", pixels)
    sums = {
        **datasets.FER2013._RESOURCES,
        "train": ("train.csv", train),
        "test": ("test.csv", test),
    }
    patch.setattr(datasets.FER2013, "_RESOURCES", sums)


def aircraft(root: Path, patch: Patch) -> None:
    data = root / "fgvc-aircraft-2013b/data"
    write_text(data / "variants.txt", "707-320", "A 310")
    for number, split in enumerate(("train", "val", "test")):
        for index in (0, 1):
            write_picture(data / f"images/{number}{index}.jpg", 10 * number + index)
        lines = (f"{number}0 A 310", f"{number}1 707-320")
        write_text(data / f"images_variant_{split}.txt", *lines)


def gtsrb(root: Path, patch: Patch) -> None:
    base = root / "gtsrb"
    for index in range(43):
        write_ppm(base / "GTSRB/Training" / f"{index:05}" / "1.ppm", index)
    write_ppm(base / "GTSRB/Final_Test/Images/1.ppm", 99)
    write_text(base / "GT-final_test.csv", "Filename;ClassId", "1.ppm;10")


def write_ppm(path: Path, gray: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"P6 2 2 255\n" + bytes([gray] * 12))


def imagenette(root: Path, patch: Patch) -> None:
    for split in ("train", "val"):
        for gray, wnid in enumerate(("n01440764", "n02102040")):
            write_picture(root / "imagenette2" / split / wnid / f"{split}.JPEG", gray)


def lfw(root: Path, patch: Patch) -> None:
    base = root / "lfw-py"
    kind = datasets.LFWPeople
    names = write_text(base / "lfw-names.txt", "Ada_L\t1", "Bob_M\t2")
    people = write_text(base / "people.txt", "2", "1", "Bob_M\t2", "1", "Ada_L\t1")
    folder, archive, _ = kind.file_dict["funneled"]
    whole = (folder, archive, write_text(base / archive, "archive"))
    patch.setattr(kind, "file_dict", {**kind.file_dict, "funneled": whole})
    patch.setattr(kind, "checksums", {"lfw-names.txt": names, "people.txt": people})
    for name, number in (("Ada_L", 1), ("Bob_M", 1), ("Bob_M", 2)):
        write_picture(base / folder / name / f"{name}_{number:04}.jpg", number)


def omniglot(root: Path, patch: Patch) -> None:
    base = root / "omniglot-py"
    zipped = write_text(base / "images_background.zip", "archive")
    patch.setattr(datasets.Omniglot, "zips_md5", {"images_background": zipped})
    for gray, name in enumerate(
        ("Tibetan/character02", "Greek/character01", "Tibetan/character01")
    ):
        write_picture(base / "images_background" / name / f"{gray}.png", 10 * gray)


def pets(root: Path, patch: Patch) -> None:
    base = root / "oxford-iiit-pet"
    for number, split in enumerate(("trainval", "test")):
        names = (f"Abyssinian_{number}", f"great_pyrenees_{number}")
        for gray, name in enumerate(names):
            write_picture(base / "images" / f"{name}.jpg", gray)
        lines = [f"{name} {label} 1 1" for label, name in enumerate(names, 1)]
        write_text(base / "annotations" / f"{split}.txt", *lines)


def pcam(root: Path, patch: Patch) -> None:
    import h5py

    (root / "pcam").mkdir(parents=True)
    for split in datasets.PCAM._FILES.values():
        with h5py.File(root / "pcam" / split["images"][0], "w") as file:  # type: ignore[index]
            file["x"] = np.full((2, 96, 96, 3), 9, np.uint8)
        with h5py.File(root / "pcam" / split["targets"][0], "w") as file:  # type: ignore[index]
            file["y"] = np.array([1, 0], np.uint8).reshape(2, 1, 1, 1)


def places365(root: Path, patch: Patch) -> None:
    kind = datasets.Places365
    lists = {
        "train-standard": ("/a/airfield/1.jpg 1", "/a/abbey/1.jpg 0"),
        "val": ("Places365_val_1.jpg 1",),
    }
    names = write_text(root / "categories_places365.txt", "/a/abbey 0", "/a/airfield 1")
    patch.setattr(kind, "_CATEGORIES_META", ("categories_places365.txt", names))
    sums = dict(kind._FILE_LIST_META)
    for split, lines in lists.items():
        file = kind._FILE_LIST_META[split][0]
        sums[split] = (file, write_text(root / file, *lines))
        folder = "data_256_standard" if split.startswith("train") else "val_256"
        for gray, line in enumerate(lines):
            write_picture(root / folder / line.split()[0].lstrip("/"), gray)
    patch.setattr(kind, "_FILE_LIST_META", sums)


def qmnist(root: Path, patch: Patch) -> None:
    raw = root / "QMNIST/raw"
    raw.mkdir(parents=True)
    for split in ("train", "test"):
        pixels = struct.pack(">IIII", 0x0803, 3, 28, 28) + bytes([5] * 3 * 784)
        (raw / f"qmnist-{split}-images-idx3-ubyte").write_bytes(pixels)
        rows = [value for digit in (9, 0, 4) for value in (digit, 4, 0, 0, 0, 0, 0, 0)]
        labels = struct.pack(">III24i", 0x0C02, 3, 8, *rows)
        (raw / f"qmnist-{split}-labels-idx2-int").write_bytes(labels)


def sst2(root: Path, patch: Patch) -> None:
    for split in ("train", "valid", "test"):
        for gray, name in enumerate(("negative", "positive")):
            write_picture(root / "rendered-sst2" / split / name / "1.png", gray)


def semeion(root: Path, patch: Patch) -> None:
    lines = []
    for digit in range(10):
        one_hot = ["1" if digit == index else "0" for index in range(10)]
        lines.append(" ".join(["1.0000"] * 256 + one_hot))
    patch.setattr(datasets.SEMEION, "md5_checksum", write_text(root / "semeion.data", *lines))


def cars(root: Path, patch: Patch) -> None:
    base = root / "stanford_cars"
    (base / "devkit").mkdir(parents=True)
    savemat(base / "devkit/cars_meta.mat", {"class_names": np.array(["Audi", "BMW"], object)})
    kind = np.dtype([("fname", object), ("class", np.uint8)])
    tables = {"train": "devkit/cars_train_annos.mat", "test": "cars_test_annos_withlabels.mat"}
    for split, path in tables.items():
        rows = np.array([("1.jpg", 2), ("2.jpg", 1)], kind)
        savemat(base / path, {"annotations": rows})
        for gray in (1, 2):
            write_picture(base / f"cars_{split}" / f"{gray}.jpg", gray)


def sun397(root: Path, patch: Patch) -> None:
    write_text(root / "SUN397/ClassName.txt", "/a/abbey", "/z/zoo/outdoor")
    write_picture(root / "SUN397/z/zoo/outdoor/sun_b.jpg", 2)
    write_picture(root / "SUN397/a/abbey/sun_a.jpg", 1)


def usps(root: Path, patch: Patch) -> None:
    root.mkdir(parents=True)
    for file in ("usps.bz2", "usps.t.bz2"):
        lines = [
            f"{digit + 1} " + " ".join(f"{i}:-1" for i in range(1, 257)) for digit in range(10)
        ]
        (root / file).write_bytes(bz2.compress("\n".join(lines).encode()))


@pytest.mark.parametrize(
    ("name", "write", "classes", "targets", "counts"),
    [
        ("Caltech101", caltech101, ("ant", "bonsai"), [0, 1], (2, 0, 0)),
        ("Caltech256", caltech256, ("001.ak47", "002.flag"), [0, 1], (2, 0, 0)),
        ("CLEVRClassification", clevr, ("3", "5"), [1, 0], (2, 2, 0)),
        ("Country211", country211, ("AD", "AE"), [0, 1], (2, 2, 2)),
        ("DTD", dtd, ("banded", "dotted"), [0, 1], (2, 2, 2)),
        ("EuroSAT", eurosat, ("Forest", "River"), [0, 1], (2, 0, 0)),
        ("FER2013", fer2013, None, [0, 1], (2, 0, 0)),
        ("FGVCAircraft", aircraft, ("707-320", "A 310"), [1, 0], (2, 2, 2)),
        ("GTSRB", gtsrb, None, list(range(43)), (43, 0, 1)),
        ("Imagenette", imagenette, ("tench", "English springer"), [0, 1], (2, 2, 0)),
        ("LFWPeople", lfw, ("Ada_L", "Bob_M"), [0, 1, 1], (3, 0, 0)),
        ("Omniglot", omniglot, None, [0, 1, 2], (3, 0, 0)),
        ("OxfordIIITPet", pets, ("Abyssinian", "Great Pyrenees"), [0, 1], (2, 0, 2)),
        ("PCAM", pcam, ("0", "1"), [1, 0], (2, 2, 2)),
        ("Places365", places365, ("/a/abbey", "/a/airfield"), [0, 1], (2, 1, 0)),
        ("QMNIST", qmnist, None, [9, 0, 4], (3, 0, 3)),
        ("RenderedSST2", sst2, ("negative", "positive"), [0, 1], (2, 2, 2)),
        ("SEMEION", semeion, tuple("0123456789"), list(range(10)), (10, 0, 0)),
        ("StanfordCars", cars, ("Audi", "BMW"), [1, 0], (2, 0, 2)),
        ("SUN397", sun397, ("abbey", "zoo/outdoor"), [0, 1], (2, 0, 0)),
        ("USPS", usps, tuple("0123456789"), list(range(10)), (10, 0, 10)),
    ],
)
def test_every_class_is_read(
    name: str,
    write: Callable[[Path, Patch], None],
    classes: tuple[str, ...] | None,
    targets: list[int],
    counts: tuple[int, int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(tmp_path / "root", monkeypatch)
    found = torchvision_sets.read(name.lower(), [tmp_path / "nowhere", tmp_path / "root"], OFFLINE)
    check(found)
    parts = (found.train, found.validation, found.test)
    assert tuple(0 if part is None else len(part) for part in parts) == counts
    assert found.train.targets.tolist() == targets
    if classes is not None:
        assert found.train.classes == classes
    assert not (tmp_path / "nowhere").exists()


def test_every_supported_class_is_tested() -> None:
    (mark,) = [
        mark
        for mark in test_every_class_is_read.pytestmark  # type: ignore[attr-defined]
        if mark.name == "parametrize"
    ]
    assert {row[0] for row in mark.args[1]} == set(torchvision_sets.SETS)


def test_files_are_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dtd(tmp_path, monkeypatch)
    found = torchvision_sets.read("DTD", [tmp_path], OFFLINE)
    assert isinstance(found.train, FilePictures)
    folder = "dtd/dtd/images"
    assert found.train.names == (f"{folder}/banded/banded_0.jpg", f"{folder}/dotted/dotted_0.jpg")
    assert [level(found.train, index) for index in (0, 1)] == [0, 1]


def test_the_order_is_not_the_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    omniglot(tmp_path, monkeypatch)
    found = torchvision_sets.read("Omniglot", [tmp_path], OFFLINE)
    assert found.train.classes == (
        "Greek/character01",
        "Tibetan/character01",
        "Tibetan/character02",
    )
    assert [level(found.train, index) for index in range(3)] == [10, 20, 0]


def test_pictures_in_memory_come_from_the_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    semeion(tmp_path, monkeypatch)
    found = torchvision_sets.read("SEMEION", [tmp_path], OFFLINE)
    assert isinstance(found.train, DatasetPictures)
    assert found.train.at([3]).picture(0).shape == (1, 16, 16)
    assert found.train.names[3] == "torchvision/SEMEION/train/00003"


def test_torchvision_has_every_class() -> None:
    assert {name for name in torchvision_sets.SETS if not hasattr(datasets, name)} == set()
    assert {name for name in torchvision_sets.NAMED if not hasattr(datasets, name)} == set()


@pytest.mark.parametrize(
    "name",
    [
        "CocoDetection",
        "VOCSegmentation",
        "Kinetics",
        "FlyingChairs",
        "CelebA",
        "UCF101",
        "nonsense",
    ],
)
def test_other_kinds_of_sets_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no set of labelled pictures") as caught:
        torchvision_sets.read(name, [], ONLINE)
    assert "DTD" in caught.value.hint


def test_a_misspelt_class_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match=r"Did you mean torchvision/OxfordIIITPet\?"):
        torchvision_sets.read("oxfordIIIpet", [], ONLINE)
    with pytest.raises(UsageError, match="source folder"):
        torchvision_sets.read("ImageFolder", [], ONLINE)


def test_looking_makes_no_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    for name in torchvision_sets.SETS:
        with pytest.raises(DataError, match="zoo is offline") as caught:
            torchvision_sets.read(name, [tmp_path], OFFLINE)
        assert str(tmp_path) in caught.value.message
        assert list(tmp_path.iterdir()) == [], name


class Downloaded:
    """A stand-in for torchvision's downloader: noisy, and half done when it fails."""

    fails = False
    announced = False

    def __init__(self, lines: list[str], expected: dict[str, bytes]) -> None:
        self.lines, self.expected = lines, expected

    def __call__(self, dataset: Any) -> None:
        assert self.lines, "announced first"
        print("Downloading")
        print("100%", file=sys.stderr)
        for name, content in self.expected.items():
            path = Path(dataset.root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            if self.fails:
                raise RuntimeError("File not found or corrupted.")


def test_what_is_not_here_is_downloaded_by_torchvision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from zoo.downloads import Downloads

    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    eurosat(tmp_path / "server", monkeypatch)
    files = {
        str(path.relative_to(tmp_path / "server")): path.read_bytes()
        for path in (tmp_path / "server").rglob("*.jpg")
    }
    lines: list[str] = []
    downloader = Downloaded(lines, files)
    monkeypatch.setattr(datasets.EuroSAT, "download", lambda self: downloader(self))
    downloads = Downloads(False, lines.append, lambda *_: None)
    root = tmp_path / "cache/data/torchvision/EuroSAT"

    downloader.fails = True
    with pytest.raises(DataError, match="File not found or corrupted"):
        torchvision_sets.read("EuroSAT", [], downloads)
    assert list(root.parent.iterdir()) == []

    downloader.fails = False
    found = torchvision_sets.read("EuroSAT", [], downloads)
    check(found)
    assert "torchvision downloads EuroSAT (size unknown) from" in lines[0]
    assert str(root) in lines[0]
    assert found.train.names[0] == "eurosat/2750/Forest/Forest_1.jpg"
    assert list(root.parent.iterdir()) == [root]
    assert capfd.readouterr() == ("", "")
    assert torchvision_sets.fetch("eurosat", OFFLINE).bytes == 0  # it is complete
    assert torchvision_sets.read("EuroSAT", [], OFFLINE).train.names == found.train.names


def test_what_torchvision_can_not_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    for name, reason in (("FER2013", "can't download"), ("StanfordCars", "URL is broken")):
        with pytest.raises(DataError, match=reason) as caught:
            torchvision_sets.read(name, [], ONLINE)
        assert "--data DIR" in caught.value.hint


def test_a_label_out_of_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cars(tmp_path, monkeypatch)
    meta = tmp_path / "stanford_cars/devkit/cars_meta.mat"
    savemat(meta, {"class_names": np.array(["Audi", "BMW", "VW"], object)[:2]})
    rows = np.array([("1.jpg", 3), ("2.jpg", 1)], [("fname", object), ("class", np.uint8)])
    savemat(tmp_path / "stanford_cars/devkit/cars_train_annos.mat", {"annotations": rows})
    with pytest.raises(DataError, match="the label 2 of 2"):
        torchvision_sets.read("StanfordCars", [tmp_path], OFFLINE)
