"""`onnx-int8`: the ONNX file with weights and activations in 8 bits, by onnxruntime's quantization.

Static: each tensor's range is found beforehand, on pictures of a recipe. Weights have a scale for
each output channel. They use 7 of their 8 bits: on processors without VNNI the sums of full ones
overflow, and the file would give other answers there than it was checked to give here.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.data.fit import fit, normalize, to_channels
from zoo.errors import UsageError, is_out_of_memory, reason_of
from zoo.export import onnx as floats
from zoo.export import pictures
from zoo.export.graph import silence
from zoo.export.job import Converted as InFormat
from zoo.export.job import Job
from zoo.export.parity import Comparison, check_agreement
from zoo.exported import Calibration, Exported

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

RUNTIME = "onnxruntime"
IMAGES = 512
"""Pictures that are compared: agreement is a share."""
CALIBRATION_IMAGES = 512
AGREEMENT = 0.97
"""Share of pictures for which the 8-bit file must name the network's class."""
_AT_ONCE = 16
_ERRORS_ONLY, _WARNINGS = 3, 2
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
opened = floats.opened


@dataclass(frozen=True)
class Converted(InFormat):
    """A quantized model, not yet written."""

    model: "ModelProto"
    opset: int
    calibration: Calibration
    lacking: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """Which classes it has not seen."""
        return self.lacking

    @property
    def settings(self) -> dict[str, Any]:
        """What the JSON says of this format alone."""
        return {"opset": self.opset}

    @property
    def fields(self) -> dict[str, Any]:
        """What the document says of this format alone."""
        return {"calibration": self.calibration}

    def write(self, path: Path, document: Exported, data: Path | None, data_name: str) -> None:
        """Writes the model with its document and checks it.

        Raises:
            OSError: the disk is full.
        """
        import onnx

        _ = data, data_name
        onnx.helper.set_model_props(self.model, floats.metadata(document))
        content = self.model.SerializeToString(deterministic=True)
        onnx.checker.check_model(content)
        path.write_bytes(content)


def check(comparison: Comparison, what: str, runtime: str) -> None:
    """Refuses a file that names another class too often.

    Raises:
        ThresholdError: says how often.
    """
    check_agreement(comparison, what, runtime, AGREEMENT)


def convert(job: Job) -> Converted:
    """The network in 8 bits.

    Raises:
        UsageError: the extra is missing, nothing says which pictures to calibrate on, or the
            network tells no classes apart.
        DataError: the pictures are not here, or of other classes or channels than the network's.
    """
    name = job.name
    if job.source.description.is_headless:
        raise UsageError(
            f"{name} gives features: onnx-int8 is judged by the classes that it names.",
            hint="--format onnx",
        )
    floats.check_extra("onnx-int8")
    chosen = pictures.calibration(
        job.source,
        job.wishes.calibration_images or CALIBRATION_IMAGES,
        recipe_name=job.wishes.recipe_name,
        data=job.wishes.data,
    )
    assert chosen.recipe is not None
    converted = floats.convert(job)
    if converted.has_data_file:
        raise UsageError(f"{name} is too large for onnx-int8: its weights exceed 2 GB.")
    try:
        with silence(), _quiet_runtime():
            model = _quantized(converted, _inputs(job, chosen.pictures), job.exportable.input_name)
    except Exception as error:  # onnxruntime's own classes have no common one
        if is_out_of_memory(error):
            raise
        raise UsageError(
            f"{name} can't be quantized by onnxruntime: {reason_of(error)}.",
            hint="--format onnx",
        ) from error
    calibration = Calibration(recipe=chosen.recipe, images=len(chosen.pictures))
    lacking = pictures.lacking(job.source, chosen, "calibrated on")
    return Converted(model, converted.opset, calibration, lacking)


def _inputs(job: Job, found: list[Tensor]) -> Callable[[], Iterator[Tensor]]:
    """The pictures as the graph takes them, several at once where they are of one size."""
    prepared = job.source.description.preprocessing

    def batches() -> Iterator[Tensor]:
        if job.exportable.prepare is not None:
            for picture in found:
                decoded = to_channels(picture[None], prepared.channels)
                yield decoded.permute(0, 2, 3, 1).contiguous()  # (1, h, w, C)
            return
        for start in range(0, len(found), _AT_ONCE):
            fitted = [fit(picture[None], prepared) for picture in found[start : start + _AT_ONCE]]
            yield normalize(torch.cat(fitted), prepared).contiguous()

    return batches


def _quantized(
    converted: floats.Converted, inputs: Callable[[], Iterator[Tensor]], input_name: str
) -> "ModelProto":
    """The model with its ranges found."""
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        """Hands the pictures over."""

        def __init__(self) -> None:
            self._batches = inputs()

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._batches, None)
            return None if batch is None else {input_name: batch.numpy()}

    with tempfile.TemporaryDirectory() as directory:
        plain, made = Path(directory) / "plain.onnx", Path(directory) / "int8.onnx"
        plain.write_bytes(converted.to_proto().SerializeToString())
        # Batch norms go into the convolutions before them, which are then quantized as one.
        quant_pre_process(str(plain), str(plain), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(plain),
            str(made),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_exclude=_kept_in_float(onnx.load(str(plain))),
        )
        model = onnx.load(str(made))
    for node in model.graph.node:
        node.doc_string = ""
    return model


def _kept_in_float(model: "ModelProto") -> list[str]:
    """Nodes before the network's first weights, which prepare pictures, and softmaxes."""
    nodes = model.graph.node
    weights = {tensor.name for tensor in model.graph.initializer}
    makers = {output: node for node in nodes for output in node.output}
    kept = [node.name for node in nodes if node.op_type == "Softmax"]
    first = next((node for node in nodes if _has_weights(node, weights)), None)
    waiting = [] if first is None else list(first.input)
    seen = set[str]()
    while waiting:
        maker = makers.get(waiting.pop())
        if maker is not None and maker.name not in seen:
            seen.add(maker.name)
            waiting += maker.input
    return sorted({*kept, *seen})


def _has_weights(node: "NodeProto", weights: set[str]) -> bool:
    return node.op_type in _WEIGHTED and len(node.input) > 1 and node.input[1] in weights


@contextmanager
def _quiet_runtime() -> Iterator[None]:
    """Keeps what onnxruntime's own code warns of to itself."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(_WARNINGS)
