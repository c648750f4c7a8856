"""Recipes: strict, and helpful about what is wrong."""

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from zoo import recipe, shipped
from zoo.errors import OutputExistsError, RecipeError
from zoo.recipe import load_recipe, override
from zoo.schema import SECTIONS, Recipe


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", shipped.names())
def test_shipped_recipes_are_valid_and_described(name: str) -> None:
    loaded = load_recipe(name)
    assert loaded.description
    assert shipped.headline(name) == (loaded.dataset.source, loaded.description)
    assert loaded.preprocess.size is None
    assert loaded.preprocess.channels is None


def test_all_errors_are_reported_together_with_their_places(tmp_path: Path) -> None:
    text = (
        "train: {epohs: 3, lr: -1}\n"
        "augmnt:\n  rotation_range: 1\n"
        "augment:\n  zoom_range: hi\n  rotation_range: yes\n  fill_mode: neerest\n"
        "preprocess: {std: 0, size: [1, 2, 3]}\n"
    )
    name = write(tmp_path, text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(name)
    details = caught.value.details
    assert [(d.line, d.column, d.path) for d in details] == [
        (1, 9, "train.epohs"),
        (1, 19, "train.lr"),
        (2, 1, "augmnt"),
        (5, 3, "augment.zoom_range"),
        (6, 3, "augment.rotation_range"),
        (7, 3, "augment.fill_mode"),
        (8, 14, "preprocess.std"),
        (8, 22, "preprocess.size"),
    ]
    assert all(detail.file == name for detail in details)
    suggestions = [detail.suggestion for detail in details if detail.suggestion]
    assert suggestions == ["Did you mean epochs?", "Did you mean augment?", "Did you mean nearest?"]
    assert caught.value.message.splitlines()[0] == (
        f"{name}:1:9: train.epohs is no option. Did you mean epochs?"
    )


@pytest.mark.parametrize(
    "text",
    [
        "train: {epochs: '3'}",
        "train: {epochs: 2.5}",
        "train: {epochs: true}",
        "train: {epochs: 0}",
        "train: {batch_size: 1}",
        "train: {lr: .nan}",
        "train: {lr: .inf}",
        "train: {optimizer: adamm}",
        "train: 3",
        "dataset: {validation: 1}",
        "dataset: {test: -0.1}",
        "dataset: {source: digitz}",
        "augment: {zoom_range: 1.5}",
        "augment: {zoom_range: [1.2, 0.8]}",
        "augment: {zoom_range: [1]}",
        "augment: {horizontal_flip: 1}",
        "preprocess: {mean: []}",
        "preprocess: {channels: 2}",
    ],
)
def test_values_that_are_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, text))
    assert caught.value.details[0].line == 1


def test_values_that_are_understood(tmp_path: Path) -> None:
    text = (
        "preprocess: {mean: 0.5, std: [1, 2, 3], size: 64, channels: 3}\n"
        "augment: {zoom_range: 0.2, rotation_range: 40, horizontal_flip: true}\n"
        "train: {lr: 1e-3, epochs: 12}\n"
    )
    loaded = load_recipe(write(tmp_path, text))
    assert loaded.preprocess.mean == (0.5,)
    assert loaded.preprocess.std == (1, 2, 3)
    assert loaded.preprocess.size == (64, 64)
    assert loaded.augment.zoom_range == (0.8, 1.2)
    assert loaded.train.lr == 0.001


def test_overrides_are_checked_like_the_file() -> None:
    loaded = load_recipe("digits", ["train.lr=1e-4", "augment.zoom_range=[0.9, 1.1]"])
    assert loaded.train.lr == 1e-4
    assert loaded.augment.zoom_range == (0.9, 1.1)
    with pytest.raises(RecipeError) as caught:
        load_recipe("digits", ["train.lr=-1", "train.epoch=3"])
    assert {(d.file, d.line) for d in caught.value.details} == {
        ("--set train.lr=-1", None),
        ("--set train.epoch=3", None),
    }
    with pytest.raises(RecipeError, match=r"SECTION\.KEY"):
        load_recipe("digits", ["train=3"])


def test_an_unknown_recipe_is_suggested() -> None:
    with pytest.raises(RecipeError, match="Did you mean digits"):
        load_recipe("digitz")


def test_the_digest_is_of_the_meaning() -> None:
    loaded = load_recipe("digits")
    assert override(loaded, []).digest() == loaded.digest()
    assert loaded.model_copy(update={"description": "other"}).digest() == loaded.digest()
    assert override(loaded, ["train.epochs=99"]).digest() != loaded.digest()


