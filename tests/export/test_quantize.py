"""8-bit files: small, reproducible, and of one mind with their network."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from tests.conftest import Ended
from zoo import modelfile
from zoo.data import sources
from zoo.data.decode import BadPictureError
from zoo.data.pictures import ArrayPictures, Found
from zoo.description import describe
from zoo.errors import DataError, ThresholdError, UsageError
from zoo.export import export_file, pictures, quantize
from zoo.export.parity import Comparison, check_agreement
from zoo.exported import read_exported
from zoo.modelfile import Source
from zoo.provenance import task_of
from zoo.runtimes import open_runtime
from zoo.runtimes.onnx_files import vet

Zoo = Callable[..., Ended]


@pytest.fixture(scope="module")
def int8(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "small.onnx"
    made = export_file(str(trained), path, "onnx-int8")
    assert made.document.parity is not None
    assert made.document.parity.images == quantize.IMAGES
    return path


def test_the_file_says_how_it_came_about(int8: Path) -> None:
    document = read_exported(int8)
    assert document.kind == "onnx-int8"
    assert document.calibration is not None
    assert (document.calibration.recipe, document.calibration.images) == ("digits", 512)
    assert document.parity is not None
    assert document.parity.top1_agreement is not None
    assert document.parity.top1_agreement >= quantize.AGREEMENT
    assert document.parity.max_abs_diff > 0


def test_weights_are_whole_numbers_of_one_scale_for_each_channel(int8: Path) -> None:
    model = onnx.load(str(int8))
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    weights = [one for one in tensors.values() if len(one.dims) in (2, 4)]
    assert len(weights) == 5
    for weight in weights:
        assert weight.data_type == TensorProto.INT8
        values = onnx.numpy_helper.to_array(weight)
        assert abs(values.astype(int)).max() <= 64  # 7 bits
        (scale,) = (node.input[1] for node in model.graph.node if weight.name in node.input[:1])
        assert tensors[scale].dims == [max(weight.dims[0], 1)]
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
    assert vet(int8).content == int8.read_bytes()


def test_it_is_a_quarter_as_large(int8: Path, exports: dict[str, Path]) -> None:
    assert int8.stat().st_size < 0.4 * exports["onnx"].stat().st_size


@pytest.mark.slow
def test_equal_models_give_equal_bytes(int8: Path, trained: Path, tmp_path: Path) -> None:
    export_file(str(trained), tmp_path / "again.onnx", "onnx-int8")
    assert (tmp_path / "again.onnx").read_bytes() == int8.read_bytes()


def test_evaluate_takes_it(zoo: Zoo, int8: Path, trained: Path) -> None:
    expected, ended = zoo("evaluate", trained, "--json"), zoo("evaluate", int8, "--json")
    assert ended.json.keys() == expected.json.keys()
    assert ended.json["precision"] == "int8"
    assert ended.json["top1"] == pytest.approx(expected.json["top1"], abs=0.01)
    assert ended.json["loss"] != expected.json["loss"]


def test_its_runtime_is_named(int8: Path) -> None:
    source = modelfile.resolve(str(int8), exported=True)
    from zoo.runtimes import arithmetic

    runtime = open_runtime(source, arithmetic(source, "auto", "auto"))
    assert runtime.format == "onnx-int8"
    assert runtime.arithmetic == "int8"


def test_the_command_line_unchecked(zoo: Zoo, trained: Path, in_tmp: Path) -> None:
    command = ("export", trained, "--format", "onnx-int8", "-o", "m.onnx", "--no-check")
    ended = zoo(*command, "--calibration-images", "20", "--json")
    assert ended.code == 0, ended.stdout
    assert ended.json["format"] == "onnx-int8"
    assert ended.json["calibration"] == {"recipe": "digits", "images": 20}
    assert ended.json["parity"]["checked"] is False


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("RUN --format onnx-int8 --recipe shapes", 4, "The classes of shapes are not those of"),
        ("lenet5 --format onnx-int8", 2, "is calibrated on pictures, and lenet5 names no recipe"),
        ("RUN --calibration-images 9", 2, "--calibration-images goes with --format onnx-int8"),
        ("RUN --format onnx-int8 --data nowhere", 4, "nowhere"),
    ],
)
def test_refusals(
    words: str, code: int, message: str, zoo: Zoo, trained: Path, in_tmp: Path
) -> None:
    places = {"RUN": trained}
    arguments = (places.get(word, word) for word in words.split())
    ended = zoo("export", *arguments, "-o", "m.onnx", "--json")
    assert ended.code == code
    assert message in ended.json["error"]["message"]
    assert not (in_tmp / "m.onnx").exists()


def test_a_recipe_of_other_channels_is_refused(trained: Path, in_tmp: Path) -> None:
    Path("colour.yaml").write_text("dataset: {source: digits}\npreprocess: {channels: 3}\n")
    with pytest.raises(DataError, match=r"have 3 channels, .* takes 1"):
        pictures.calibration(
            modelfile.resolve(str(trained)), 5, recipe_name="colour.yaml", data=None
        )


def test_features_are_refused(trained: Path, in_tmp: Path, zoo: Zoo) -> None:
    assert zoo("prune", trained, "--pop", "1", "-o", "f.safetensors").code == 0
    with pytest.raises(UsageError, match="gives features"):
        export_file("f.safetensors", Path("f.onnx"), "onnx-int8")


def test_pictures_to_calibrate_on_are_not_those_compared(trained: Path) -> None:
    source = modelfile.resolve(str(trained))
    ours = pictures.calibration(source, 300, recipe_name=None, data=None).pictures
    theirs = pictures.choose(source, 300, recipe_name=None, data=None, is_calibrated=True).pictures
    assert len(ours) >= 300
    assert len(theirs) >= 300
    seen = {bytes(picture.numpy().tobytes()) for picture in ours}
    both = sum(picture.numpy().tobytes() in seen for picture in theirs)
    assert both < 5  # the digits hold some pictures twice


def test_it_is_calibrated_on_what_it_learned_from(trained: Path) -> None:
    source = modelfile.resolve(str(trained))
    task = task_of(source)
    assert task.recorded is not None
    found = sources.read(task.recipe.dataset, None, None).train
    split = {found.picture(n).numpy().tobytes(): task.recorded[found.digest(n)]
             for n in range(len(found))}  # fmt: skip
    chosen = pictures.calibration(source, 300, recipe_name=None, data=None).pictures
    assert {split[picture.numpy().tobytes()] for picture in chosen} == {"train"}


def in_order_of_classes(*sizes: int) -> ArrayPictures:
    """Pictures of one pixel whose value tells their class, and their place of the digits' ten."""
    targets = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    names = tuple(str(index) for index in range(len(targets)))
    images = targets.byte()[:, None, None, None]
    classes = tuple(str(index) for index in range(len(sizes)))
    return ArrayPictures(targets, classes, names, images)


