"""Predictions: the evaluation's probabilities, for any picture, a batch at a time."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.pictures import encoded, gradient, write_folder
from zoo import modelfile, prediction
from zoo.data import Access, open_data
from zoo.data.loader import evaluation_batches
from zoo.description import Description, describe
from zoo.errors import ModelFileError, NotFoundError, UsageError
from zoo.evaluation import evaluate
from zoo.prediction import Classifier, Failed, Prediction
from zoo.schema import Dataset, Preprocess

CLASSES = ("circle", "square", "triangle")


def write_model(path: Path, described: Description, *, steepness: float = 30.0) -> Path:
    """A model file with random weights that has opinions: its last layer is enlarged."""
    network = modelfile.build(described)
    with torch.no_grad():
        list(network.parameters())[-2].mul_(steepness)
    modelfile.save(path, network, described)
    return path


def trained_somewhere(described: Description) -> Description:
    return described.model_copy(update={"origin": "elsewhere"})


def gray(classes: tuple[str, ...] = CLASSES) -> Description:
    described = describe("lenet5", num_classes=3)
    return trained_somewhere(described).model_copy(update={"classes": classes})


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    path = write_model(tmp_path_factory.mktemp("model") / "m.safetensors", gray())
    return prediction.load(str(path))


def predicted(
    classifier: Classifier, paths: Sequence[Path | str], top: int = 1, min_probability: float = 0.0
) -> list[Prediction | Failed]:
    names = [str(path) for path in paths]
    batches = prediction.predict(classifier, names, top=top, min_probability=min_probability)
    return [outcome for batch in batches for outcome in batch]


def shown(classifier: Classifier, path: Path, content: bytes) -> Prediction:
    """What one picture shows; its content decides, whatever it is called."""
    path.write_bytes(content)
    (outcome,) = predicted(classifier, [path], top=3)
    assert isinstance(outcome, Prediction), outcome
    return outcome


def close(one: Prediction, other: Prediction, tolerance: float = 1e-6) -> bool:
    mine = {ranked.label: ranked.probability for ranked in one.top}
    theirs = {ranked.label: ranked.probability for ranked in other.top}
    assert mine.keys() == theirs.keys()
    return all(abs(mine[label] - theirs[label]) <= tolerance for label in mine)


@pytest.mark.parametrize(
    ("channels", "size", "preprocess"),
    [
        (1, (32, 32), Preprocess()),
        (3, (40, 36), Preprocess(fit="crop", mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))),
        (3, (32, 32), Preprocess(samplewise_center=True, samplewise_std_normalization=True)),
    ],
    ids=["gray", "crop", "samplewise"],
)
def test_probabilities_are_those_of_an_evaluation(
    channels: int, size: tuple[int, int], preprocess: Preprocess, tmp_path: Path
) -> None:
    root = write_folder(tmp_path / "pics", count=60, size=30)
    for path in sorted(root.rglob("*.png"))[::3]:  # not all of one size
        with Image.open(path) as picture:
            picture.resize((41, 27)).save(path)
    described = describe("lenet5", 3, channels, size, preprocess)
    described = trained_somewhere(described).model_copy(update={"classes": CLASSES})
    model = write_model(tmp_path / "m.safetensors", described)

    opened = open_data(
        Dataset(source="folder", validation=0), described.preprocessing, Access(root)
    )
    network = modelfile.load(model)
    with torch.inference_mode():
        expected = torch.cat(
            [
                network(batch.images).softmax(dim=1)
                for batch in evaluation_batches(
                    opened.parts["train"], described.preprocessing, batch_size=7
                )
            ]
        )
    found = predicted(
        prediction.load(str(model)), [root / n for n in opened.parts["train"].names], top=3
    )
    labels = []
    for outcome, row in zip(found, expected, strict=True):
        assert isinstance(outcome, Prediction)
        assert outcome.label == CLASSES[int(row.argmax())]
        for ranked in outcome.top:
            assert abs(ranked.probability - float(row[CLASSES.index(ranked.label)])) < 1e-6
        labels.append(outcome.label)
    assert len(set(labels)) > 1  # or the test would say little

    figures = evaluate(
        model, overrides=("dataset.validation=0",), data_directory=root, split="train"
    ).figures
    assert [labels.count(name) for name in CLASSES] == [
        sum(row[index] for row in figures.confusion) for index in range(3)
    ]


def test_the_top_is_sorted_capped_and_adds_up(classifier: Classifier, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(gradient(), "PNG"))
    for asked, given in ((1, 1), (2, 2), (3, 3), (99, 3)):
        (outcome,) = predicted(classifier, [tmp_path / "a.png"], top=asked)
        assert isinstance(outcome, Prediction)
        assert len(outcome.top) == given
        probabilities = [ranked.probability for ranked in outcome.top]
        assert probabilities == sorted(probabilities, reverse=True)
        assert (outcome.label, outcome.probability) == (outcome.top[0].label, probabilities[0])
        if given == 3:
            assert sum(probabilities) == pytest.approx(1)


def test_of_equal_outputs_the_first_wins(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.safetensors", gray(), steepness=0.0)
    network = modelfile.load(path)
    with torch.no_grad():
        list(network.parameters())[-1].zero_()
    modelfile.save(path, network, gray())
    (tmp_path / "a.png").write_bytes(encoded(gradient(), "PNG"))
    (outcome,) = predicted(prediction.load(str(path)), [tmp_path / "a.png"], top=3)
    assert isinstance(outcome, Prediction)
    assert [ranked.label for ranked in outcome.top] == list(CLASSES)


def test_an_unsure_label_is_left_out_but_not_its_probability(
    classifier: Classifier, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(encoded(gradient(), "PNG"))
    (sure,) = predicted(classifier, [tmp_path / "a.png"])
    assert isinstance(sure, Prediction)
    (at,) = predicted(classifier, [tmp_path / "a.png"], min_probability=sure.probability)
    assert at == sure
    above = float(np.nextafter(sure.probability, 1))
    (unsure,) = predicted(classifier, [tmp_path / "a.png"], min_probability=above)
    assert isinstance(unsure, Prediction)
    assert (unsure.label, unsure.probability, unsure.top) == (None, sure.probability, sure.top)


def test_bad_pictures_fail_alone_and_in_their_place(classifier: Classifier, tmp_path: Path) -> None:
    good = encoded(gradient(), "PNG")
    contents = {
        "1-good.png": good,
        "2-text.png": b"This is no picture.\n" * 50,
        "3-cut.jpg": encoded(gradient(size=(64, 64)), "JPEG")[:400],
        "4-empty.jpg": b"",
        "5-good.jpg": encoded(gradient(), "JPEG"),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "6-directory.png").mkdir()
    (tmp_path / "7-loop.png").symlink_to("7-loop.png")
    names = [*contents, "6-directory.png", "7-loop.png", "8-missing.png"]
    outcomes = predicted(classifier, [tmp_path / name for name in names])
    assert [outcome.path for outcome in outcomes] == [str(tmp_path / name) for name in names]
    reasons = {
        Path(outcome.path).name: outcome.message
        for outcome in outcomes
        if isinstance(outcome, Failed)
    }
    assert set(reasons) == {*names} - {"1-good.png", "5-good.jpg"}
    assert reasons["2-text.png"].startswith("no JPEG, PNG")
    assert reasons["3-cut.jpg"].startswith("damaged: ")
    assert reasons["4-empty.jpg"] == "the file is empty"
    assert reasons["6-directory.png"] == "is a directory"
    assert reasons["8-missing.png"] == "no such file or directory"


def test_a_batch_of_bad_pictures_only(classifier: Classifier, tmp_path: Path) -> None:
    assert predicted(classifier, [tmp_path / "a", tmp_path / "b"]) == [
        Failed(str(tmp_path / name), "no such file or directory") for name in "ab"
    ]
    assert predicted(classifier, []) == []


def test_any_mode_shows_what_its_plain_twin_shows(classifier: Classifier, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    plain = shown(classifier, path, encoded(gradient("L"), "PNG"))
    deep = Image.fromarray(np.array(gradient("L")).astype(np.uint16) * 257)
    clear = gradient().quantize(255)
    upright = gradient(size=(8, 12)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 8  # to be seen turned by 90 degrees to the left

    assert close(shown(classifier, path, encoded(deep, "PNG")), plain)
    as_rgb = encoded(gradient("L").convert("RGB"), "PNG")
    assert close(shown(classifier, path, as_rgb), plain)
    turned = shown(classifier, path, encoded(gradient(size=(8, 12)), "PNG", exif=exif))
    stands = shown(classifier, path, encoded(upright, "PNG"))
    assert close(turned, stands)
    assert not close(stands, shown(classifier, path, encoded(gradient(size=(8, 12)), "PNG")))
    cmyk = shown(classifier, path, encoded(gradient().convert("CMYK"), "TIFF"))
    assert close(cmyk, shown(classifier, path, encoded(gradient(), "PNG")), tolerance=0.05)
    # All of it transparent, so white.
    see_through = encoded(clear, "PNG", transparency=bytes(256))
    white = shown(classifier, path, encoded(Image.new("RGB", clear.size, "white"), "PNG"))
    assert close(shown(classifier, path, see_through), white)
    assert not close(white, plain)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (999, 7)])
def test_any_size_is_fitted(size: tuple[int, int], classifier: Classifier, tmp_path: Path) -> None:
    outcome = shown(classifier, tmp_path / "a.png", encoded(gradient(size=size), "PNG"))
    assert sum(ranked.probability for ranked in outcome.top) == pytest.approx(1)


def test_pictures_are_read_a_batch_at_a_time(
    classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_folder(tmp_path / "pics", count=10)
    names = [str(path) for path in sorted(root.rglob("*.png"))]
    monkeypatch.setattr("zoo.prediction.evaluation_batch_size", lambda _: 4)
    read: list[str] = []
    original = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(str(path)) or original(path))
    sizes = []
    for batch in prediction.predict(classifier, names):
        sizes.append(len(batch))
        assert len(read) == sum(sizes)  # nothing is read ahead
    assert sizes == [4, 4, 2]


def test_the_precision_computes(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.safetensors", gray())
    (tmp_path / "a.png").write_bytes(encoded(gradient(), "PNG"))
    bf16 = prediction.load(str(path), precision="bf16")
    (short,) = predicted(bf16, [tmp_path / "a.png"])
    (exact,) = predicted(prediction.load(str(path)), [tmp_path / "a.png"])
    assert isinstance(short, Prediction)
    assert isinstance(exact, Prediction)
    assert short.probability != exact.probability
    assert short.probability == pytest.approx(exact.probability, abs=0.1)


def test_nothing_trained_predicts_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lenet5 is an architecture with nothing trained") as error:
        prediction.load("lenet5")
    assert error.value.hint == "zoo train lenet5"
    described = describe("lenet5")
    path = write_model(tmp_path / "my model", described)
    with pytest.raises(UsageError, match="a model file with nothing trained") as error:
        prediction.load(str(path))
    assert error.value.hint == f"zoo train '{path}'"
    with pytest.raises(NotFoundError):
        prediction.load(str(tmp_path / "missing"))


def test_without_class_names_labels_are_indices(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m", gray(classes=()))
    nameless = prediction.load(str(path))
    assert nameless.labels == ("0", "1", "2")
    assert "names no classes" in nameless.notes[0]


def test_a_file_whose_labels_are_not_its_outputs(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m", gray(classes=("a", "b")))
    (tmp_path / "a.png").write_bytes(encoded(gradient(), "PNG"))
    with pytest.raises(ModelFileError, match="3 numbers a picture, but has 2 classes"):
        predicted(prediction.load(str(path)), [tmp_path / "a.png"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission(classifier: Classifier, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(gradient(), "PNG"))
    path.chmod(0)
    assert predicted(classifier, [path]) == [Failed(str(path), "permission denied")]