def test_a_recipe_survives_a_model_files_json() -> None:
    loaded = load_recipe("digits", ["preprocess.size=48"])
    assert recipe.from_json(loaded.content(), "m.safetensors") == loaded
    rooted = override(loaded, ["dataset.root=/somewhere"])
    assert "/somewhere" not in str(rooted.content())
    assert rooted.digest() == loaded.digest()


def test_every_field_is_documented() -> None:
    for section in (Recipe, *(f.annotation for f in Recipe.model_fields.values())):
        for name, field in getattr(section, "model_fields", {}).items():
            assert field.description or name in SECTIONS, f"{section}.{name}"


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("augment: {validation_split: 0.1}", "It is dataset.validation."),
        ("augment: {rescale: 0.1}", "It is preprocess.rescale."),
        ("augment: {featurewise_center: true}", "It is preprocess.featurewise_center."),
        ("augment: {samplewise_std_normalization: true}",
         "It is preprocess.samplewise_std_normalization."),
        ("train: {rotation_range: 3}", "It is augment.rotation_range."),
        ("dataset: {epochs: 3}", "It is train.epochs."),
        ("dataset: {sead: 3}", "Did you mean seed?"),
        ("augment: {color_jitter: {hues: 0.1}}", "Did you mean hue?"),
        ("dataset: {source: cifar}", "Did you mean cifar10?"),
    ],
)  # fmt: skip
def test_where_a_key_belongs_is_said(text: str, suggestion: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, text))
    assert [detail.suggestion for detail in caught.value.details] == [suggestion]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("dataset: {source: digits, images: 5}", "dataset.images applies to shapes only"),
        ("dataset: {source: folder, classes: [a, b]}", "dataset.classes applies to idx only"),
        ("dataset: {source: idx, classes: [a, a]}", "names a class twice"),
        ("dataset: {source: torchvision/}", "must be one of digits"),
        ("augment: {fill_mode: wrap}", "fill_mode applies to rotation, shifts, shear and zoom"),
        ("augment: {rotation_range: 3, cval: 9}", "cval applies to fill_mode: constant only"),
        ("augment: {trivial_augment: true, rand_augment: true}", "exclude one another"),
        ("augment: {random_erasing: 1.5}", "less than or equal to 1"),
        ("augment: {random_resized_crop: {scale: [0.9, 0.1]}}", "two shares of the area"),
        ("augment: {brightness_range: [1.2, 0.8]}", "the lower first"),
        ("preprocess: {mean: automatic}", "a number, a list of numbers, or auto"),
        ("preprocess: {mean: 0.5, featurewise_center: true}", "preprocess.mean is surplus"),
        ("train: {epochs: 2, head_epochs: 3}", "must not be more than train.epochs"),
        ("train: {epochs: 2, head_epochs: 1, unfreeze: 2}", "are more than train.epochs"),
        ("train: {unfreeze: 2}", "follows the epochs of train.head_epochs"),
        ("train: {unfreeze: -1}", "must be a number of epochs, or layers by epoch"),
        ("train: {unfreeze: {}}", "must be a number of epochs, or layers by epoch"),
        ("train: {unfreeze: {0: layer4}}", "for an epoch, counted from 1, which layers"),
        ("train: {unfreeze: {2: []}}", "for an epoch, counted from 1, which layers"),
        ("train: {epochs: 2, unfreeze: {3: layer4}}", "names epoch 3, after train.epochs"),
        ("train: {head_epochs: 2, unfreeze: {2: layer4}}", "layers learn in epoch 2, but train.h"),
    ],
)
def test_options_that_can_not_apply_are_errors(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=reason) as caught:
        load_recipe(write(tmp_path, text))
    assert caught.value.details[0].line == 1


def test_options_with_usual_values(tmp_path: Path) -> None:
    text = (
        "preprocess: {mean: auto, std: auto}\n"
        "augment: {random_erasing: 0.5, random_resized_crop: true, rand_augment: false,\n"
        "  gaussian_blur: {sigma: [0.5, 1]}}\n"
    )
    loaded = load_recipe(write(tmp_path, text))
    assert loaded.preprocess.measures_mean
    assert loaded.preprocess.measures_std
    augment = loaded.augment
    assert augment.random_erasing is not None
    assert augment.random_erasing.probability == 0.5
    assert augment.random_resized_crop is not None
    assert augment.random_resized_crop.scale == (0.08, 1.0)
    assert augment.rand_augment is None
    assert augment.gaussian_blur is not None
    assert augment.gaussian_blur.sigma == (0.5, 1)


