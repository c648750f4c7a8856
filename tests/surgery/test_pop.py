"""The last layers taken off."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from zoo import modelfile
from zoo.description import describe
from zoo.errors import StructureError
from zoo.layers import ordered
from zoo.surgery import NoTop, Pop


def outline(name: str) -> tuple[nn.Module, tuple[int, int, int]]:
    described = describe(name)
    return modelfile.outline(described), described.input_shape


def works(name: str, number: int) -> bool:
    network, shape = outline(name)
    try:
        Pop(layers=number).apply(network, shape)
    except StructureError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "tried", "legal"),
    [
        ("resnet18", [1, 2, 3, 5, 6, 7, 11, 12, 42], [1, 2, 6, 12, 42]),
        ("vgg11", [1, 5, 6, 18], [1, 5, 6, 18]),
        ("googlenet", [3, 4, 15, 16, 17], [3, 16]),
        ("keras-mnist-cnn", list(range(1, 11)), list(range(1, 11))),
        ("lenet5-1998", list(range(1, 7)), list(range(1, 7))),
    ],
)
def test_where_a_network_can_end(name: str, tried: list[int], legal: list[int]) -> None:
    assert [number for number in tried if works(name, number)] == legal


@pytest.mark.parametrize(
    ("name", "number", "output", "params"),
    [
        ("keras-mnist-cnn", 2, (64,), 87_162 - 650),  # Keras's figure
        ("keras-mnist-cnn", 4, (1152,), 1_040 + 11_552),  # its Flatten is the last layer left
        ("lenet5", 1, (84,), 61_706 - 850),
        ("lenet5", 2, (120,), 61_706 - 850 - 10_164),
        ("resnet18", 1, (512,), 11_176_512),
        ("resnet18", 2, (512, 7, 7), 11_176_512),
        ("googlenet", 3, (1024, 7, 7), 5_599_904),  # auxiliary classifiers go
        ("torchvision/vit_b_16", 2, (197, 768), 85_798_656 - 1_536),
    ],
)
def test_what_is_left(name: str, number: int, output: tuple[int, ...], params: int) -> None:
    network, shape = outline(name)
    rows = [row.name for row in ordered(network, shape).layers if ".aux" not in f".{row.name}"]
    popped = Pop(layers=number).apply(network, shape)
    assert popped(torch.empty(2, *shape, device="meta")).shape == (2, *output)
    assert sum(p.numel() for p in popped.parameters()) == params
    assert [row.name for row in ordered(popped, shape).layers] == rows[:-number]


def test_an_activation_stays_with_the_row_that_it_follows() -> None:
    network, shape = outline("lenet5")
    network = modelfile.build(describe("lenet5")).eval()
    picture = torch.rand(2, *shape)
    expected: list[Tensor] = []
    network.f6_tanh.register_forward_hook(lambda _m, _i, output: expected.append(output))  # type: ignore[union-attr]
    network(picture)
    popped = Pop(layers=1).apply(network, shape)
    assert torch.equal(popped(picture), expected[0])
    assert not popped.training


def test_popping_one_by_one_is_popping_at_once() -> None:
    network, shape = outline("vgg11")
    once = Pop(layers=5).apply(network, shape)
    for _ in range(5):
        network = Pop(layers=1).apply(network, shape)
    assert list(network.state_dict()) == list(once.state_dict())
    assert network(torch.empty(1, *shape, device="meta")).shape == (1, 25_088)


def test_nothing_but_the_network_is_changed() -> None:
    network = modelfile.build(describe("resnet20")).train()
    network.stage1.eval()  # type: ignore[union-attr]
    popped = Pop(layers=2).apply(network, (3, 32, 32))
    assert network.training
    assert not network.stage1.training  # type: ignore[union-attr]
    assert network.out.training  # type: ignore[union-attr]
    assert popped.training
    assert popped.get_parameter("conv1.weight") is network.get_parameter("conv1.weight")


@pytest.mark.parametrize(
    ("name", "number", "message", "hint"),
    [
        ("resnet18", 3, "after layer4.1.conv2", "--pop 2 and --pop 6"),
        ("resnet18", 7, "no single tensor", "--pop 6 and --pop 12"),
        ("lenet5", 7, "has 7 layers", "zoo summary"),
        ("lenet5", 99, "has 7 layers", "zoo summary"),
    ],
)
def test_what_can_not_be_popped(name: str, number: int, message: str, hint: str) -> None:
    network, shape = outline(name)
    with pytest.raises(StructureError, match=message) as caught:
        Pop(layers=number).apply(network, shape)
    assert hint in caught.value.hint


class Unfollowed(nn.Module):
    """Its forward looks at pictures one by one, which torch.fx can't follow."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 2, 1), nn.Conv2d(2, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps."""
        return torch.stack([self.two(picture) for picture in self.one(x)])


def test_one_that_can_not_be_followed_is_refused() -> None:
    with pytest.raises(StructureError, match="can't be followed") as caught:
        Pop(layers=1).apply(Unfollowed(), (1, 4, 4))
    assert "line " in caught.value.message
    assert "of tests.surgery.test_pop" in caught.value.message


def test_a_top_can_be_taken_off_what_was_popped() -> None:
    network, shape = outline("vgg11")
    popped = Pop(layers=1).apply(network, shape)
    bare = NoTop().apply(popped, shape)
    assert bare(torch.empty(1, *shape, device="meta")).shape == (1, 512, 7, 7)


def test_a_file_gives_the_same_in_a_new_process(tmp_path: Path) -> None:
    from zoo.shrinking import edited, shrink

    path = tmp_path / "popped.safetensors"
    found = shrink("resnet20", lambda n: edited(n, [Pop(layers=2)]), path, needs_weights=False)
    assert found.description.edits == ({"edit": "pop", "layers": 2},)
    network, picture = modelfile.load(path), torch.linspace(0, 1, 3 * 32 * 32).view(1, 3, 32, 32)
    whole = modelfile.build(describe("resnet20")).eval()
    inside: list[Tensor] = []
    whole.pool.register_forward_pre_hook(lambda _m, args: inside.append(args[0]))  # type: ignore[union-attr]
    whole(picture)
    torch.testing.assert_close(network(picture), inside[0])
    torch.save((picture, network(picture)), tmp_path / "expected.pt")
    code = (
        "import sys, torch; from zoo import modelfile\n"
        f"x, y = torch.load({str(tmp_path / 'expected.pt')!r}, weights_only=True)\n"
        f"print(torch.equal(modelfile.load({str(path)!r})(x), y))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stdout.strip() == "True", ended.stderr
