"""`zoo.export`: what leaves the zoo answers as it did inside."""

import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from tests.pruning.dense import built, settle
from zoo import export, modelfile
from zoo.catalog import CARDS, Architecture
from zoo.data.fit import fit, normalize
from zoo.description import describe
from zoo.errors import (
    DataError,
    DiskError,
    OutputExistsError,
    StructureError,
    ThresholdError,
    UsageError,
)
from zoo.export import Wishes, export_file, parity, pt2
from zoo.export import onnx as onnx_format
from zoo.exported import Kind, read_exported
from zoo.modelfile import Source
from zoo.precision import Precision
from zoo.pruning.channels import prune_channels
from zoo.runtimes import onnx_files, open_runtime
from zoo.surgery import Pop

GRAPHS: tuple[Kind, ...] = ("onnx", "pt2")
FP32 = Precision("fp32", torch.device("cpu"))


def answers(path: Path) -> Callable[[Tensor], Tensor]:
    """The file in its own runtime, without zoo."""
    if path.suffix == ".pt2":
        return torch.export.load(path).module()  # type: ignore[no-any-return]
    session = onnxruntime.InferenceSession(str(path))
    name = session.get_inputs()[0].name
    return lambda images: torch.from_numpy(session.run(None, {name: images.numpy()})[0])