def test_layers_by_epoch_survive_json(tmp_path: Path) -> None:
    loaded = load_recipe(write(tmp_path, "train: {unfreeze: {4: [low, '*.b'], 2: top}}"))
    assert loaded.train.unfreeze == {2: ("top",), 4: ("low", "*.b")}
    content = json.loads(json.dumps(loaded.content()))
    assert Recipe.model_validate(content).train == loaded.train
    assert load_recipe(write(tmp_path, recipe.resolved_yaml(loaded))).train == loaded.train


@pytest.mark.parametrize("name", shipped.names())
def test_a_resolved_recipe_means_the_same(name: str, tmp_path: Path) -> None:
    loaded = load_recipe(name)
    text = recipe.resolved_yaml(loaded)
    assert load_recipe(write(tmp_path, text)) == loaded
    assert "null" not in text


def test_the_schema_beside_the_recipes_is_the_schema() -> None:
    kept = json.loads(shipped.schema_path().read_text())
    assert kept == json.loads(json.dumps(recipe.json_schema()))
    assert set(kept["properties"]) == set(Recipe.model_fields)
    for definition in kept["$defs"].values():
        assert all("description" in field for field in definition["properties"].values())


@pytest.mark.parametrize("name", shipped.names())
def test_editors_find_the_schema(name: str, tmp_path: Path) -> None:
    first = shipped.path_of(name).read_text().splitlines()[0]
    prefix, _, place = first.partition("$schema=")
    assert prefix == "# yaml-language-server: "
    assert (shipped.path_of(name).parent / place).is_file()
    copy = recipe.copy(name, tmp_path / "mine.yaml", force=False)
    place = copy.read_text().splitlines()[0].partition("$schema=")[2]
    assert Path(place.removeprefix("file://")).is_file()
    assert load_recipe(str(copy)) == load_recipe(name)


def test_a_copy_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("mine")
    with pytest.raises(OutputExistsError):
        recipe.copy("digits", tmp_path / "mine.yaml", force=False)
    assert (tmp_path / "mine.yaml").read_text() == "mine"
    with pytest.raises(RecipeError, match="Did you mean digits"):
        recipe.copy("digitz", tmp_path / "other.yaml", force=False)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.dates(),
    st.sampled_from(["auto", "folder", "shapes", "constant", 0, 1, 0.5, 2]),
)
FIELDS = {name: list(Recipe.model_fields[name].annotation.model_fields) for name in SECTIONS}  # type: ignore[union-attr]
KEYS = st.one_of(st.sampled_from([*Recipe.model_fields, *FIELDS["train"]]), st.text(max_size=8))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
# Half of the recipes have the right sections and keys, so that the values are reached too.
SHAPED = st.fixed_dictionaries(
    {},
    optional={
        name: st.dictionaries(st.sampled_from(fields), VALUES, max_size=4)
        for name, fields in FIELDS.items()
    },
)


@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=st.dictionaries(KEYS, VALUES, max_size=4) | SHAPED)
def test_anything_is_valid_or_a_recipe_error(document: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "made.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(document, file)
    with contextlib.suppress(RecipeError):
        loaded = load_recipe(str(path))
        assert recipe.from_json(loaded.content(), "file").content() == loaded.content()


def test_the_lectures_augmentation_is_the_lectures() -> None:
    settings = load_recipe("fashion-mnist-lecture").augment.model_dump(exclude_defaults=True)
    assert settings == {
        "rotation_range": 40,
        "width_shift_range": 0.2,
        "height_shift_range": 0.2,
        "shear_range": 0.2,
        "zoom_range": (0.8, 1.2),
    }
    assert load_recipe("fashion-mnist-lecture").augment.fill_mode == "nearest"


def test_nested_keys_can_be_set() -> None:
    loaded = load_recipe("cifar10", ["augment.color_jitter.hue=0.1", "augment.mixup=0.2"])
    assert loaded.augment.color_jitter is not None
    assert loaded.augment.color_jitter.hue == 0.1
    with pytest.raises(RecipeError, match="Did you mean hue"):
        load_recipe("cifar10", ["augment.color_jitter.hues=0.1"])
    with pytest.raises(RecipeError, match=r"SECTION\.KEY"):
        load_recipe("cifar10", ["train.lr.x=1"])


def record(tmp_path: Path, resolved: Any, **document: Any) -> Path:
    """A run's directory, whose run.json holds a recipe."""
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True, exist_ok=True)
    content = {"schema": 1, "recipe": "cats", **document, "resolved_recipe": resolved}
    (run / "run.json").write_text(json.dumps(content, indent=2))
    return run


