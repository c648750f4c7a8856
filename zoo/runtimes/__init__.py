"""One callable classifier from any file: a model file or a run, `.onnx`, `.pt2`."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from zoo import devices, modelfile
from zoo.data.fit import fit, normalize, to_channels, unframed
from zoo.data.placement import to_device
from zoo.errors import (
    ModelFileError,
    OutOfMemoryError,
    UsageError,
    ZooError,
    is_out_of_memory,
    reason_of,
)
from zoo.exported import Exported
from zoo.modelfile import Source
from zoo.precision import Precision, choose
from zoo.runtimes import onnx_files, pt2_files

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Format = Literal["torch", "onnx", "onnx-int8", "pt2"]


@dataclass(frozen=True)
class Runtime(ABC):
    """A classifier, ready to run."""

    source: Source
    format: Format
    precision: Precision
    """In which arithmetic, and on which device."""

    @property
    def arithmetic(self) -> str:
        """In what the forward passes compute: fp32, bf16, fp16 or int8."""
        return self.precision.name

    @property
    def fits_pictures(self) -> bool:
        """Whether pictures are fitted here, before the file sees them."""
        return True

    def read(self, picture: Tensor) -> Tensor:
        """A decoded picture as `logits_of_read` takes it; may be called in any thread.

        Args:
            picture: (1 or 3, h, w), uint8.
        """
        return fit(picture[None], self.source.description.preprocessing)

    def logits_of_read(self, pictures: list[Tensor]) -> Tensor:
        """The logits of pictures that `read` has prepared, (N, num_classes)."""
        return self.logits(torch.cat(pictures))

    def logits_of_decoded(self, pictures: list[Tensor]) -> Tensor:
        """The logits of pictures, each (1 or 3, h, w), uint8, of any size: (N, num_classes)."""
        return self.logits_of_read([self.read(picture) for picture in pictures])

    def logits(self, images: Tensor) -> Tensor:
        """The logits of fitted pictures.

        Args:
            images: (N, C, H, W), uint8.

        Returns:
            (N, num_classes), float32; logarithms of the probabilities where the file gives these.
        """
        with torch.inference_mode():
            return self.run(self.prepare(images))

    @abstractmethod
    def prepare(self, images: Tensor) -> Any:
        """Fitted pictures, (N, C, H, W), uint8, as `run` takes them."""

    @abstractmethod
    def run(self, prepared: Any) -> Tensor:
        """One forward pass and nothing else: (N, num_classes), float32."""


@dataclass(frozen=True)
class TorchRuntime(Runtime):
    """A network of torch."""

    network: nn.Module
    """Placed where the precision computes, in evaluation mode."""

    def prepare(self, images: Tensor) -> Tensor:
        """Normalized, on the device, in the faster layout."""
        images = to_device(images, self.precision.device)
        normalized = normalize(images, self.source.description.preprocessing)
        return normalized.to(memory_format=self.precision.memory_format)

    def run(self, prepared: Tensor) -> Tensor:
        """One forward pass."""
        logits = self.precision.logits(self.network, prepared)
        check_outputs(self.source, logits)
        return logits


@dataclass(frozen=True)
class ExportedRuntime(Runtime):
    """What exported files share."""

    exported: Exported

    @property
    def arithmetic(self) -> str:
        """As the file has it."""
        return "int8" if self.exported.kind == "onnx-int8" else self.precision.name

    @property
    def fits_pictures(self) -> bool:
        """Whether pictures are fitted here; the graph may do it itself."""
        return self.exported.takes == "normalized"

    def read(self, picture: Tensor) -> Tensor:
        """Fitted; or as it was decoded, in the model's channels, where the graph fits it."""
        if self.fits_pictures:
            return super().read(picture)
        return to_channels(picture[None], self.source.description.preprocessing.channels)

    def logits_of_read(self, pictures: list[Tensor]) -> Tensor:
        """All at once; or one by one where the graph fits them, for they differ in size."""
        if self.fits_pictures:
            return super().logits_of_read(pictures)
        with torch.inference_mode():
            return torch.cat([self.run(self._as_taken(picture)) for picture in pictures])

    def prepare(self, images: Tensor) -> Any:
        """Normalized; or in the content's size where the graph fits pictures itself."""
        preprocessing = self.source.description.preprocessing
        if self.fits_pictures:
            return self._as_input(normalize(images, preprocessing))
        return self._as_taken(unframed(images, preprocessing))

    def run(self, prepared: Any) -> Tensor:
        """One forward pass."""
        outputs = self._outputs(prepared)
        check_outputs(self.source, outputs)
        if self.exported.gives == "probabilities":
            return outputs.clamp(min=torch.finfo(torch.float32).tiny).log()
        return outputs

    def _as_taken(self, images: Tensor) -> Any:
        """(N, C, h, w), uint8, as a graph takes it that fits pictures itself."""
        return self._as_input(images.permute(0, 2, 3, 1).contiguous())  # (N, h, w, C)

    @abstractmethod
    def _as_input(self, values: Tensor) -> Any:
        """A tensor of the processor's as `_outputs` takes it."""

    @abstractmethod
    def _outputs(self, prepared: Any) -> Tensor:
        """What the file gives: (N, num_classes), float32."""