def counted(found: list[torch.Tensor], classes: int) -> list[int]:
    return torch.stack(found).flatten().bincount(minlength=classes).tolist()


@pytest.mark.parametrize("count", [10, 512, 700, 1023])
def test_all_classes_are_among_the_pictures(
    count: int, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Found(in_order_of_classes(*[204] * 10), test=in_order_of_classes(*[102] * 10))
    monkeypatch.setattr(pictures.sources, "read", lambda *_: found)
    source = modelfile.resolve(str(trained))
    ours = pictures.calibration(source, count, recipe_name=None, data=None)
    floats = pictures.choose(source, count, recipe_name=None, data=None)
    for chosen in (ours, floats):
        of_each = counted(chosen.pictures, 10)
        assert max(of_each) - min(of_each) <= 1
        assert sum(of_each) == min(count, 1020)
        assert pictures.lacking(source, chosen, "checked with") == ()


def test_a_class_of_few_pictures_is_among_them_too() -> None:
    for start in (0, 1):
        chosen = pictures._drawn(in_order_of_classes(900, 4, 1, 900), 100, "r", start=start, step=2)
        first, few, single, last = counted(chosen.pictures, 4)
        assert (few, single) == (2, 1)
        assert abs(first - last) <= 1
        assert first + last == 97


def test_pictures_are_drawn_from_all_of_a_class() -> None:
    places = pictures._in_turns([0] * 1000, 0, 1)[:20]
    assert min(places) < 200
    assert max(places) > 800
    assert len({place // 200 for place in places}) == 5


def test_a_picture_that_cannot_be_read_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    def picture(self: ArrayPictures, index: int) -> torch.Tensor:
        if index % 2:
            raise BadPictureError("odd")
        return self.images[index]

    monkeypatch.setattr(ArrayPictures, "picture", picture)
    assert counted(pictures._drawn(in_order_of_classes(20, 20), 20, "r").pictures, 2) == [10, 10]


def test_a_class_without_a_picture_is_told(trained: Path) -> None:
    source = modelfile.resolve(str(trained))
    chosen = pictures._drawn(in_order_of_classes(*[9] * 8), 40, "digits")
    assert pictures.lacking(source, chosen, "calibrated on") == (
        "calibrated on no picture of 8, 9, so nothing is known of them",
    )


def test_random_weights_are_named(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.export import Wishes

    monkeypatch.setattr(quantize, "AGREEMENT", 1.01)
    monkeypatch.setattr(quantize, "IMAGES", 10)
    wishes = Wishes(recipe_name="digits", calibration_images=4)
    with pytest.raises(ThresholdError) as error:
        export_file("lenet5", Path("m.onnx"), "onnx-int8", wishes)
    assert "The weights of lenet5 are random: train it first" in error.value.hint


def test_a_recipe_of_other_classes_is_no_reason_to_train(trained: Path) -> None:
    source = modelfile.resolve(str(trained))
    with pytest.raises(DataError) as error:
        pictures.calibration(source, 5, recipe_name="shapes", data=None)
    assert error.value.hint == "Another --recipe, or --data with pictures of the model's classes."


def compared(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    check_agreement(Comparison(ours, theirs, tells_classes=True), "m.onnx", "onnxruntime", 0.97)


def test_agreement_decides() -> None:
    ours = torch.eye(10).repeat(10, 1)
    compared(ours, ours + 0.3)
    theirs = ours.clone()
    theirs[:3] = theirs[:3].roll(1, dims=1)
    compared(ours, theirs)  # 97 of 100
    theirs[3] = theirs[3].roll(1)
    with pytest.raises(ThresholdError, match=r"for 96\.00 % of 100 pictures") as error:
        compared(ours, theirs)
    assert error.value.results["parity"]["top1_agreement"] == pytest.approx(0.96)


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_agreement_that_shows_nothing(value: float) -> None:
    ours = torch.eye(4).repeat(5, 1)
    with pytest.raises(ThresholdError, match=r"same output for every picture|not finite"):
        compared(ours, torch.full_like(ours, value))
    with pytest.raises(ThresholdError, match=r"same output for every picture|not finite"):
        compared(torch.full_like(ours, value), ours)


def test_what_prepares_pictures_stays_in_float() -> None:
    def node(kind: str, *inputs: str) -> onnx.NodeProto:
        return helper.make_node(kind, list(inputs), [f"of_{kind}"], name=kind)

    nodes = [
        node("Cast", "pictures"),
        node("MatMul", "of_Cast", "of_Cast"),
        node("Conv", "of_MatMul", "weight"),
        node("Relu", "of_Conv"),
        node("Softmax", "of_Relu"),
    ]
    weight = helper.make_tensor("weight", TensorProto.FLOAT, [1], [1.0])
    model = helper.make_model(helper.make_graph(nodes, "g", [], [], [weight]))
    assert quantize._kept_in_float(model) == ["Cast", "MatMul", "Softmax"]


@pytest.mark.slow
def test_batch_norms_join_the_convolutions(tmp_path: Path) -> None:
    described = describe("resnet20")
    path = tmp_path / "r.safetensors"
    modelfile.save(path, modelfile.build(described), described)
    source = Source(str(path), path, described)
    from zoo.export import Wishes, _job

    made = quantize.convert(_job(source, Wishes(recipe_name="digits", calibration_images=8)))
    kinds = [one.op_type for one in made.model.graph.node]
    assert "BatchNormalization" not in kinds
    assert kinds.count("Conv") == 19
    for one in made.model.graph.node:
        if one.op_type == "Conv":
            assert one.input[0].endswith("_DequantizeLinear_Output")


@pytest.mark.slow
def test_with_preprocessing_and_softmax_inside(trained: Path, int8: Path, tmp_path: Path) -> None:
    from zoo.export import Wishes
    from zoo.runtimes import arithmetic

    path = tmp_path / "m.onnx"
    export_file(str(trained), path, "onnx-int8", Wishes(embed_preprocess=True, softmax=True))
    draws = torch.Generator().manual_seed(4)
    shapes = ((1, 40, 33), (3, 20, 20), (1, 28, 28))
    decoded = [torch.randint(256, shape, generator=draws).byte() for shape in shapes]
    found = []
    for one in (path, int8):
        source = modelfile.resolve(str(one), exported=True)
        runtime = open_runtime(source, arithmetic(source, "cpu", "fp32"))
        found.append(runtime.logits_of_decoded(decoded).softmax(dim=1))
    assert found[0] == pytest.approx(found[1], abs=0.05)
