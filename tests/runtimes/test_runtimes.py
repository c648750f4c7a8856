"""Runtimes: one classifier from any file, with the same answers."""

import json
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor

from tests.exports import as_onnx, document
from zoo import modelfile
from zoo.data.fit import fit, normalize
from zoo.description import describe
from zoo.errors import ModelFileError, UsageError
from zoo.exported import Exported
from zoo.modelfile import Source
from zoo.precision import Precision
from zoo.runtimes import ExportedRuntime, Runtime, arithmetic, open_runtime
from zoo.schema import Preprocess

CPU = Precision("fp32", torch.device("cpu"))


def opened(path: Path) -> Runtime:
    return open_runtime(str(path), CPU, threads=1)


@pytest.fixture(scope="module")
def images(trained: Path) -> Tensor:
    preprocessing = modelfile.resolve(str(trained)).description.preprocessing
    pictures = torch.randint(256, (5, 1, 20, 30), generator=torch.Generator().manual_seed(1))
    return fit(pictures.byte(), preprocessing)


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
@pytest.mark.parametrize("count", [1, 5])
def test_every_runtime_gives_the_networks_logits(
    kind: str, count: int, trained: Path, exports: dict[str, Path], images: Tensor
) -> None:
    expected = opened(trained).logits(images[:count])
    runtime = opened(exports[kind])
    found = runtime.logits(images[:count])
    assert runtime.format == kind
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
    assert torch.equal(found, runtime.run(runtime.prepare(images[:count])))


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_decoded_pictures_of_any_size(kind: str, trained: Path, exports: dict[str, Path]) -> None:
    draws = torch.Generator().manual_seed(2)
    shapes = [(1, 20, 30), (3, 64, 40), (1, 28, 28)]
    pictures = [torch.randint(256, shape, generator=draws).byte() for shape in shapes]
    expected = opened(trained).logits_of_decoded(pictures)
    found = opened(exports[kind]).logits_of_decoded(pictures)
    assert found == pytest.approx(expected, abs=1e-4)