@dataclass(frozen=True)
class OnnxRuntime(ExportedRuntime):
    """An ONNX file in onnxruntime, on the processor."""

    session: "InferenceSession"

    def _as_input(self, values: Tensor) -> Any:
        return values.contiguous().numpy()

    def _outputs(self, prepared: Any) -> Tensor:
        name = self.session.get_inputs()[0].name
        try:
            (outputs,) = self.session.run(None, {name: prepared})
        except Exception as error:  # onnxruntime's own have no common class but this
            raise _onnx_error(self.source, error) from error
        return torch.from_numpy(outputs)


@dataclass(frozen=True)
class Pt2Runtime(ExportedRuntime):
    """A graph of torch.export's."""

    graph: "Callable[[Tensor], Tensor]"

    def _as_input(self, values: Tensor) -> Tensor:
        return values.contiguous()

    def _outputs(self, prepared: Tensor) -> Tensor:
        try:
            return self.graph(prepared)
        except (RuntimeError, AssertionError, TypeError) as error:
            if is_out_of_memory(error):
                raise
            raise _cannot_run(self.source, error) from error


def open_runtime(
    model: str | Source, precision: Precision, *, threads: int | None = None
) -> Runtime:
    """The classifier of a model file, a run or an exported file.

    Args:
        model: MODEL; of an architecture the weights are random.
        precision: arithmetic and device, as `arithmetic` chooses them.
        threads: of the processor; None is torch's own choice, for every runtime. torch has one
            number for the whole process.

    Raises:
        NotFoundError: MODEL is nothing.
        UsageError: a runtime is not installed, or lacks the device or the precision.
        ModelFileError: the file is refused or corrupt.
    """
    source = modelfile.resolve(model, exported=True) if isinstance(model, str) else model
    devices.use_threads(threads)
    if source.exported is None:
        network = precision.place(modelfile.instantiate(source).eval())
        return TorchRuntime(source, "torch", precision, network)
    _check_fp32_on_cpu(source, precision.device.type, precision.name)
    if source.exported.kind == "safetensors":
        raise modelfile.refusal(source.name, source.exported.kind)
    assert source.path is not None
    if source.exported.kind == "pt2":
        return Pt2Runtime(source, "pt2", precision, source.exported, _graph_of(source))
    session = _session(source, threads or torch.get_num_threads())
    return OnnxRuntime(source, source.exported.kind, precision, source.exported, session)


def arithmetic(source: Source, device: str, precision: str) -> Precision:
    """How MODEL is to be computed; exported files are in fp32, on the processor.

    Args:
        source: MODEL.
        device: such as `cpu`, `cuda:0` or `auto`.
        precision: fp32, bf16, fp16 or auto.

    Raises:
        DeviceError, UsageError: there is no such device, or the model can't be computed so.
    """
    if source.exported is None:
        return choose(precision, devices.choose(device))
    _check_fp32_on_cpu(source, device, precision)
    return Precision("fp32", torch.device("cpu"))


