"""The table of published weights says what the installed torchvision says."""

import csv
from pathlib import Path

import pytest
import torchvision

from tests.make_weights_table import classes_rows, weights_rows
from zoo import published


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.skipif(
    not torchvision.__version__.startswith("0.29."), reason="the table is of torchvision 0.29"
)
def test_the_tables_are_torchvisions() -> None:
    assert rows(published.WEIGHTS_TABLE) == weights_rows()
    assert rows(published.CLASSES_TABLE) == classes_rows()


def test_the_default_comes_first() -> None:
    assert [w.name for w in published.of_torchvision("vit_b_16")] == [
        "imagenet1k-v1", "imagenet1k-swag-e2e-v1", "imagenet1k-swag-linear-v1",
    ]  # fmt: skip
    assert published.of_torchvision("resnet50")[0].name == "imagenet1k-v2"
    assert published.of_torchvision("lenet5") == ()


def test_every_file_name_ends_in_its_digest() -> None:
    for weights in (w for entries in published._table().values() for w in entries):
        assert len(weights.sha256_prefix) in (8, 10)
        assert int(weights.sha256_prefix, 16)


def test_licences_are_told_apart() -> None:
    for weights in (w for entries in published._table().values() for w in entries):
        assert (weights.licence == "CC-BY-NC-4.0") == ("swag" in weights.name)


def test_classes_are_distinct() -> None:
    classes = published.imagenet_classes()
    assert len(classes) == len({*classes.values()}) == 1000
    assert classes["n02099601"] == "golden retriever"
