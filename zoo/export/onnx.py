"""`onnx`: torch's dynamo exporter, with zoo's document and no trace of this machine."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from zoo.errors import UsageError, is_out_of_memory, reason_of
from zoo.export import parity
from zoo.export.contract import classes_of, input_of
from zoo.export.graph import AXES, layer_of, refusal, silence, trace
from zoo.export.job import Converted as InFormat
from zoo.export.job import Job
from zoo.export.parity import check_floats
from zoo.exported import DOCUMENT_KEY, Exported, Kind
from zoo.runtimes import onnx_files

if TYPE_CHECKING:
    import onnx
    import onnx_ir

RUNTIME = "onnxruntime"
IMAGES = parity.IMAGES
check = check_floats
IN_ONE_FILE_BYTES = 2_000_000_000
"""More weights lie beside the file, for a protobuf message ends at 2 GiB."""
_WORTH_MOVING_BYTES = 1024
_OLDEST_OPSET = 18
_ERRORS_ONLY = 3


@dataclass(frozen=True)
class Converted(InFormat):
    """A network as an ONNX model, not yet written."""

    model: "onnx_ir.Model"
    opset: int

    @property
    def settings(self) -> dict[str, Any]:
        """What the JSON says of this format alone."""
        return {"opset": self.opset}

    @property
    def has_data_file(self) -> bool:
        """Whether the weights are too large for the file itself."""
        weights = (value.const_value for value in self.model.graph.initializers.values())
        return sum(one.nbytes for one in weights if one is not None) > IN_ONE_FILE_BYTES

    def write(self, path: Path, document: Exported, data: Path | None, data_name: str) -> None:
        """Writes the model with its document and checks it.

        Args:
            path: of the model.
            document: what it says of itself.
            data: where its weights go; None where they stay in it.
            data_name: what it calls that file, which lies beside it.

        Raises:
            OSError: the disk is full.
        """
        import onnx

        self.model.metadata_props.update(metadata(document))
        if data is None:
            content = self.to_proto().SerializeToString(deterministic=True)
            onnx.checker.check_model(content)
            path.write_bytes(content)
            return
        proto = self._beside(data)
        for tensor in proto.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = data_name
        path.write_bytes(proto.SerializeToString(deterministic=True))
        if data_name == data.name:
            onnx.checker.check_model(str(path))

    def to_proto(self) -> "onnx.ModelProto":
        """The model with its weights in it."""
        import onnx_ir

        return onnx_ir.to_proto(self.model)

    def _beside(self, data: Path) -> Any:
        """The model without its weights, which are written to `data`."""
        import onnx_ir

        initializers = self.model.graph.initializers
        kept = {name: value.const_value for name, value in initializers.items()}
        try:
            onnx_ir.external_data.unload_from_model(
                self.model, data.parent, data.name, size_threshold_bytes=_WORTH_MOVING_BYTES
            )
            return onnx_ir.to_proto(self.model)
        finally:
            for name, weights in kept.items():
                initializers[name].const_value = weights


def metadata(document: Exported) -> dict[str, str]:
    """What a file says of itself, to zoo and to programs that know nothing of zoo."""
    return {
        DOCUMENT_KEY: document.to_json(),
        "classes": json.dumps(classes_of(document.description)),
        "input": json.dumps(input_of(document)),
    }


def convert(job: Job) -> Converted:
    """The network as an ONNX model, for a batch of any size.

    Raises:
        UsageError: the extra is missing, there is no such opset, or ONNX lacks an operation.
    """
    check_extra("onnx")
    name, exportable, opset = job.name, job.exportable, job.wishes.opset
    _check_opset(opset)
    program = trace(exportable, name, "onnx")
    axes = AXES[exportable.input_name]
    try:
        with silence():
            converted = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                dynamic_shapes=(axes,),
                input_names=[exportable.input_name],
                output_names=[exportable.gives],
                opset_version=opset,
            )
    except Exception as error:  # the exporter turns every failure into classes of its own
        if is_out_of_memory(error.__cause__ or error):
            raise
        raise _refusal(program, name, error) from error
    assert converted is not None
    found = converted.model.opset_imports[""]
    if opset not in (None, found):
        raise UsageError(
            f"{name} can't be expressed in opset {opset}: the exporter keeps opset {found}.",
            hint=f"--opset {found}, or leave it out.",
        )
    _forget_this_machine(converted.model)
    return Converted(converted.model, found)


def opened(path: Path, job: Job) -> Callable[[Tensor], Tensor]:
    """The written file in onnxruntime, on the processor.

    Raises:
        UsageError: onnxruntime refuses it.
    """
    import onnxruntime

    _ = job
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's own classes have no common one
        raise UsageError(
            f"onnxruntime {onnxruntime.__version__} does not load what was exported: "
            f"{reason_of(error)}.",
            hint="An older --opset, a newer onnxruntime, or --no-check.",
        ) from error
    (name,) = (one.name for one in session.get_inputs())
    return lambda images: torch.from_numpy(session.run(None, {name: images.numpy()})[0])


def check_extra(kind: Kind) -> None:
    """Refuses to go on without the extra.

    Raises:
        UsageError: names the packages that are missing.
    """
    with silence():
        onnx_files.check_extra(f"--format {kind}", ("onnx", "onnxscript", "onnxruntime"))


def _check_opset(opset: int | None) -> None:
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if opset is not None and not _OLDEST_OPSET <= opset <= newest:
        nearest = min(max(opset, _OLDEST_OPSET), newest)
        raise UsageError(
            f"--opset {opset}: there are {_OLDEST_OPSET} to {newest} here.",
            hint=f"--opset {nearest}, or leave it out.",
        )


def _refusal(program: ExportedProgram, name: str, error: Exception) -> UsageError:
    text = ""
    while True:
        text = f"{text}\n{error}"
        if not isinstance(error.__cause__, Exception):
            break
        error = error.__cause__
    found = re.search(r"op='([\w.]+)'", text) or re.search(r"torch\.ops\.([\w.]+)", text)
    if found is None:
        return refusal(name, "onnx", reason_of(error), "")
    operation = found[1].removesuffix(".default")
    where = layer_of(program, operation.rpartition(".")[2])
    return refusal(name, "onnx", f"ONNX has nothing for torch's {operation}", where)


def _forget_this_machine(model: "onnx_ir.Model") -> None:
    """Removes what the exporter notes of where each node came from: directories among it."""
    model.graph.metadata_props.clear()
    for function in model.functions.values():
        function.metadata_props.clear()
    for nodes in (model.graph.all_nodes(), *(one.all_nodes() for one in model.functions.values())):
        for node in nodes:
            node.metadata_props.clear()
            node.doc_string = None
            for value in node.outputs:
                value.metadata_props.clear()
    for value in (*model.graph.inputs, *model.graph.outputs):
        value.metadata_props.clear()
    for value in model.graph.initializers.values():
        value.metadata_props.clear()
    model.metadata_props.clear()
