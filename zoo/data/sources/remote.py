"""The named sets on the network: which files, from where, and how they lie in zoo's cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.archives import unpack
from zoo.downloads import Downloads, RemoteFile, format_bytes
from zoo.errors import DataError, UsageError, did_you_mean
from zoo.files import disk_errors
from zoo.places import cache_directory


@dataclass(frozen=True)
class Part:
    """One file of a set, and what becomes of it below the set's directory."""

    file: RemoteFile
    keeps: str
    """The path that is left of it: the file itself, or the folder of an archive."""
    folder: str | None = None
    """The folder of the archive that becomes `keeps`; None where the file is no archive."""

    def lies(self, root: Path) -> Path:
        """Where the download goes, below the set's directory."""
        return root / self.keeps if self.folder is None else root / self.file.name

    def is_unpacked(self, root: Path) -> bool:
        """Whether the folder is there; unpacking is one rename, so it is whole."""
        return self.folder is not None and (root / self.keeps).is_dir()

    def is_here(self, root: Path) -> bool:
        """Whether nothing needs to be downloaded."""
        target = self.lies(root)
        return self.is_unpacked(root) or (target.is_file() and self.file.matches(target))


@dataclass(frozen=True)
class Fetched:
    """A set that lies on this machine."""

    name: str
    path: Path
    files: tuple[str, ...]
    """Files and folders below the path."""
    bytes: int
    """Downloaded now; 0 where all was here."""


def _plain(dataset: str, bases: Sequence[str], *files: tuple[str, str, int]) -> tuple[Part, ...]:
    """Files that stay as they are: name, MD5 and bytes of each."""
    return tuple(
        Part(
            RemoteFile(name, tuple(base + name for base in bases), f"md5:{md5}", size, dataset),
            keeps=name,
        )
        for name, md5, size in files
    )


def _archive(dataset: str, url: str, md5: str, size: int, folder: str, keeps: str) -> Part:
    name = url.rpartition("/")[2]
    return Part(RemoteFile(name, (url,), f"md5:{md5}", size, dataset), keeps, folder)


def _flowers(name: str, md5: str) -> Part:
    file = RemoteFile(name, (_FLOWERS + name,), f"md5:{md5}", None, "flowers102")
    return Part(file, f"flowers-102/{name}")


_FLOWERS = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"

