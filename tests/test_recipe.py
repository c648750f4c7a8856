"""Recipes: strict, and helpful about what is wrong."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from zoo import recipe, shipped
from zoo.errors import RecipeError
from zoo.recipe import load_recipe, override
from zoo.schema import SECTIONS, Augment, Recipe, Train


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


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.dates()
)
KEYS = st.one_of(
    st.sampled_from([*Recipe.model_fields, *Augment.model_fields, *Train.model_fields]),
    st.text(max_size=8),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=st.dictionaries(KEYS, VALUES, max_size=4))
def test_anything_is_valid_or_a_recipe_error(document: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "made.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(document, file)
    with contextlib.suppress(RecipeError):
        load_recipe(str(path))
