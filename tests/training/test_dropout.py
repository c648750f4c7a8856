"""Cheap masks drop what torch's do."""

import copy
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from zoo.training.dropout import cheap_masks, dropout

CPU = torch.device("cpu")
RATES = (0.25, 0.3, 0.5, 1 / 65536, 0.999)
COUNT = 1 << 20


def kept(p: float, count: int = COUNT, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return dropout(torch.ones(count), p) != 0


@pytest.mark.parametrize("p", RATES)
def test_as_many_are_kept_as_the_rate_says(p: float) -> None:
    sigma = (p * (1 - p) * COUNT) ** 0.5
    assert abs(int(kept(p).sum()) - (1 - p) * COUNT) < 5 * sigma + COUNT / 65536


@pytest.mark.parametrize("p", [0.25, 0.3])
def test_each_part_of_a_word_keeps_as_many(p: float) -> None:
    parts = kept(p).view(-1, 8).double().mean(dim=0)
    sigma = (p * (1 - p) / (COUNT / 8)) ** 0.5
    assert ((parts - (1 - p)).abs() < 5 * sigma).all()


@pytest.mark.parametrize("p", [0.25, 0.3])
@pytest.mark.parametrize("distance", [1, 2, 3, 4, 7, 8, 9, 624, 1248])
def test_neighbours_are_independent(p: float, distance: int) -> None:
    mask = kept(p).double() - (1 - p)
    correlation = float((mask[:-distance] * mask[distance:]).mean()) / (p * (1 - p))
    assert abs(correlation) < 5 / COUNT**0.5


@pytest.mark.parametrize("p", [0.25, 0.3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_what_is_kept_is_scaled_so_that_the_mean_stays(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.randn(1000).to(dtype)
    y = dropout(x, p)
    assert y.dtype == dtype
    survivors = y != 0
    expected = (x[survivors].double() / (1 - p)).to(dtype)
    # 0.3 itself is 19,661 / 65,536.
    torch.testing.assert_close(y[survivors], expected, rtol=torch.finfo(dtype).eps + 1e-5, atol=0)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_the_gradient_is_the_scaled_mask(p: float) -> None:
    x = torch.full((3, 5), 2.0, requires_grad=True)
    y = dropout(x, p)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, y / 2)


def test_nothing_and_everything_are_exact() -> None:
    x = torch.randn(1000)
    assert torch.equal(dropout(x, 0.0), x)
    assert torch.equal(dropout(x, 1.0), torch.zeros(1000))


def test_the_seed_decides_the_mask() -> None:
    assert torch.equal(kept(0.3, seed=1), kept(0.3, seed=1))
    assert not torch.equal(kept(0.3, seed=1), kept(0.3, seed=2))
    torch.manual_seed(1)
    one, two = dropout(torch.ones(100), 0.5), dropout(torch.ones(100), 0.5)
    assert not torch.equal(one, two)


@pytest.mark.parametrize("p", [0.25, 0.3])
@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (7,), (2, 3, 5), (2, 3, 4, 5)])
def test_any_shape(p: float, shape: tuple[int, ...]) -> None:
    assert dropout(torch.ones(shape), p).shape == shape


@pytest.mark.parametrize("p", [0.25, 0.3])
def test_the_layout_stays(p: float) -> None:
    x = torch.ones(8, 3, 5, 7)
    last = x.to(memory_format=torch.channels_last)
    assert dropout(last, p).stride() == last.stride()
    assert dropout(x.mT, p).stride() == x.mT.stride()
    for sparse in (x[:, :, ::2], x[:1].expand(8, -1, -1, -1)):
        y = dropout(sparse, p)
        assert y.shape == sparse.shape
        assert len(y.unique()) == 2
    # An expanded picture is eight pictures, each with a mask of its own.
    assert not torch.equal(y[0], y[1])


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 400), nn.Dropout(0.5), nn.Dropout(0.5, inplace=True))


def test_a_network_drops_within_the_block_and_is_itself_again_after_it() -> None:
    net = network()
    before, x = (repr(net), list(net.state_dict())), torch.ones(50, 4)
    with cheap_masks(net, CPU):
        assert (repr(net), list(net.state_dict())) == before
        torch.manual_seed(0)
        y = net(x)
        share = float((y != 0).float().mean())
        assert share == pytest.approx(0.25, abs=5 * (0.25 * 0.75 / y.numel()) ** 0.5)
        torch.manual_seed(0)
        assert torch.equal(net(x), y)
        net.eval()
        assert torch.equal(net(x), net[0](x))
    assert not torch.equal(net.train()(x), net[0](x))
    assert all("forward" not in vars(module) for module in net)


def test_an_exception_takes_the_masks_away_too() -> None:
    net = network()
    with pytest.raises(KeyError), cheap_masks(net, CPU):
        raise KeyError
    assert all("forward" not in vars(module) for module in net)


def test_a_copy_made_within_the_block_asks_itself_whether_it_trains() -> None:
    net = network()
    with cheap_masks(net, CPU):
        average = copy.deepcopy(net).eval()
        x = torch.ones(5, 4)
        assert torch.equal(average(x), net[0](x))


def test_other_devices_and_other_dropouts_are_left_alone() -> None:
    class Own(nn.Dropout):
        pass

    net = nn.Sequential(nn.Dropout(), nn.Dropout2d(), nn.AlphaDropout(), Own())
    with cheap_masks(net, torch.device("meta")):
        assert [("forward" in vars(module)) for module in net] == [False] * 4
    with cheap_masks(net, CPU):
        assert [("forward" in vars(module)) for module in net] == [True, False, False, False]


@pytest.mark.parametrize("dtype", [None, torch.bfloat16, torch.float16])
def test_under_autocast(dtype: torch.dtype | None) -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Dropout(0.25), nn.Flatten(), nn.Linear(144, 3))
    net = net.to(memory_format=torch.channels_last)
    with cheap_masks(net, CPU), torch.autocast("cpu", dtype) if dtype else nullcontext():
        logits = net(torch.randn(2, 1, 8, 8))
    assert logits.dtype == (dtype or torch.float32)
    logits.float().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