# MD5s are torchvision's; it takes them from the sets' authors. Sizes are what the servers state.
SETS: dict[str, tuple[Part, ...]] = {
    "mnist": _plain(
        "mnist",
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873", 9_912_422),
        ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432", 28_881),
        ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3", 1_648_877),
        ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c", 4_542),
    ),
    "fashion-mnist": _plain(
        "fashion-mnist",
        (
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
        ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe", 29_515),
        ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79", 4_422_102),
        ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310", 5_148),
    ),
    "kmnist": _plain(
        "kmnist",
        (
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        ),
        ("train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7", 18_165_135),
        ("train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344", 29_497),
        ("t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7", 3_041_136),
        ("t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134", 5_120),
    ),
    "emnist": (
        _archive(
            "emnist", "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
            "58c8d27c78d21e728a6bc7b3cc06412e", 561_753_746, "gzip", "gzip",
        ),
    ),
    "cifar10": (
        _archive(
            "cifar10", "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            "c58f30108f718f92721af3b95e74349a", 170_498_071,
            "cifar-10-batches-py", "cifar-10-batches-py",
        ),
    ),
    "cifar100": (
        _archive(
            "cifar100", "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
            "eb9058c3a382ffc7106e4002c42a8d85", 169_001_437,
            "cifar-100-python", "cifar-100-python",
        ),
    ),
    "svhn": _plain(
        "svhn",
        ("http://ufldl.stanford.edu/housenumbers/",),
        ("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373", 182_040_794),
        ("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3", 64_275_384),
    ),
    "stl10": (
        _archive(
            "stl10", "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
            "91f7769df0f17e558f3565bffb0c7dfb", 2_640_397_119, "stl10_binary", "stl10_binary",
        ),
    ),
    "flowers102": (
        _flowers("imagelabels.mat", "e0620be6f572b9609742df49c70aed4d"),
        _flowers("setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c"),
        _archive(
            "flowers102", _FLOWERS + "102flowers.tgz",
            "52808999861908f626f3c1f4e79d11fa", 344_862_509, "jpg", "flowers-102/jpg",
        ),
    ),
    "food101": (
        _archive(
            "food101", "http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz",
            "85eeb15f3717b99a5da872d97d918f87", 4_996_278_331, "food-101", "food-101",
        ),
    ),
}  # fmt: skip
"""What `zoo data fetch` can fetch, torchvision's own sets aside."""


def remote_files(name: str) -> list[RemoteFile]:
    """The files that a set is downloaded as.

    Raises:
        UsageError: no set of this name is downloaded.
    """
    if name not in SETS:
        raise UsageError(
            f"There is no set {name!r} to download. {did_you_mean(name, SETS)}".rstrip(),
            hint=f"zoo downloads {', '.join(SETS)}, and torchvision/NAME.",
        )
    return [part.file for part in SETS[name]]


def fetch_set(name: str, downloads: Downloads) -> Fetched:
    """Downloads what is missing of a set into zoo's cache, and unpacks it.

    Raises:
        UsageError: no set of this name is downloaded.
        DataError: offline, or no mirror gives a file.
        DiskError: the disk is full, or there is no permission.
    """
    remote_files(name)
    root = cache_directory() / "data" / name
    if downloads.offline:
        _check_complete(name, root)
    with downloads.alone(root):  # whoever waited here finds it complete
        downloaded = sum(_fetch(part, root, downloads) for part in SETS[name])
    return Fetched(name, root, tuple(part.keeps for part in SETS[name]), downloaded)


def find_or_fetch(
    name: str,
    places: Sequence[Path],
    layouts: Sequence[str],
    holds: Sequence[str],
    downloads: Downloads,
) -> Path:
    """The directory that holds a set: the first of the places', or else zoo's cache, filled.

    Args:
        name: of the set.
        places: to look in.
        layouts: directories below a place where the set usually lies, such as `food-101`.
        holds: what must be in the directory.
        downloads: used where no place has it.

    Raises:
        DataError: the set is not here and can't be downloaded.
    """
    found = find(places, layouts, holds)
    if found is None:
        found = find([fetch_or_explain(name, places, holds, downloads)], layouts, holds)
    if found is None:
        root = cache_directory() / "data" / name
        raise DataError(
            f"{root} lacks {' or '.join(holds)}.",
            hint=f"Remove {root}, then: zoo data fetch {name}",
        )
    return found


def find(places: Sequence[Path], layouts: Sequence[str], holds: Sequence[str]) -> Path | None:
    """The first directory, of the layouts in the places, that has all that it must hold."""
    for place in places:
        for layout in layouts:
            directory = place / layout
            if all((directory / wanted).exists() for wanted in holds):
                return directory
    return None


def fetch_or_explain(
    name: str, places: Sequence[Path], holds: Sequence[str], downloads: Downloads, advice: str = ""
) -> Path:
    """Zoo's directory of a set that no place has, downloaded.

    Args:
        name: of the set.
        places: where it was looked for.
        holds: what was looked for.
        downloads: may be offline.
        advice: a better way than downloading, such as a package.

    Raises:
        DataError: offline: it says where it was looked for, what to fetch and where to put it; or
            no mirror gives a file.
    """
    try:
        return fetch_set(name, downloads).path
    except DataError as error:
        if not downloads.offline:
            raise
        looked = "\n".join(f"  {place}" for place in places)
        raise DataError(
            f"{name} is not on this machine, and zoo is offline. Looked for {', '.join(holds)} "
            f"in:\n{looked}",
            hint=advice + error.hint,
        ) from error


def _check_complete(name: str, root: Path) -> None:
    """Refuses to go on without the network, and says what to fetch and where to put it."""
    missing = [part for part in SETS[name] if not part.is_here(root)]
    if missing:
        steps = "\n".join(f"  {part.file.urls[0]}\n    to {part.lies(root)}" for part in missing)
        raise DataError(
            f"{name} is not complete in {root}, and zoo is offline.",
            hint=f"Run `zoo data fetch {name}` online, or copy\n{steps}",
        )


def _fetch(part: Part, root: Path, downloads: Downloads) -> int:
    """Bytes downloaded for one part; 0 where it is here."""
    kept, target = root / part.keeps, part.lies(root)
    if part.is_unpacked(root):
        return 0
    was_here = part.is_here(root)
    if not was_here:
        downloads.get(part.file, target.parent)
    size = target.stat().st_size
    if part.folder is not None:
        downloads.announce(f"unpacking {target.name} ({format_bytes(size)}) to {kept}")
        unpack(target, kept, folder=part.folder)
        with disk_errors("remove", target):
            target.unlink(missing_ok=True)
    return 0 if was_here else size