def test_probabilities_become_logits_of_the_same_softmax(
    trained: Path, images: Tensor, tmp_path: Path
) -> None:
    source = modelfile.resolve(str(trained))
    network = torch.nn.Sequential(modelfile.load(trained), torch.nn.Softmax(dim=1))
    text = document(source.description, "onnx", gives="probabilities")
    graph = as_onnx(network.eval(), torch.zeros(2, *source.description.input_shape), text)
    (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
    expected = opened(trained).logits(images).softmax(dim=1)
    assert opened(tmp_path / "m.onnx").logits(images).softmax(1) == pytest.approx(
        expected, abs=1e-5
    )


@dataclass(frozen=True)
class FitsInside(ExportedRuntime):
    """Stands for a graph that fits and normalizes what it takes."""

    def _as_input(self, values: Tensor) -> Tensor:
        return values

    def _outputs(self, prepared: Tensor) -> Tensor:
        assert prepared.dtype == torch.uint8
        preprocessing = self.source.description.preprocessing
        fitted = fit(prepared.permute(0, 3, 1, 2), preprocessing)  # (N, C, H, W)
        return normalize(fitted, preprocessing).flatten(1)[:, : self.source.description.num_classes]


@pytest.mark.parametrize(
    ("wish", "size"),
    [
        (Preprocess(fit="pad"), (32, 24)),
        (Preprocess(fit="resize"), (16, 16)),
        (Preprocess(fit="crop"), (24, 32)),
    ],
    ids=["pad", "resize", "crop"],
)
@pytest.mark.parametrize("margin", [0, 5, -5])
def test_a_graph_that_fits_pictures_itself_gets_back_what_fitting_has_added(
    wish: Preprocess, size: tuple[int, int], margin: int
) -> None:
    described = describe("lenet5", input_size=size, num_classes=4)
    content = (size[0] + margin, size[1] + margin)
    preprocessing = described.preprocessing.model_copy(update={"fit": wish.fit, "content": content})
    described = described.model_copy(update={"preprocessing": preprocessing})
    exported = Exported(kind="onnx", description=described, takes="pictures")
    runtime = FitsInside(Source("m", Path("m"), described, exported), "onnx", CPU, exported)
    draws = torch.Generator().manual_seed(3)
    pictures = [torch.randint(256, (3, *hw), generator=draws).byte() for hw in ((40, 21), (9, 50))]
    fitted = torch.cat([fit(picture[None], preprocessing) for picture in pictures])
    expected = normalize(fitted, preprocessing).flatten(1)[:, :4]
    assert torch.equal(runtime.logits(fitted), expected)
    assert torch.equal(runtime.logits_of_decoded(pictures), expected)


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_a_document_of_other_classes_is_refused(
    kind: str, trained: Path, exports: dict[str, Path], images: Tensor, tmp_path: Path
) -> None:
    source = modelfile.resolve(str(exports[kind]), exported=True)
    fewer = source.description.model_copy(update={"classes": ("a", "b")})
    with pytest.raises(ModelFileError, match="gives 10 numbers a picture, but has 2 classes"):
        open_runtime(replace(source, description=fewer), CPU).logits(images)


def test_a_graph_that_takes_other_numbers_is_refused(exports: dict[str, Path]) -> None:
    source = modelfile.resolve(str(exports["onnx"]), exported=True)
    assert source.exported is not None
    other = source.exported.model_copy(update={"takes": "pictures"})
    with pytest.raises(ModelFileError, match="takes or gives other numbers"):
        open_runtime(replace(source, exported=other), CPU)


def test_exported_files_are_fp32_on_the_processor(exports: dict[str, Path]) -> None:
    for path in exports.values():
        source = modelfile.resolve(str(path), exported=True)
        assert arithmetic(source, "auto", "auto") == CPU
        with pytest.raises(UsageError, match="--precision bf16 does not apply"):
            arithmetic(source, "cpu", "bf16")
        with pytest.raises(UsageError, match="--device cuda does not apply"):
            arithmetic(source, "cuda", "fp32")
        with pytest.raises(UsageError, match="--precision bf16 does not apply"):
            open_runtime(source, Precision("bf16", torch.device("cpu")))


def test_without_onnxruntime_the_extra_is_named(
    exports: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match="needs onnxruntime, which is not") as error:
        opened(exports["onnx"])
    assert error.value.hint == "pip install 'cnn-zoo[export]'"


def with_external_data(source: Path, directory: Path, place: str = "weights.bin") -> Path:
    """The same graph with its large tensors in a file beside it."""
    model = onnx.load(str(source))
    path = directory / "model.onnx"
    onnx.save(model, str(path), save_as_external_data=True, location=place, size_threshold=100)
    return path


def test_external_data_beside_the_file(
    exports: dict[str, Path], images: Tensor, tmp_path: Path
) -> None:
    path = with_external_data(exports["onnx"], tmp_path)
    assert (tmp_path / "weights.bin").stat().st_size > path.stat().st_size
    expected = opened(exports["onnx"]).logits(images)
    assert torch.equal(opened(path).logits(images), expected)
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.onnx"
    link.symlink_to(path)
    assert torch.equal(opened(link).logits(images), expected)


def test_external_data_that_are_gone_or_short(exports: dict[str, Path], tmp_path: Path) -> None:
    path = with_external_data(exports["onnx"], tmp_path)
    data = tmp_path / "weights.bin"
    data.write_bytes(data.read_bytes()[:-8])
    with pytest.raises(ModelFileError, match=r"weights\.bin is truncated"):
        opened(path)
    data.unlink()
    with pytest.raises(ModelFileError, match=r"lacks weights\.bin"):
        opened(path)


def outside(tensor: TensorProto, place: str) -> TensorProto:
    """The tensor, its numbers elsewhere."""
    made = TensorProto(name="stolen", data_type=tensor.data_type, dims=tensor.dims)
    made.data_location = TensorProto.EXTERNAL
    made.external_data.add(key="location", value=place)
    return made


def in_the_graph(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.initializer.append(tensor)


def in_an_attribute(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["stolen"], value=tensor))


def in_a_subgraph(model: onnx.ModelProto, tensor: TensorProto) -> None:
    branch = helper.make_graph([], "branch", [], [], initializer=[tensor])
    model.graph.node.append(
        helper.make_node("If", ["x"], ["stolen"], then_branch=branch, else_branch=branch)
    )


def in_a_function(model: onnx.ModelProto, tensor: TensorProto) -> None:
    node = helper.make_node("Constant", [], ["stolen"], value=tensor)
    opsets = [helper.make_opsetid("", 20)]
    model.functions.append(helper.make_function("own", "steal", [], ["stolen"], [node], opsets))


def in_a_sparse_tensor(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.sparse_initializer.add(values=tensor, dims=[4])


@pytest.mark.parametrize(
    "place",
    ["../secret", "/etc/passwd", "sub/secret", "..", "link", "a\\b", "*/_ORT_MEM_ADDR_/*", ""],
)
def test_external_data_elsewhere_are_refused(
    place: str, exports: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(bytes(1000))
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    model = onnx.load(str(exports["onnx"]))
    in_the_graph(model, outside(model.graph.initializer[0], place))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelFileError, match="is refused: its tensor 'stolen'"):
        opened(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    "put", [in_the_graph, in_an_attribute, in_a_subgraph, in_a_function, in_a_sparse_tensor]
)
def test_no_tensor_is_overlooked(put: "type", exports: dict[str, Path], tmp_path: Path) -> None:
    model = onnx.load(str(exports["onnx"]))
    put(model, outside(model.graph.initializer[0], "../secret"))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelFileError, match="no plain name of a file beside it"):
        opened(tmp_path / "m.onnx")


def test_foreign_operators_are_refused_by_name(exports: dict[str, Path], tmp_path: Path) -> None:
    model = onnx.load(str(exports["onnx"]))
    model.graph.node.append(helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft"))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelFileError, match=r"com\.microsoft\.EPContext is no operator of ONNX"):
        opened(tmp_path / "m.onnx")


def test_what_onnxruntime_refuses_is_a_refused_file(
    exports: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = onnx.load(str(exports["onnx"]))
    model.graph.node[0].op_type = "Conw"
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelFileError, match="onnxruntime refuses"):
        opened(tmp_path / "m.onnx")
    assert capfd.readouterr() == ("", "")


def test_onnxruntime_does_not_print_where_a_name_is_no_text(
    exports: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = exports["onnx"].read_bytes()
    (tmp_path / "m.onnx").write_bytes(content.replace(b"\x04Tanh", b"\x04T\xa6nh"))
    with pytest.raises(ModelFileError):
        opened(tmp_path / "m.onnx")
    assert capfd.readouterr() == ("", "")


def test_a_flatbuffer_in_disguise_is_not_taken_for_one(
    exports: dict[str, Path], images: Tensor, tmp_path: Path
) -> None:
    # onnxruntime tells its own format by these four bytes, at this place.
    model = onnx.load(str(exports["onnx"]))
    model.producer_name = "ORTM"
    content = model.SerializeToString()
    assert content[4:8] == b"ORTM"
    (tmp_path / "m.onnx").write_bytes(content)
    assert torch.equal(
        opened(tmp_path / "m.onnx").logits(images), opened(exports["onnx"]).logits(images)
    )


def test_a_copy_elsewhere_needs_nothing_else(
    exports: dict[str, Path], tmp_path: Path, images: Tensor
) -> None:
    for kind, path in exports.items():
        shutil.copy(path, tmp_path / "renamed.bin")
        runtime = opened(tmp_path / "renamed.bin")
        assert runtime.format == kind
        assert json.dumps(runtime.logits(images).tolist())
