"""Decoding a source's pictures: once, in parallel, into one tensor that is kept on disk."""

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cache as cache_once
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from zoo.data import cache
from zoo.data.decode import BadPictureError
from zoo.data.fit import fit
from zoo.data.fitted import Fitted
from zoo.data.memory import available_bytes
from zoo.data.pictures import ArrayPictures, FilePictures, Pictures, as_text, on_one_line
from zoo.errors import DataError, DiskError
from zoo.files import disk_errors, write_text
from zoo.schema import Preprocessing

T = TypeVar("T")
Progress = Callable[[int, int], object]
"""Called with the pictures done and those in all."""

# Beyond this share of what is free, the system would begin to swap pictures out.
_SHARE_OF_MEMORY = 0.5
# Arrays smaller than 16 MB are fitted sooner than read; beyond 2 GB they would fill disks.
_WORTH_A_CACHE = range(1 << 24, 1 << 31)
_CHUNK = 1024  # pictures of an array fitted at once
_WINDOW = 4096  # pictures that wait for a thread
_SHOWN = 20  # bad pictures that a message names; the JSON has all


@dataclass(frozen=True)
class Bad:
    """A picture that can't be read."""

    name: str
    path: str
    reason: str


@dataclass(frozen=True)
class Gathered:
    """A source's pictures, fitted or ready to be, the bad ones left out."""

    fitted: Fitted
    digests: Callable[[], list[str]]
    """The content hash of each picture; computed when it is first asked for."""
    bad: tuple[Bad, ...] = ()


@dataclass(frozen=True)
class Settings:
    """How to gather."""

    in_memory: bool | None = None
    """None asks the machine."""
    workers: int | None = None
    progress: Progress = lambda _done, _total: None


def gather(pictures: Pictures, preprocessing: Preprocessing, settings: Settings) -> Gathered:
    """All pictures of a source that can be decoded, and the names of those that can't.

    Raises:
        DiskError: a file can't be read.
    """
    if not len(pictures):
        shape = (0, preprocessing.channels, *preprocessing.size)
        nothing = Fitted.in_memory(torch.empty(shape, dtype=torch.uint8), pictures)
        return Gathered(nothing, list)
    in_memory = settings.in_memory
    if in_memory is None:
        in_memory = _bytes(pictures, preprocessing) <= _SHARE_OF_MEMORY * available_bytes()
    if isinstance(pictures, ArrayPictures):
        return _gather_array(pictures, preprocessing, in_memory=in_memory)
    scan = _Scan(pictures, preprocessing, settings)
    if in_memory:
        images = scan.images()
        fitted = Fitted.in_memory(images, pictures)
    else:
        scan.check()
        fitted = Fitted.decoded(pictures, preprocessing, _workers(settings.workers))
    kept = [index for index in range(len(pictures)) if index not in scan.bad]
    if scan.bad:
        fitted = fitted.at(kept)
    digests = [scan.digests[index] for index in kept]
    return Gathered(fitted, lambda: digests, tuple(scan.bad.values()))


def in_parallel(pictures: Pictures, work: Callable[[int], T], settings: Settings) -> list[T]:
    """What `work` gives for each picture's index, in order."""
    # A torchvision dataset may hold one open file, which threads would seek in at once.
    workers = settings.workers if isinstance(pictures, FilePictures) else 1
    return over_threads(len(pictures), work, workers, settings.progress)


def over_threads(
    total: int,
    work: Callable[[int], T],
    workers: int | None = None,
    progress: Progress = lambda _done, _total: None,
) -> list[T]:
    """What `work` gives for each index, in order.

    Threads suffice, for decoders release Python's lock.

    Args:
        total: how many indices.
        work: called with each, in any thread.
        workers: threads; None is one for each core.
        progress: follows it.
    """
    results = list[T]()
    workers = _workers(workers)
    before = torch.get_num_threads()
    with ExitStack() as stack:
        # Each picture is small: threads inside its operations only get in the way.
        stack.callback(torch.set_num_threads, before)
        torch.set_num_threads(1)
        done_in_order: Iterator[T] = map(work, range(total))
        if workers > 1 and total > 1:
            pool = stack.enter_context(ThreadPoolExecutor(workers))
            # What is raised here, such as Ctrl-C, must not wait for thousands of pictures.
            stack.callback(pool.shutdown, wait=False, cancel_futures=True)
            done_in_order = _in_windows(pool, work, total)
        for done, result in enumerate(done_in_order, start=1):
            results.append(result)
            progress(done, total)
    return results


def _in_windows(pool: ThreadPoolExecutor, work: Callable[[int], T], total: int) -> Iterator[T]:
    """As pool.map does it, but without a task in memory for each of a million pictures."""
    for start in range(0, total, _WINDOW):
        yield from pool.map(work, range(start, min(start + _WINDOW, total)))


def refused(bad: Sequence[Bad], total: int) -> DataError:
    """What to raise where bad pictures are not to be left out.

    Args:
        bad: all of them; the error's results have each, its message the first twenty.
        total: how many pictures there are.
    """
    lines = [f"  {on_one_line(one.path)}: {one.reason}" for one in bad[:_SHOWN]]
    if len(bad) > _SHOWN:
        lines.append(f"  … and {len(bad) - _SHOWN:,} more; --json lists them all")
    return DataError(
        "\n".join([f"{len(bad):,} of {total:,} pictures can't be read:", *lines]),
        hint="Mend or remove them, or leave them out with --on-bad skip.",
        results={"bad": [vars(one) for one in bad]},
    )