def pictures(source: Source, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    shape = (count, *source.description.input_shape)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("kind", GRAPHS)
def test_a_trained_network_answers_the_same(kind: Kind, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / f"out.{kind}"
    made = export_file(str(trained), out)
    source = modelfile.resolve(str(trained))
    network, run = modelfile.load(trained), answers(out)
    for count in (1, 2, 7):
        images = normalize(pictures(source, count), source.description.preprocessing)
        with torch.no_grad():
            torch.testing.assert_close(run(images), network(images), rtol=1e-4, atol=1e-4)
    found = made.document.parity
    assert found is not None
    assert (found.batches, found.images, found.recipe) == ((1, 5), 10, "digits")
    assert found.top1_agreement == 1.0
    assert found.max_abs_diff <= 1e-4 * (made.largest or 0)
    document = read_exported(out)
    assert document == made.document
    assert document.description == source.description
    assert b"site-packages" not in out.read_bytes()  # nor any other directory of this machine


def test_pictures_go_in_and_probabilities_come_out(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    made = export_file(str(trained), out, wishes=Wishes(embed_preprocess=True, softmax=True))
    assert (made.document.takes, made.document.gives) == ("pictures", "probabilities")
    description = modelfile.resolve(str(trained)).description
    network, run = modelfile.load(trained), answers(out)
    session = onnxruntime.InferenceSession(str(out))
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.shape) == ("pictures", ["batch", "height", "width", 1])
    assert (given.name, given.shape) == ("probabilities", ["batch", 10])
    for height, width in ((8, 8), (1, 1), (3, 200), (61, 40)):
        images = torch.randint(0, 256, (2, 1, height, width), dtype=torch.uint8)
        ready = normalize(fit(images, description.preprocessing), description.preprocessing)
        with torch.no_grad():
            expected = network(ready).softmax(dim=1)
        found = run(images.permute(0, 2, 3, 1).contiguous())
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.sum(dim=1), torch.ones(2))


def test_plain_tensors_are_the_networks(trained: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / f"{name}.safetensors" for name in ("a", "b")]
    for out in outputs:
        export_file(str(trained), out)
    expected = modelfile.load(trained).state_dict()
    found = safetensors.torch.load_file(outputs[0])
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_auxiliary_heads_stay_behind(tmp_path: Path) -> None:
    described = describe("googlenet", input_size=(64, 64))
    network, model = modelfile.build(described), tmp_path / "g.safetensors"
    modelfile.save(model, network, described)
    unchecked = Wishes(checked=False)
    made = export_file(str(model), tmp_path / "tensors.safetensors", wishes=unchecked)
    found = safetensors.torch.load_file(made.path)
    gone = network.state_dict().keys() - found.keys()
    assert {name.split(".")[0] for name in gone} == {"aux1", "aux2"}
    export_file(str(model), tmp_path / "out.pt2", wishes=unchecked)
    run = torch.export.load(tmp_path / "out.pt2")
    assert {name.removeprefix("network.") for name in run.state_dict} == found.keys()
    images = torch.rand(3, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(run.module()(images), network.eval()(images))


def test_features_have_no_class(trained: Path, tmp_path: Path) -> None:
    source = modelfile.resolve(str(trained))
    pop = Pop(layers=1)
    network = pop.apply(modelfile.load(trained), source.description.input_shape)
    described = modelfile.with_edits(source.description, [pop])
    modelfile.save(tmp_path / "m.safetensors", network, described)
    made = export_file(str(tmp_path / "m.safetensors"), tmp_path / "m.pt2")
    assert (made.document.gives, made.classes, made.output_shape) == ("features", None, (84,))
    assert made.document.parity is not None
    assert made.document.parity.top1_agreement is None
    with pytest.raises(UsageError, match="--softmax does not apply"):
        export_file(
            str(tmp_path / "m.safetensors"), tmp_path / "n.onnx", wishes=Wishes(softmax=True)
        )


def test_weights_too_large_lie_beside(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_format, "IN_ONE_FILE_BYTES", 100_000)
    out, data = tmp_path / "out.onnx", tmp_path / "out.onnx.data"
    made = export_file(str(trained), out)
    assert made.data_path == data
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.onnx", "out.onnx.data"]
    assert out.stat().st_size < 100_000 < data.stat().st_size
    onnx.checker.check_model(str(out))
    source = modelfile.resolve(str(trained))
    images = normalize(pictures(source, 3), source.description.preprocessing)
    with torch.no_grad():
        expected = modelfile.load(trained)(images)
    torch.testing.assert_close(answers(out)(images), expected, rtol=1e-4, atol=1e-4)
    out.unlink()
    converted: Any = SimpleNamespace(has_data_file=True)
    with pytest.raises(OutputExistsError, match=r"out\.onnx\.data exists"):
        export._data_path(out, converted, force=False)
    assert export._data_path(out, converted, force=True) == data


def exported_in_two(
    model: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """An ONNX file and its weights beside it."""
    out = directory / "out.onnx"
    with monkeypatch.context() as patched:
        patched.setattr(onnx_format, "IN_ONE_FILE_BYTES", 100_000)
        export_file(str(model), out)
    return out, directory / "out.onnx.data"


def test_weights_of_a_file_that_was_replaced_go_with_it(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, data = exported_in_two(trained, tmp_path, monkeypatch)
    assert onnx_files.external_files(out) == {data: data.stat().st_size}
    other = tmp_path / "other.onnx.data"
    other.write_bytes(b"mine")
    made = export_file(str(trained), out, force=True)
    assert not data.exists()
    assert other.exists()
    assert any("out.onnx.data was removed" in note for note in made.notes)
    data.write_bytes(b"mine")
    export_file(str(trained), out, force=True)
    assert data.read_bytes() == b"mine"
    out.write_bytes(b"no model")
    export_file(str(trained), out, force=True)
    assert data.read_bytes() == b"mine"


def test_weights_stay_where_they_were_not_all_of_a_file(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, data = exported_in_two(trained, tmp_path, monkeypatch)
    model = onnx.load(str(out), load_external_data=False)
    first = next(one for one in model.graph.initializer if one.external_data)
    moved = tmp_path / "second.data"
    moved.write_bytes(data.read_bytes())
    next(one for one in first.external_data if one.key == "location").value = moved.name
    out.write_bytes(model.SerializeToString())
    export_file(str(trained), out, force=True)
    assert data.exists(), "the file had other weights besides"
    assert moved.exists()


def test_weights_beside_never_replace_the_model(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_format, "IN_ONE_FILE_BYTES", 100_000)
    source = modelfile.resolve(str(trained)).path
    assert source is not None
    model = tmp_path / "out.onnx.data"
    model.write_bytes(source.read_bytes())
    with pytest.raises(UsageError, match=r"out\.onnx\.data is the model itself"):
        export_file(str(model), tmp_path / "out.onnx", force=True)
    assert model.read_bytes() == source.read_bytes()


@contextmanager
def small_files(most_bytes: int) -> Iterator[None]:
    """Inside, a file ends there, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("kind", ["pt2", "safetensors"])
def test_a_full_disk_leaves_nothing(kind: Kind, trained: Path, tmp_path: Path) -> None:
    with small_files(100_000), pytest.raises(DiskError, match="Can't write"):
        export_file(str(trained), tmp_path / f"out.{kind}")
    assert not list(tmp_path.iterdir())


def test_what_differs_is_not_written(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.pt2"
    out.write_text("the old one")
    genuine = pt2.opened

    def drifted(by: float) -> None:
        monkeypatch.setattr(
            pt2, "opened", lambda path, job: lambda x: genuine(path, job)(x) * (1 + by)
        )

    drifted(1e-3)
    with pytest.raises(ThresholdError, match="differs from the network") as caught:
        export_file(str(trained), out, force=True)
    figures = caught.value.results["parity"]
    assert figures["checked"]
    assert figures["max_abs_diff"] > 1e-4
    assert figures["top1_agreement"] == 1.0
    assert [path.read_text() for path in tmp_path.iterdir()] == ["the old one"]
    drifted(1e-5)
    export_file(str(trained), out, force=True)


def test_ctrl_c_leaves_nothing(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        assert list(tmp_path.iterdir())  # the file is being made
        raise KeyboardInterrupt

    monkeypatch.setattr(parity, "compare", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_file(str(trained), tmp_path / "out.safetensors")
    assert not list(tmp_path.iterdir())


def test_unchecked_is_said(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    export_file(str(trained), out, wishes=Wishes(checked=False))
    assert read_exported(out).parity is None


class Odd(nn.Module):
    """A network with an operation of one's own choice in it."""

    def __init__(self, operation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.c1, self.inner, self.operation = nn.Conv2d(1, 10, 28), Inner(operation), operation

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self.c1(x)).flatten(1)


class Inner(nn.Module):
    def __init__(self, operation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, x: Tensor) -> Tensor:
        return self.operation(x)


def branching(x: Tensor) -> Tensor:
    return x * 2 if x.sum() > 0 else x


@pytest.mark.parametrize(
    ("kind", "operation", "said"),
    [
        (
            "onnx",
            torch.special.bessel_j0,
            r"nothing for torch's \S*bessel_j0\. In inner, an? Inner",
        ),
        ("pt2", branching, r"data-dependent.*\(line \d+ of tests\S*\)\. In inner, an? Inner"),
        ("pt2", lambda x: x.reshape(2, -1), "fixes the size of a batch"),
    ],
)
def test_what_a_format_lacks_is_named(
    kind: Kind,
    operation: Callable[[Tensor], Tensor],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(modelfile, "instantiate", lambda _: Odd(operation))
    monkeypatch.setattr(export, "drop_auxiliary", lambda *_: None)
    with pytest.raises(UsageError, match=said) as caught:
        export_file("keras-mnist-cnn", tmp_path / f"out.{kind}")
    assert "\n" not in caught.value.message
    assert not list(tmp_path.iterdir())


def test_the_pictures_may_be_anywhere_else(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise DataError("digits is not on this machine.")

    monkeypatch.setattr("zoo.data.sources.read", missing)
    made = export_file(str(trained), tmp_path / "a.safetensors")
    assert made.document.parity is not None
    assert made.document.parity.recipe is None
    assert "checked with random pictures" in made.notes[0]
    with pytest.raises(DataError):
        export_file(str(trained), tmp_path / "b.safetensors", wishes=Wishes(recipe_name="digits"))


def test_metadata_is_enough_to_use_the_file(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    made = export_file(str(trained), out, wishes=Wishes(opset=18, checked=False))
    assert made.settings == {"opset": 18}
    model = onnx.load(out)
    assert [one.version for one in model.opset_import if not one.domain] == [18]
    found = {one.key: json.loads(one.value) for one in model.metadata_props}
    assert found.keys() == {"zoo", "classes", "input"}
    assert found["classes"] == [str(digit) for digit in range(10)]
    assert found["input"] == made.input
    assert found["input"]["shape"] == [None, 1, 32, 32]
    assert np.allclose(found["input"]["mean"], 0.306, atol=0.01)


EVERY = [(card, kind) for card in CARDS for kind in GRAPHS]


@pytest.mark.slow
@pytest.mark.parametrize(("card", "kind"), EVERY, ids=lambda value: getattr(value, "name", value))
def test_every_curated_network(card: Architecture, kind: Kind, tmp_path: Path) -> None:
    network, described = built(card.name)
    check_exported(network, described, kind, tmp_path)


FAMILIES = sorted({card.family for card in CARDS})


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("edit", ["pruned", "popped"])
def test_an_edited_network_of_every_family(family: str, edit: str, tmp_path: Path) -> None:
    cards = sorted((c for c in CARDS if c.family == family), key=lambda c: c.mult_adds)
    for card in cards:
        network, described = built(card.name)
        try:
            if edit == "pruned":
                change: Any = prune_channels(network, described.input_shape, ratio=0.3)
                settle(network, described.input_shape, torch.Generator().manual_seed(0))
            else:
                change = Pop(layers=1)
                network = change.apply(network, described.input_shape)
        except StructureError:
            continue
        check_exported(network, modelfile.with_edits(described, [change]), "onnx", tmp_path)
        return
    pytest.skip(f"no network of {family} can be {edit}")


def check_exported(network: nn.Module, described: Any, kind: Kind, directory: Path) -> None:
    model, out = directory / "m.safetensors", directory / f"out.{kind}"
    modelfile.save(model, network, described)
    made = export_file(str(model), out)
    assert made.document.parity is not None
    assert made.largest is not None
    assert made.document.parity.max_abs_diff <= 1e-4 * made.largest
    source = modelfile.resolve(str(out), exported=True)
    images = pictures(source, 3)
    ready = normalize(images, described.preprocessing)
    with torch.no_grad():
        expected = network.eval()(ready)
    found = open_runtime(source, FP32).logits(images)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * made.largest)