@pytest.mark.parametrize("name", shipped.names())
def test_the_recipe_of_a_run_is_a_recipe(name: str, tmp_path: Path) -> None:
    wishes = ["train.lr=1e-5", "train.epochs=40"]
    recorded = load_recipe(name, wishes)
    run = record(tmp_path, recorded.model_dump(mode="json"))
    for place in (run, run / "run.json"):
        assert load_recipe(str(place)) == recorded
        assert load_recipe(str(place)).digest() == recorded.digest()
        assert recipe.name_of(str(place)) == "cats"
        assert recipe.run_of(str(place)) == run
    changed = load_recipe(str(run), ["train.lr=0.5"])
    assert changed.train.lr == 0.5
    assert changed.train.epochs == 40
    assert recipe.run_of(name) is None


def test_a_runs_values_are_jsons_not_yamls(tmp_path: Path) -> None:
    words = "café 🐈 no: yes #1 \t"  # JSON writes the cat as two halves, which YAML leaves apart
    assert load_recipe(str(record(tmp_path, {"description": words}))).description == words


@pytest.mark.parametrize(
    ("recorded", "name"),
    [("../../up", "up"), ("/", "run"), ("", "run"), (None, "run"), (7, "run"), ("a.b", "a.b")],
)
def test_a_runs_name_leads_nowhere(recorded: Any, name: str, tmp_path: Path) -> None:
    assert recipe.name_of(str(record(tmp_path, {}, recipe=recorded))) == name


def test_what_is_wrong_in_a_runs_recipe_has_its_place(tmp_path: Path) -> None:
    run = record(tmp_path, {"train": {"epochs": 3, "future_key": 1}, "augment": {"cval": "x"}})
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(run))
    lines = (run / "run.json").read_text().splitlines()
    found = [(detail.path, detail.line, detail.column) for detail in caught.value.details]
    assert [path for path, _, _ in found] == ["train.future_key", "augment.cval"]
    for path, line, column in found:
        assert line is not None
        assert column is not None
        assert lines[line - 1][column - 1 :].startswith(f'"{path.partition(".")[2]}"')
    assert {detail.file for detail in caught.value.details} == {str(run / "run.json")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1:1: is no valid JSON"),
        ('{\n  "resolved_recipe": {\n    "train": {"epochs"', ":3:23: is no valid JSON"),
        ("[]", "is no JSON object"),
        ("[" * 100_000, "is no valid JSON"),
        ("1" * 5000, "is no valid JSON"),
        ('{"status": "finished"}', "holds no resolved_recipe"),
        ('{"a": 1,\n "resolved_recipe": [1]}', ":2:2: resolved_recipe is no recipe"),
        ('{"a": 1, "a": 2, "resolved_recipe": 7}', "resolved_recipe is no recipe"),
        ('{"resolved_recipe": {"train": {"lr": NaN}}}', "train.lr must be a finite number"),
    ],
    ids=lambda text: text[:12],
)
def test_a_damaged_run_json_is_a_recipe_error(text: str, message: str, tmp_path: Path) -> None:
    run = record(tmp_path, {})
    (run / "run.json").write_text(text)
    with pytest.raises(RecipeError, match=re.escape(message)) as caught:
        load_recipe(str(run))
    assert caught.value.message.startswith(str(run / "run.json"))


def test_a_run_json_elsewhere_and_a_recipe_in_json(tmp_path: Path) -> None:
    run = record(tmp_path, {"train": {"epochs": 3}})
    moved = tmp_path / "best.json"
    (run / "run.json").rename(moved)
    assert load_recipe(str(moved)).train.epochs == 3
    assert recipe.name_of(str(moved)) == "cats"
    assert recipe.run_of(str(moved)) is None
    moved.write_text('{"train": {"epochs": 4}}')
    assert load_recipe(str(moved)).train.epochs == 4
    assert recipe.name_of(str(moved)) == "best"
    with pytest.raises(RecipeError, match="no such file"):
        load_recipe(str(run))


def test_a_shipped_name_wins_over_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record(tmp_path, {"train": {"epochs": 3}}).rename(tmp_path / "digits")
    assert load_recipe("digits").train.epochs == 40
    assert load_recipe("./digits").train.epochs == 3


def test_the_recipe_of_a_run_is_copied_as_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recorded = load_recipe("fashion-mnist-lecture")
    run = record(tmp_path, recorded.model_dump(mode="json"))
    copy = recipe.copy(str(run), None, force=False)
    assert copy == Path("cats.yaml")
    assert copy.read_text().startswith("# yaml-language-server: $schema=file://")
    assert load_recipe(str(copy)) == recorded
