"""Exporting: files that other runtimes read, and the proof that they answer as the network does.

A format is one file here, as `job.Format` says, and one row of `FORMATS`.
"""

import os
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from zoo import modelfile
from zoo.data.fit import fit, normalize
from zoo.errors import OutputExistsError, ThresholdError, UsageError, ZooError, did_you_mean
from zoo.export import parity, pictures
from zoo.export.contract import classes_of, input_of
from zoo.export.job import Converted, Format, Job
from zoo.export.job import Wishes as Wishes
from zoo.export.network import Exportable, drop_auxiliary
from zoo.export.pictures import Chosen
from zoo.exported import Exported, Kind, Parity, container_of
from zoo.files import atomic_path, check_output_file, disk_errors
from zoo.heads import split_outputs
from zoo.modelfile import Source
from zoo.runtimes import onnx_files
from zoo.schema import Preprocessing

FORMATS: dict[Kind, tuple[str, str]] = {
    "onnx": ("zoo.export.onnx", ".onnx"),
    "onnx-int8": ("zoo.export.quantize", ".onnx"),
    "pt2": ("zoo.export.pt2", ".pt2"),
    "safetensors": ("zoo.export.tensors", ".safetensors"),
}
"""The module of each format, and how its files are called."""
DEFAULT: Kind = "onnx"
_OF_A_RUN = {"best.safetensors", "last.safetensors", "state.safetensors"}


@dataclass(frozen=True)
class Made:
    """A file that was exported."""

    path: Path
    data_path: Path | None
    """The weights, where they lie beside the file."""
    document: Exported
    settings: dict[str, Any]
    """Of the format alone."""
    runtime: str
    """What it was checked in."""
    largest: float | None
    """The largest output of the network that was compared, in absolute value."""
    output_shape: tuple[int, ...]
    """Without the batch."""
    notes: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Of all that was written."""
        parts = [self.path, *([self.data_path] if self.data_path is not None else [])]
        return sum(part.stat().st_size for part in parts)

    @property
    def input(self) -> dict[str, Any]:
        """What the file takes."""
        return input_of(self.document)

    @property
    def classes(self) -> list[str] | None:
        """Names in the order of the outputs; None where it gives features."""
        return classes_of(self.document.description)


def kind_of(format_name: Kind | None, output: Path) -> Kind:
    """The format that was asked for, else the one that the output is called after, else ONNX.

    Raises:
        UsageError: it is called after something else.
    """
    by_suffix = {suffix: kind for kind, (_, suffix) in reversed(FORMATS.items())}
    suffix = output.suffix.lower()
    if format_name is None and suffix and suffix not in by_suffix:
        raise UsageError(
            f"{output}: no format is called {suffix}. {did_you_mean(suffix, by_suffix)}".rstrip(),
            hint=f"Call it {', '.join(f'*{one}' for one in sorted(by_suffix))}, or say --format.",
        )
    return format_name or by_suffix.get(suffix, DEFAULT)


def export_file(
    model: str,
    output: Path,
    format_name: Kind | None = None,
    wishes: Wishes | None = None,
    *,
    force: bool = False,
) -> Made:
    """Writes MODEL for another runtime, checked in it: what differs is not written.

    Args:
        model: an architecture, a model file or a run.
        output: the file to write.
        format_name: None takes the output's suffix, else ONNX.
        wishes: everything else.
        force: replaces an existing output.

    Raises:
        NotFoundError: MODEL is nothing.
        OutputExistsError: the output exists and `force` is false.
        UsageError: an option does not apply, an extra is missing, the format can't express it, or
            the output is the model itself.
        ModelFileError: the model file is refused or corrupt.
        DataError: the pictures that were asked for are not here.
        ThresholdError: the file's answers differ from the network's.
        DiskError: the output can't be written.
    """
    wishes = wishes or Wishes()
    kind = kind_of(format_name, output)
    _check_suffix(kind, output)
    check_output_file(output, force=force, suffix=FORMATS[kind][1])
    source = modelfile.resolve(model)
    _check_spares_models(source, output)
    _check_wishes(source, wishes, kind)
    format_ = cast(Format, import_module(FORMATS[kind][0]))
    chosen = _chosen(source, wishes, kind, format_.IMAGES)  # before the work that would be lost
    job = _job(source, wishes)
    converted = format_.convert(job)
    data_path = _data_path(output, converted, force=force)
    if data_path is not None:
        _check_spares_models(source, data_path)
    stale = _stale_data(output) if data_path is None else None
    document = Exported(
        kind=kind,
        description=source.description,
        takes="pictures" if wishes.embed_preprocess else "normalized",
        gives=job.exportable.gives,
        **converted.fields,
    )
    with ExitStack() as stack:
        # What is entered last is renamed first: no model is seen before its weights are.
        path = stack.enter_context(atomic_path(output))
        data = stack.enter_context(atomic_path(data_path)) if data_path is not None else None
        checked = None
        if chosen is not None:
            converted.write(path, document, data, data.name if data is not None else "")
            checked = _checked(format_, path, job, chosen, str(output))
            document = document.model_copy(update={"parity": checked.parity})
        converted.write(path, document, data, data_path.name if data_path is not None else "")
    if stale is not None:
        with disk_errors("remove", stale):
            stale.unlink(missing_ok=True)
    return Made(
        path=output,
        data_path=data_path,
        document=document,
        settings=converted.settings,
        runtime=format_.RUNTIME,
        largest=checked.largest if checked is not None else None,
        output_shape=_output_shape(job.exportable, source),
        notes=(
            *source.description.all_notes,
            *converted.notes,
            *_notes(source, chosen, kind),
            *([f"{stale} was removed, the weights of the file replaced"] if stale else []),
        ),
    )


@dataclass(frozen=True)
class _Checked:
    parity: Parity
    largest: float


def _check_suffix(kind: Kind, output: Path) -> None:
    """Refuses a name that says another format."""
    others = [other for other, (_, suffix) in FORMATS.items() if suffix == output.suffix.lower()]
    if others and kind not in others:
        raise UsageError(
            f"{output} is called after the format {others[0]}, and {kind} is asked for.",
            hint=f"--format {others[0]}, or call it *{FORMATS[kind][1]}.",
        )


def _check_spares_models(source: Source, output: Path) -> None:
    """Refuses to put an export, which can't be trained on, in the place of what can."""
    if not output.exists():
        return
    is_source = source.path is not None and output.samefile(source.path)
    is_of_a_run = output.name in _OF_A_RUN and (output.parent / "run.json").is_file()
    if is_source or is_of_a_run:
        what = "the model itself" if is_source else "a run's own file"
        raise UsageError(
            f"{output} is {what}, and an export can't be trained on in its place.",
            hint="Give --output another name.",
        )


