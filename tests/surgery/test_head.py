"""New heads."""

import pytest
import torch
from torch import nn

from zoo import modelfile
from zoo.description import describe
from zoo.errors import StructureError
from zoo.layers import Shape
from zoo.surgery import Edit, Head, NoTop, Pop
from zoo.surgery.head import replacing


def edited(name: str, *edits: Edit) -> tuple[nn.Module, Shape]:
    """The network, and the shape of its output."""
    described = describe(name)
    network = modelfile.outline(described).eval()
    for edit in edits:
        network = edit.apply(network, described.input_shape).to("meta")
    pictures = torch.empty(2, *described.input_shape, device="meta")
    return network, network(pictures).shape[1:]


@pytest.mark.parametrize(
    ("name", "body", "head", "added"),
    [
        ("lenet5", Pop(layers=1), Head(num_classes=3), 84 * 3 + 3),
        ("resnet18", NoTop(), Head(num_classes=3), 512 * 3 + 3),
        ("resnet18", NoTop(), Head(num_classes=3, form="flatten"), 512 * 49 * 3 + 3),
        ("torchvision/vit_b_16", NoTop(), Head(num_classes=3), 768 * 3 + 3),
        ("torchvision/vit_b_16", Pop(layers=2), Head(num_classes=3, form="flatten"),
         197 * 768 * 3 + 3),
        ("torchvision/convnext_tiny", NoTop(), Head(num_classes=3), 768 * 3 + 3),
    ],
)  # fmt: skip
def test_a_head_is_put_on_features(name: str, body: Edit, head: Head, added: int) -> None:
    bare, _ = edited(name, body)
    whole, output = edited(name, body, head)
    assert output == (3,)
    before, after = (sum(p.numel() for p in each.parameters()) for each in (bare, whole))
    assert after - before == added
    assert [*whole.state_dict()][: len(bare.state_dict())] == [*bare.state_dict()]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("torchvision/vit_b_16", Pop(layers=2)),  # tokens
        ("torchvision/swin_t", Pop(layers=4)),  # maps with their channels last
    ],
)
def test_what_is_no_map_is_not_averaged(name: str, body: Edit) -> None:
    with pytest.raises(StructureError, match="no maps with their channels first") as caught:
        edited(name, body, Head(num_classes=3))
    assert "--head flatten" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("lenet5", ("out",)),
        ("keras-mnist-cnn", ("dense_2",)),
        ("squeezenet1_1", ("classifier.1",)),  # a convolution
        ("googlenet", ("fc", "aux1.fc2", "aux2.fc2")),
        ("torchvision/swin_t", ("head",)),
    ],
)
def test_a_head_is_replaced_by_one_of_its_kind(name: str, layers: tuple[str, ...]) -> None:
    described = describe(name)
    network = modelfile.outline(described)
    edit = replacing(network, described.input_shape, 3)
    assert edit == Head(num_classes=3, layers=layers)
    kinds = [type(network.get_submodule(layer)) for layer in layers]
    replaced, output = edited(name, edit)
    assert output == (3,)
    assert [type(replaced.get_submodule(layer)) for layer in layers] == kinds
    assert all(tensor.is_meta for tensor in network.parameters())  # it was looked at, no more


def test_one_head_after_another() -> None:
    head = Head(num_classes=3)
    network, _ = edited("lenet5", Pop(layers=2), head)
    again = replacing(network, (1, 32, 32), 5)
    assert again.layers == ("head",)
    popped, features = edited("lenet5", Pop(layers=2), head, again, Pop(layers=1))
    assert features == (120,)
    assert "head" not in dict(popped.named_modules())


def test_heads_of_other_kinds_are_refused() -> None:
    described = describe("lenet5-1998")
    with pytest.raises(StructureError):
        replacing(modelfile.outline(described), described.input_shape, 3)
    with pytest.raises(StructureError, match="has its own head"):
        edited("lenet5", Head(num_classes=3))
    with pytest.raises(StructureError, match="neither Linear nor Conv2d"):
        edited("lenet5", Head(num_classes=3, layers=("s2",)))
    with pytest.raises(StructureError, match="does not fit"):
        edited("lenet5", Head(num_classes=3, layers=("f6",)))


def test_what_a_description_says_of_its_head() -> None:
    described = describe("lenet5")
    known = []
    for edit in (NoTop(), Head(num_classes=3), Pop(layers=1), Head(num_classes=5)):
        described = modelfile.with_edits(described, [edit])
        known.append((described.is_headless, described.num_classes))
    assert known == [(True, 10), (False, 3), (True, 3), (False, 5)]
    assert described.arguments.num_classes == 10
