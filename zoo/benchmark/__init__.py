"""How fast models are, and what they cost: side by side, under the same noise.

`Benchmark.open` opens every model in every format and arithmetic, `run` times them in turns. What
was measured so far is in `rows` at any moment, also when it is interrupted.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from zoo import devices, modelfile
from zoo.benchmark.ceiling import Ceiling
from zoo.benchmark.contestants import (
    IN_FILES,
    Contestant,
    check_names,
    contestants,
    random_images,
)
from zoo.benchmark.memory import Job, peak_bytes
from zoo.benchmark.request import Request as Request
from zoo.benchmark.row import Key, key_of
from zoo.benchmark.row import Row as Row
from zoo.errors import OutOfMemoryError, UsageError, is_out_of_memory
from zoo.evaluation import Shown, open_split
from zoo.modelfile import Source
from zoo.precision import Precision
from zoo.timing import Pass, Times, Turns
from zoo.wording import plural

_SHARE_OF_CEILINGS = 0.05
"""Of the time, for each arithmetic: a ceiling is measured under the same noise as all else."""


@dataclass
class _Lane:
    """A row to be: what is timed, and what is known of it besides."""

    contestant: Contestant
    batch_size: int
    times: Times
    peak_memory_bytes: int | None = None


class Benchmark:
    """Measures what a request asks for."""

    def __init__(self, request: Request) -> None:
        """Opens nothing yet.

        Raises:
            UsageError: there is no such format or arithmetic, or something is named twice.
        """
        check_names(request)
        devices.use_threads(request.threads)
        devices.keep_freed_memory()
        self.request = request
        self.threads = torch.get_num_threads()
        self.ceilings: dict[Precision, Ceiling] = {}
        """How fast matrices are multiplied, in each arithmetic."""
        self.too_large: list[str] = []
        """What did not fit into memory, and has no row or no figure of its memory."""
        self.turns: Turns | None = None
        """The timing, once it has begun."""
        self._lanes: list[_Lane] = []
        self._top1: dict[Contestant, float] = {}
        self._contestants: list[Contestant] = []
        self.judged_by: dict[str, Shown] = {}
        """The pictures that the accuracy of each model is of, by its name."""
        self._unjudged: list[str] = []
        """Models whose 8-bit files are calibrated on the pictures, and that have no accuracy."""

    def open(self) -> None:
        """Opens the pictures, and every model, which may be exported for that.

        Raises:
            NotFoundError: a MODEL is nothing.
            UsageError: the pictures can't judge a model, an extra is missing, an option does not
                apply, or a format can't express a network.
            DataError: the pictures are missing or bad.
            ModelFileError: a file is refused or corrupt.
            ThresholdError: an exported file does not answer as its network does.
            OutOfMemoryError: a model does not fit.
        """
        self.judged_by = self._pictures()
        self._contestants = list(contestants(self.request))

    def run(self) -> Iterator[str]:
        """Measures all, and before each part yields what it will be, for people."""
        if self.judged_by:
            judged = [one for one in self._contestants if one.name in self.judged_by]
            yield f"accuracy of {plural(len(judged), 'network')}"
            for one in judged:
                self._top1[one] = self.judged_by[one.name].figures_in(one.runtime).top1
        count = len(self._contestants) * len(self.request.batch_sizes)
        yield (
            f"latency: {plural(count, 'row')}, until every median is known within "
            f"±{100 * self.request.goal.spread:g} % or {self.request.goal.seconds:g} s a row are up"
        )
        with torch.inference_mode():
            self._time()
        if self.request.with_memory:
            yield f"peak memory: {plural(count, 'process', 'processes')}, one after the other"
            for lane in self._lanes:
                self._measure_memory(lane)

    @property
    def rows(self) -> list[Row]:
        """Those that were timed at least once, in the order of the request."""
        return [self._row(lane) for lane in self._lanes if lane.times.medians_ms]

    @property
    def keys(self) -> set[Key]:
        """Of all rows that will be measured, once the models are open."""
        return {
            key_of(one.name, one.format, one.runtime.arithmetic, size, self.threads)
            for one in self._contestants
            for size in self.request.batch_sizes
        }

    @property
    def settled(self) -> bool:
        """Whether every median is known as well as was asked for."""
        return self.turns is not None and self.turns.settled

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of the figures."""
        notes = [note for shown in self.judged_by.values() for note in shown.notes]
        notes += [note for one in self._contestants for note in one.notes]
        notes += [
            f"{name} has nothing trained in it: the pictures calibrate its onnx-int8 file, which "
            "is not checked, and accuracy is left out"
            for name in self._unjudged
        ]
        fixed = dict.fromkeys(one.format for one in self._contestants if one.format != "torch")
        if fixed and set(self.request.precisions) - IN_FILES:
            notes.append(
                f"{' and '.join(fixed)}: the arithmetic is in the file, whatever --precision"
            )
        return tuple(dict.fromkeys(notes))

    @property
    def machine(self) -> dict[str, Any]:
        """What else must be the same where figures are compared."""
        used = dict.fromkeys(one.device for one in self._contestants)
        return {
            "processor": " and ".join(devices.kind_of(device) for device in used),
            "threads": self.threads,
            "torch": torch.__version__,
        }

    def _pictures(self) -> dict[str, Shown]:
        if not self.request.has_pictures:
            return {}
        sources = [modelfile.resolve(model, exported=True) for model in self.request.models]
        judged = []
        for source in sources:
            if source.path is not None and source.description.is_trained:
                judged.append(source)
            elif source.exported is None and "onnx-int8" in (self.request.formats or ()):
                self._unjudged.append(source.name)
            else:
                raise UsageError(
                    f"{source.name} has nothing trained in it whose accuracy could be measured.",
                    hint=f"zoo train {shlex.quote(source.name)}",
                )
        return {source.name: self._shown(source) for source in judged}

    def _shown(self, source: Source) -> Shown:
        return open_split(
            source,
            recipe_name=self.request.recipe,
            data_directory=self.request.data,
            downloads=self.request.downloads,
            progress=self.request.progress,
        )

    def _time(self) -> None:
        """Times all in turns; what does not fit into memory is left out."""
        ready: list[tuple[Contestant, int, Pass]] = []
        for one in self._contestants:
            for size in self.request.batch_sizes:
                try:
                    ready.append((one, size, _pass(one, size)))
                except Exception as error:
                    self._note_too_large(one, size, error)
        self.turns = Turns([run for *_, run in ready], self.request.goal, seed=self.request.seed)
        self._lanes = [
            _Lane(one, size, times)
            for (one, size, _), times in zip(ready, self.turns.times, strict=True)
        ]
        for arithmetic in dict.fromkeys(one.runtime.precision for one in self._contestants):
            self.ceilings[arithmetic] = Ceiling(arithmetic)
        for _ in self.turns.rounds():
            for product in self.ceilings.values():
                if product.seconds < _SHARE_OF_CEILINGS * self.turns.seconds:
                    product.sample()

    def _measure_memory(self, lane: _Lane) -> None:
        one = lane.contestant
        job = Job(
            one.file,
            one.format,
            one.runtime.precision.name,
            str(one.device),
            self.threads,
            lane.batch_size,
        )
        try:
            lane.peak_memory_bytes = peak_bytes(job)
        except OutOfMemoryError as error:
            self._note_too_large(one, lane.batch_size, error)

    def _note_too_large(self, one: Contestant, batch_size: int, error: Exception) -> None:
        if not (isinstance(error, OutOfMemoryError) or is_out_of_memory(error)):
            raise error
        self.too_large.append(f"{one}, {plural(batch_size, 'picture')} at a time")

    def _row(self, lane: _Lane) -> Row:
        one, times = lane.contestant, lane.times
        per_second = 1000 * lane.batch_size / times.median_ms
        highest = None
        if one.has_ceiling:
            highest = self.ceilings[one.runtime.precision].mult_adds_per_second
        return Row(
            model=one.name,
            format=one.format,
            precision=one.runtime.arithmetic,
            batch_size=lane.batch_size,
            latency_ms=times.median_ms,
            interval_ms=times.interval_ms,
            spread=times.spread,
            p95_ms=times.p95_ms,
            images_per_second=per_second,
            passes=len(times.passes_ms),
            rounds=len(times.medians_ms),
            params=one.cost.params,
            mult_adds=one.cost.mult_adds,
            file_bytes=one.cost.file_bytes,
            peak_memory_bytes=lane.peak_memory_bytes,
            ceiling_share=per_second * one.cost.mult_adds / highest if highest else None,
            top1=self._top1.get(one),
            device=str(one.device),
            threads=self.threads,
        )


def _pass(one: Contestant, batch_size: int) -> Pass:
    """One forward pass of so many pictures, which has succeeded once."""
    prepared = one.runtime.prepare(random_images(one.runtime.source, batch_size))

    def run() -> None:
        one.runtime.run(prepared)
        one.runtime.precision.finish()

    run()
    return run
