"""Small exported files, for tests: made by torch's own exporters, with zoo's document in them."""

from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn
from torch.export import Dim

from zoo import modelfile
from zoo.description import Description
from zoo.exported import DOCUMENT_KEY, PT2_MEMBER, Exported


def as_onnx(network: nn.Module, example: torch.Tensor, document: str | None) -> onnx.ModelProto:
    """The graph of a network, of any batch size."""
    program = torch.onnx.export(
        network, (example,), dynamo=True, dynamic_shapes=({0: Dim.DYNAMIC},), verbose=False
    )
    assert program is not None
    model = program.model_proto
    if document is not None:
        model.metadata_props.add(key=DOCUMENT_KEY, value=document)
    return model


def write_pt2(path: Path, network: nn.Module, example: torch.Tensor, document: str) -> None:
    program = torch.export.export(network, (example,), dynamic_shapes=({0: Dim.DYNAMIC},))
    torch.export.save(program, path, extra_files={PT2_MEMBER: document})


def write_exports(model: Path, directory: Path, **changes: Any) -> dict[str, Path]:
    """A model file as `.onnx` and `.pt2`.

    Args:
        model: the model file.
        directory: of the files.
        changes: of the document.
    """
    source = modelfile.resolve(str(model))
    network = modelfile.load(model)
    example = torch.zeros(2, *source.description.input_shape)
    paths = {kind: directory / f"model.{kind}" for kind in ("onnx", "pt2")}
    graph = as_onnx(network, example, document(source.description, "onnx", **changes))
    paths["onnx"].write_bytes(graph.SerializeToString())
    write_pt2(paths["pt2"], network, example, document(source.description, "pt2", **changes))
    return paths


def document(description: Description, kind: Any, **changes: Any) -> str:
    return Exported(kind=kind, description=description, **changes).to_json()