def _check_fp32_on_cpu(source: Source, device: str, precision: str) -> None:
    if device not in ("auto", "cpu"):
        raise UsageError(
            f"--device {device} does not apply: {source.name} is run by {_runner(source)} on the "
            "processor."
        )
    if precision not in ("auto", "fp32"):
        raise UsageError(
            f"--precision {precision} does not apply: the arithmetic of {source.name} is in the "
            "file."
        )


def _runner(source: Source) -> str:
    is_pt2 = source.exported is not None and source.exported.kind == "pt2"
    return "torch.export's graph" if is_pt2 else "onnxruntime"


def _session(source: Source, threads: int) -> "InferenceSession":
    """An ONNX file in onnxruntime, after it was looked at.

    Raises:
        UsageError: onnxruntime is not installed.
        ModelFileError: the file is refused, or other than its document says.
    """
    assert source.path is not None
    onnx_files.check_extra(source.name)
    import onnxruntime

    vetted = onnx_files.vet(source.path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised too
    options.use_deterministic_compute = True
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Other kinds, which nobody looked at, would be told by their first bytes.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(vetted.directory)
    )
    try:
        session = onnxruntime.InferenceSession(
            vetted.content,
            options,
            providers=["CPUExecutionProvider"],
            enable_fallback=0,  # which prints to stdout and tries the same once more
        )
    except Exception as error:
        raise _onnx_error(source, error) from error
    _check_contract(source, session)
    return session


def _check_contract(source: Source, session: "InferenceSession") -> None:
    """Refuses a graph that takes or gives something else than its document says."""
    exported = source.exported
    assert exported is not None
    taken, given = session.get_inputs(), session.get_outputs()
    if len(taken) != 1 or len(given) != 1:
        raise ModelFileError(
            f"{source.name} takes {len(taken)} inputs and gives {len(given)} outputs: a classifier "
            "has one of each."
        )
    wanted = "tensor(float)" if exported.takes == "normalized" else "tensor(uint8)"
    if taken[0].type != wanted or len(taken[0].shape) != 4 or given[0].type != "tensor(float)":
        raise ModelFileError(f"{source.name} takes or gives other numbers than its document says.")
    number = given[0].shape[-1] if given[0].shape else None
    if isinstance(number, int):
        check_outputs(source, torch.empty((1, number), device="meta"))


def _graph_of(source: Source) -> "Callable[[Tensor], Tensor]":
    """The graph of a torch.export archive, after it was made safe.

    Raises:
        ModelFileError: it is refused, or torch can't read it.
    """
    assert source.path is not None
    vetted = pt2_files.vet(source.path)
    logger = logging.getLogger("torch.export")
    before = logger.level
    logger.setLevel(logging.ERROR)  # what goes wrong is raised too
    try:
        graph = torch.export.load(vetted).module()
    except Exception as error:  # whatever a graph does to its reader
        if is_out_of_memory(error):
            raise
        raise _cannot_run(source, error) from error
    finally:
        logger.setLevel(before)
    return graph


def _onnx_error(source: Source, error: Exception) -> ZooError:
    if is_out_of_memory(error) or "Failed to allocate memory" in str(error):
        return OutOfMemoryError(f"{source.name} does not fit into memory.")
    return _cannot_run(source, error)


def _cannot_run(source: Source, error: Exception) -> ModelFileError:
    return ModelFileError(f"{_runner(source)} refuses {source.name}: {reason_of(error)}.")


def check_outputs(source: Source, outputs: Tensor) -> None:
    """Refuses outputs that are not one number for each class, where there are classes.

    Raises:
        ModelFileError: they are not.
    """
    description = source.description
    wanted = len(description.classes) or description.num_classes
    if outputs.shape[1:] != (wanted,) and not description.is_headless:
        shape = "×".join(str(side) for side in outputs.shape[1:])
        raise ModelFileError(
            f"{source.name} gives {shape} numbers a picture, but has {wanted} classes."
        )
