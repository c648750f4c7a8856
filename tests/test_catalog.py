"""Every card states what is true of its network."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.cards import EVERY_CARD, SMALL_CARDS
from zoo import catalog, description, modelfile, shipped
from zoo.cards import IMPORTED
from zoo.catalog import CARDS, Architecture
from zoo.description import Description
from zoo.errors import NotFoundError, StructureError, UsageError
from zoo.heads import split_outputs
from zoo.summary import summarize

WITH_AUXILIARY = [card for card in CARDS if card.auxiliary_from is not None]


def outputs(described: Description, *, training: bool = False) -> tuple[Tensor, list[Tensor]]:
    """What a network makes of two pictures, and its auxiliary classifiers; nothing is computed."""
    network = modelfile.outline(described).train(training)
    return split_outputs(network(torch.zeros(2, *described.input_shape, device="meta")))


@EVERY_CARD
def test_the_card_states_the_counts(card: Architecture) -> None:
    found = summarize(modelfile.outline(description.describe(card)), card.input_shape)
    assert (found.torch_params, found.total_params, found.mult_adds) == (
        card.params,
        card.total_params,
        card.mult_adds,
    )
    # Its layers are an ordered sequence: those that learn all run, and the rows add up.
    learning = [layer for layer in found.layers if layer.params and layer.type != "Parameter"]
    assert all(layer.output_shape is not None for layer in learning)
    assert len({layer.name for layer in found.layers}) == len(found.layers)
    assert sum(layer.params for layer in found.layers) == found.total_params
    assert sum(layer.torch_params for layer in found.layers) == found.torch_params
    assert sum(layer.mult_adds for layer in found.layers) == found.mult_adds


@EVERY_CARD
def test_other_classes_channels_and_the_smallest_side(card: Architecture) -> None:
    # Two pictures are enough for batch norm, also where the last maps are 1×1.
    size = (card.smallest_px, card.smallest_px + (0 if card.family == "vit" else 33))
    described = description.describe(card, num_classes=17, in_channels=2, input_size=size)
    logits, auxiliary = outputs(described, training=True)
    assert logits.shape == (2, 17)
    assert all(others.shape == (2, 17) for others in auxiliary)


def test_patches_fill_a_square() -> None:
    for size in ((32, 48), (40, 40)):
        with pytest.raises(StructureError, match="square pictures of at least 16×16, with sides"):
            modelfile.outline(description.describe("vit-b-16", input_size=size))


@SMALL_CARDS
def test_the_output_is_computed(card: Architecture) -> None:
    for classes, channels in ((card.num_classes, card.input_shape[0]), (3, 3), (17, 2)):
        described = description.describe(card, num_classes=classes, in_channels=channels)
        network = modelfile.build(described).eval()
        assert network(torch.zeros(2, *described.input_shape)).shape == (2, classes)


@pytest.mark.parametrize(
    "card", [card for card in CARDS if card.smallest_px > 1], ids=lambda card: card.name
)
def test_a_smaller_picture_is_refused_and_rightly(
    card: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    least, wide = card.smallest_px, card.input_shape[2]
    small = description.describe(card, input_size=(least - 1, wide))
    with pytest.raises(StructureError, match=f"at least {least}×{least}, not {least - 1}×{wide}"):
        modelfile.outline(small)
    monkeypatch.setitem(catalog._BY_NAME, card.name, replace(card, smallest_px=1))
    with pytest.raises(
        (RuntimeError, StructureError, ArithmeticError, UserWarning)
    ):  # torch warns of empty layers
        outputs(small)


@pytest.mark.parametrize("card", WITH_AUXILIARY, ids=lambda card: card.name)
def test_auxiliary_classifiers_train_and_vanish_in_evaluation(card: Architecture) -> None:
    described = description.describe(card)
    _, auxiliary = outputs(described, training=True)
    assert len(auxiliary) == (1 if card.name == "inception-v3" else 2)
    assert {logits.shape for logits in auxiliary} == {(2, 1000)}
    assert not outputs(described)[1]


@pytest.mark.parametrize("card", WITH_AUXILIARY, ids=lambda card: card.name)
def test_the_smallest_picture_that_auxiliary_classifiers_see(card: Architecture) -> None:
    least = card.auxiliary_from
    assert least is not None
    assert outputs(description.describe(card, input_size=(least, least)), training=True)[1]
    if least == card.smallest_px:
        return
    smaller = description.describe(card, input_size=(least, least - 1))
    assert f"at least {least}×{least}, not {least}×{least - 1}" in smaller.notes[0]
    assert not outputs(smaller, training=True)[1]
    blind = smaller.arguments.model_copy(update={"auxiliary": True})
    with pytest.raises((RuntimeError, UserWarning)):
        outputs(smaller.model_copy(update={"arguments": blind}), training=True)


@pytest.mark.parametrize(
    ("name", "params"),
    [("googlenet-2014", 6_998_552), ("googlenet", 6_624_904), ("inception-v3", 23_834_568)],
)
def test_parameters_without_auxiliary_classifiers(name: str, params: int) -> None:
    described = description.describe(name)
    without = described.arguments.model_copy(update={"auxiliary": False})
    network = modelfile.outline(described.model_copy(update={"arguments": without}))
    assert sum(p.numel() for p in network.parameters()) == params


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
    cards = (*CARDS, *IMPORTED, *catalog.cards_of("timm"))
    built = {card.builder.partition(":")[0].rpartition(".")[2] for card in cards}
    assert built == {path.stem for path in Path(root).glob("*.py")} - {"__init__"}


@pytest.mark.parametrize("card", IMPORTED, ids=lambda card: card.name)
def test_what_only_files_have_is_no_model(card: Architecture) -> None:
    assert catalog.find(card.name) is card  # a file that holds one is read
    assert card not in catalog.select(libraries=True)
    assert card.is_imported
    with pytest.raises(NotFoundError, match="is no network by itself") as refused:
        modelfile.resolve(card.name.replace("-", "_"))
    assert "zoo import keras" in refused.value.hint
    assert "Did you mean" not in catalog.not_found(f"{card.name}s").message


def test_what_looks_like_a_path_is_missed_as_one(tmp_path: Path) -> None:
    (tmp_path / "lenet5-digits").mkdir()
    error = catalog.not_found(str(tmp_path / "lenet5-digit"))
    assert error.message.endswith(f"Did you mean {tmp_path / 'lenet5-digits'}?")
    assert catalog.not_found("lenet5.onxn").message == "There is no file or run lenet5.onxn."


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

    assert names() == sorted(card.name for card in CARDS)
    assert names(family="lenet") == ["lenet5", "lenet5-1998"]
    assert names(search="lecun SPARSE") == ["lenet5-1998"]
    assert names(max_params=61_000) == ["lenet5-1998"]
    assert {"resnet50", "vgg16"} <= {*names(pretrained=True)}
    assert "lenet5" not in names(pretrained=True)
    assert names(sort="params")[:3] == ["lenet5-1998", "lenet5", "keras-mnist-cnn"]
    best = [card.top1 for card in catalog.select(sort="top1", pretrained=True)]
    assert best == sorted(best, reverse=True)
    assert names(sort="top1")[: len(best)] == names(sort="top1", pretrained=True)
    with pytest.raises(UsageError, match="No family"):
        catalog.select(family="lennet")
