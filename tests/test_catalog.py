"""Every card states what is true of its network."""

from importlib import import_module

import pytest
import torch

from zoo import catalog, description, modelfile, shipped
from zoo.catalog import CARDS, Architecture
from zoo.errors import NotFoundError, StructureError, UsageError
from zoo.summary import summarize

EVERY_CARD = pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)


@EVERY_CARD
def test_the_card_states_the_counts(card: Architecture) -> None:
    network = modelfile.build(description.describe(card))
    found = summarize(network, card.input_shape)
    assert (found.torch_params, found.total_params, found.mult_adds) == (
        card.params,
        card.total_params,
        card.mult_adds,
    )


@EVERY_CARD
def test_the_output_has_a_logit_per_class(card: Architecture) -> None:
    for classes, channels in ((card.num_classes, card.input_shape[0]), (3, 3), (17, 2)):
        described = description.describe(card, num_classes=classes, in_channels=channels)
        network = modelfile.build(described).eval()
        assert network(torch.zeros(2, *described.input_shape)).shape == (2, classes)


@EVERY_CARD
def test_other_input_sizes_work_or_say_why_not(card: Architecture) -> None:
    described = description.describe(card, input_size=(64, 48))
    assert modelfile.build(described).eval()(torch.zeros(1, *described.input_shape)).shape[0] == 1
    with pytest.raises(StructureError, match="at least"):
        modelfile.build(description.describe(card, input_size=(7, 64)))


@EVERY_CARD
def test_the_card_says_what_people_need(card: Architecture) -> None:
    assert card.title
    assert card.paper
    assert 1980 < card.year < 2030
    assert card.recipe in shipped.names()
    module, _, attribute = card.builder.partition(":")
    assert getattr(import_module(module), attribute).__doc__


def test_every_architecture_file_has_a_card() -> None:
    root = import_module("zoo.architectures").__path__[0]
    built = {card.builder.partition(":")[0].rpartition(".")[2] for card in CARDS}
    from pathlib import Path

    assert built == {path.stem for path in Path(root).glob("*.py")} - {"__init__"}


def test_underscore_and_hyphen_are_the_same_letter() -> None:
    assert catalog.find("keras_mnist-CNN").name == "keras-mnist-cnn"


def test_an_unknown_name_is_suggested() -> None:
    with pytest.raises(NotFoundError, match="Did you mean keras-mnist-cnn"):
        catalog.find("keras-minst-cnn")


def test_duplicate_names_are_refused() -> None:
    with pytest.raises(ValueError, match="two cards"):
        catalog._index([*CARDS, CARDS[0].__class__(**{**vars(CARDS[1]), "name": "LENET5"})])


def test_select() -> None:
    def names(**conditions: object) -> list[str]:
        return [card.name for card in catalog.select(**conditions)]  # type: ignore[arg-type]

    assert names() == ["keras-mnist-cnn", "lenet5", "lenet5-1998"]
    assert names(family="lenet") == ["lenet5", "lenet5-1998"]
    assert names(search="lecun SPARSE") == ["lenet5-1998"]
    assert names(max_params=61_000) == ["lenet5-1998"]
    assert names(pretrained=True) == []
    assert names(sort="params") == ["lenet5-1998", "lenet5", "keras-mnist-cnn"]
    assert names(sort="top1") == names()  # nobody has one: the order stays
    with pytest.raises(UsageError, match="No family"):
        catalog.select(family="lennet")