def _gather_array(
    pictures: ArrayPictures, preprocessing: Preprocessing, *, in_memory: bool
) -> Gathered:
    if in_memory:
        fitted = Fitted.in_memory(_fitted_array(pictures, preprocessing), pictures)
    else:
        fitted = Fitted.on_the_way(pictures, preprocessing)
    digests = cache_once(lambda: [pictures.digest(index) for index in range(len(pictures))])
    return Gathered(fitted, digests)


def _fitted_array(pictures: ArrayPictures, preprocessing: Preprocessing) -> Tensor:
    """(N, C, H, W), uint8: from the cache where that is worth it."""
    shape = (len(pictures), preprocessing.channels, *preprocessing.size)
    if math.prod(shape) in _WORTH_A_CACHE:
        path = cache.place(f"{cache.key_of_array(pictures, preprocessing)}.u8")
        with suppress(DiskError):  # no room for a cache: memory it is
            if not path.is_file() or path.stat().st_size != math.prod(shape):
                with cache.reserved(path, shape) as file:
                    _fit_into(torch.from_numpy(file), pictures, preprocessing)
            return cache.mapped(path, shape)
    images = torch.empty(shape, dtype=torch.uint8)
    _fit_into(images, pictures, preprocessing)
    return images


def _fit_into(images: Tensor, pictures: ArrayPictures, preprocessing: Preprocessing) -> None:
    parts = zip(torch.split(images, _CHUNK), torch.split(pictures.images, _CHUNK), strict=True)
    for part, chunk in parts:
        part.copy_(fit(chunk, preprocessing))


@dataclass
class _Scan:
    """Reads every picture once, or what an earlier run kept of it."""

    pictures: Pictures
    preprocessing: Preprocessing
    settings: Settings
    digests: list[str] = field(default_factory=list)
    """Empty for a bad picture."""
    bad: dict[int, Bad] = field(default_factory=dict)

    def images(self) -> Tensor:
        """(N, C, H, W), uint8: from the cache, or decoded and put there where it fits."""
        shape = (len(self.pictures), self.preprocessing.channels, *self.preprocessing.size)
        key = cache.key_of_files(self.pictures, self.preprocessing)
        if key is None:
            return self._decoded(shape)
        path = cache.place(f"{key}.u8")
        size = math.prod(shape)
        if not self._known(path, size):
            try:
                with cache.reserved(path, shape) as images:
                    self._decode_into(images)
                self._keep(path)
            except DiskError:  # no room for a cache: memory it is
                return self._decoded(shape)
        return cache.mapped(path, shape)

    def _decoded(self, shape: tuple[int, ...]) -> Tensor:
        images = np.zeros(shape, np.uint8)
        self._decode_into(images)
        return torch.from_numpy(images)

    def check(self) -> None:
        """Digests and bad pictures alone; the pictures are not kept."""
        key = cache.key_of_files(self.pictures, self.preprocessing)
        path = None if key is None else cache.place(f"{key}.checked")
        if path is not None and self._known(path, 0):
            return
        self._decode_into(None)
        if path is not None:
            try:
                with disk_errors("make", path.parent):
                    path.parent.mkdir(parents=True, exist_ok=True)
                write_text(path, "")
                self._keep(path)
            except DiskError:
                return

    def _decode_into(
        self, images: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None"
    ) -> None:
        total = len(self.pictures)
        self.digests, self.bad = [""] * total, {}

        def one(index: int) -> None:
            try:
                picture, self.digests[index] = self.pictures.read(index)
                if images is not None:
                    images[index] = fit(picture[None], self.preprocessing)[0].numpy()
            except (BadPictureError, DiskError) as error:
                self.bad[index] = Bad(
                    self.pictures.names[index], path_of(self.pictures, index), error.message
                )

        in_parallel(self.pictures, one, self.settings)
        self.bad = dict(sorted(self.bad.items()))

    def _keep(self, path: Path) -> None:
        document = {
            "digests": self.digests,
            "bad": {index: vars(one) for index, one in self.bad.items()},
        }
        write_text(path.with_suffix(".json"), json.dumps(document))

    def _known(self, path: Path, size: int) -> bool:
        """Takes what an earlier run kept; anything unexpected is as good as nothing."""
        try:
            document = json.loads(path.with_suffix(".json").read_text())
            is_whole = path.stat().st_size == size
            digests = [str(digest) for digest in document["digests"]]
            bad = {int(index): Bad(**one) for index, one in document["bad"].items()}
            unread = {index for index, digest in enumerate(digests) if not digest}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return False
        if len(digests) != len(self.pictures) or unread != bad.keys() or not is_whole:
            return False
        self.digests, self.bad = digests, bad
        return True


def _bytes(pictures: Pictures, preprocessing: Preprocessing) -> int:
    height, width = preprocessing.size
    return len(pictures) * preprocessing.channels * height * width


def _workers(workers: int | None) -> int:
    if workers is not None:
        return workers
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def path_of(pictures: Pictures, index: int) -> str:
    """The file of one picture, or what its source calls it."""
    if isinstance(pictures, FilePictures):
        return as_text(str(pictures.paths[index]))
    return pictures.names[index]