def _check_wishes(source: Source, wishes: Wishes, kind: Kind) -> None:
    if wishes.softmax and source.description.is_headless:
        raise UsageError(
            f"--softmax does not apply: {source.name} gives features and tells no classes apart."
        )
    if kind == "onnx-int8":
        return  # which takes pictures in any case
    if wishes.calibration_images is not None:
        raise UsageError("--calibration-images goes with --format onnx-int8.")
    if not wishes.checked and (wishes.recipe_name is not None or wishes.data is not None):
        flag = "--recipe" if wishes.recipe_name is not None else "--data"
        raise UsageError(f"{flag} chooses the pictures of the check that --no-check leaves out.")


def _job(source: Source, wishes: Wishes) -> Job:
    network = modelfile.instantiate(source).eval()
    drop_auxiliary(network, source.description)
    exportable = Exportable(
        network.requires_grad_(False),
        source.description,
        takes_pictures=wishes.embed_preprocess,
        gives_probabilities=wishes.softmax,
    )
    return Job(source, exportable, wishes)


def _data_path(output: Path, converted: Converted, *, force: bool) -> Path | None:
    """Where weights go that lie beside the file."""
    if not converted.has_data_file:
        return None
    # A link stays, and its target is written.
    model = Path(os.path.realpath(output)) if output.is_symlink() else output
    path = model.with_name(f"{model.name}.data")
    if os.path.lexists(path) and not force:
        raise OutputExistsError(
            f"{path} exists, where the weights would lie.", hint="Replace it with --force."
        )
    check_output_file(path, force=force)
    return path


def _stale_data(output: Path) -> Path | None:
    """The weights of an ONNX file that is to be replaced, where they are all in FILE.data."""
    data = Path(f"{os.path.realpath(output)}.data")
    try:
        if not data.is_file() or container_of(output) != "onnx":
            return None
        return data if onnx_files.external_files(output).keys() == {data} else None
    except ZooError:  # whatever it is, it is not known to be no use without FILE
        return None


def _chosen(source: Source, wishes: Wishes, kind: Kind, count: int) -> Chosen | None:
    """The pictures to check with; None where nothing is checked."""
    if not wishes.checked:
        return None
    return pictures.choose(
        source,
        count,
        recipe_name=wishes.recipe_name,
        data=wishes.data,
        is_calibrated=kind == "onnx-int8",
    )


def _notes(source: Source, chosen: Chosen | None, kind: Kind) -> tuple[str, ...]:
    """What to know of the pictures that were compared."""
    if chosen is None:
        return ()
    # Floats are held against a number, whatever the classes.
    is_share = kind == "onnx-int8"
    return (*chosen.notes, *(pictures.lacking(source, chosen, "checked with") if is_share else ()))


def _checked(format_: Format, path: Path, job: Job, chosen: Chosen, what: str) -> _Checked:
    """The figures of a written file, if it passes."""
    prepared = job.source.description.preprocessing
    takes_pictures = job.exportable.prepare is not None
    batches_of = pictures.decoded_batches if takes_pictures else pictures.fitted_batches
    batches = batches_of(chosen.pictures, prepared, parity.BATCH_SIZES)
    if not takes_pictures:
        batches = [normalize(batch, prepared) for batch in batches]
    comparison = parity.compare(
        lambda batch: _answers(job.exportable, batch, prepared),
        format_.opened(path, job),
        batches,
        tells_classes=not job.source.description.is_headless,
    )
    try:
        format_.check(comparison, what, format_.RUNTIME)
    except ThresholdError as error:
        if error.hint and job.source.description.is_random:
            error.hint = (
                f"The weights of {job.name} are random: train it first, or --no-check writes it "
                "unchecked."
            )
        raise
    return _Checked(comparison.figures(chosen.recipe), comparison.largest)


def _answers(exportable: Exportable, batch: Tensor, preprocessing: Preprocessing) -> Tensor:
    """What the network says of a batch; pictures are prepared as everywhere in zoo."""
    if exportable.prepare is not None:
        batch = normalize(fit(batch.permute(0, 3, 1, 2), preprocessing), preprocessing)
    return exportable.answer(batch)


def _output_shape(exportable: Exportable, source: Source) -> tuple[int, ...]:
    outline = modelfile.outline(source.description).eval()
    with torch.no_grad():
        outputs = outline(torch.zeros(2, *exportable.input_shape, device="meta"))
    return tuple(split_outputs(outputs)[0].shape[1:])
