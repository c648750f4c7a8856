"""LeNet-5 against its paper (LeCun et al. 1998, section II.B)."""

import pytest
import torch
from torch import nn

from zoo.architectures.lenet5_1998 import (
    C3_READS,
    EuclideanRBF,
    LeNet5Of1998,
    ScaledTanh,
    SparseConv2d,
    Subsampling,
    class_codes,
)
from zoo.summary import summarize


def test_trainable_parameters_layer_by_layer() -> None:
    network = LeNet5Of1998()
    layers = ("c1", "s2", "c3", "s4", "c5", "f6", "out")
    counts = [sum(p.numel() for p in network.get_submodule(n).parameters()) for n in layers]
    assert counts == [156, 12, 1_516, 32, 48_120, 10_164, 0]
    assert sum(counts) == 60_000
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_multiply_adds_are_the_papers_connections_where_it_states_them() -> None:
    # Section II.B: C1 has 122,304 connections, C3 151,600, C5 48,120.
    rows = {row.name: row.mult_adds for row in summarize(LeNet5Of1998(), (1, 32, 32)).layers}
    assert (rows["c1"], rows["c3"], rows["c5"]) == (122_304, 151_600, 48_120)
    assert (rows["s2"], rows["s4"], rows["out"]) == (6 * 14 * 14, 16 * 5 * 5, 10 * 84)


def test_table_one() -> None:
    # "the first six C3 feature maps take inputs from every contiguous subsets of three feature
    # maps, the next six from every contiguous subset of four, the next three from some
    # discontinuous subsets of four, the last one from all": 60 connections.
    assert [len(reads) for reads in C3_READS] == [3] * 6 + [4] * 9 + [6]
    contiguous = [tuple(sorted((start + i) % 6 for i in range(3))) for start in range(6)]
    assert sorted(C3_READS[:6]) == sorted(contiguous)
    contiguous = [tuple(sorted((start + i) % 6 for i in range(4))) for start in range(6)]
    assert sorted(C3_READS[6:12]) == sorted(contiguous)
    assert not set(C3_READS[12:15]) & set(contiguous)
    readers = [sum(s2 in reads for reads in C3_READS) for s2 in range(6)]
    assert readers == [10] * 6  # each column of the table has ten crosses


def test_c3_reads_only_its_maps() -> None:
    layer = SparseConv2d()
    for s2 in range(6):
        x = torch.zeros(1, 6, 14, 14, requires_grad=True)
        for c3, reads in enumerate(C3_READS):
            (gradient,) = torch.autograd.grad(layer(x)[0, c3].sum(), x)
            assert bool(gradient[0, s2].any()) == (s2 in reads)


def test_c3_is_a_convolution_with_a_mask() -> None:
    layer = SparseConv2d()
    dense = nn.Conv2d(6, 16, 5)
    weight = torch.zeros_like(dense.weight)
    connections = iter(layer.weight)
    for c3, reads in enumerate(C3_READS):
        for s2 in reads:
            weight[c3, s2] = next(connections)
    dense.load_state_dict({"weight": weight.detach(), "bias": layer.bias.detach()})
    x = torch.randn(2, 6, 14, 14)
    torch.testing.assert_close(layer(x), dense(x))


def test_subsampling_sums_scales_and_shifts() -> None:
    layer = Subsampling(2)
    nn.init.constant_(layer.weight, 0.5)
    nn.init.constant_(layer.bias, 1.0)
    x = torch.arange(32.0).reshape(1, 2, 4, 4)
    assert layer(x)[0, 0, 0, 0] == (0 + 1 + 4 + 5) * 0.5 + 1


def test_the_squashing_function_keeps_plus_and_minus_one() -> None:
    # Appendix A: f(1) = 1 and f(-1) = -1
    points = ScaledTanh()(torch.tensor([1.0, -1.0, 0.0]))
    torch.testing.assert_close(points, torch.tensor([1.0, -1.0, 0.0]), atol=1e-4, rtol=0)


def test_codes_are_distinct_bitmaps() -> None:
    codes = class_codes(40)
    assert codes.shape == (40, 7 * 12)
    assert set(codes.unique().tolist()) == {-1.0, 1.0}
    distances = torch.cdist(codes, codes, p=0) + 84 * torch.eye(40)
    assert distances.min() >= 4  # pixels in which any two classes differ
    assert torch.equal(class_codes(40)[:10], class_codes(10))
    assert class_codes(3).shape == (3, 84)


def test_the_output_is_the_negative_squared_distance() -> None:
    layer = EuclideanRBF(10)
    logits = layer(layer.codes[[3]])
    assert logits.argmax() == 3
    assert logits[0, 3] == 0
    differing = int((layer.codes[3] != layer.codes[8]).sum())
    assert logits[0, 8] == -4 * differing


def test_distances_stay_fp32_under_bf16() -> None:
    network = LeNet5Of1998().eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert network.f6(torch.zeros(1, 120)).dtype == torch.bfloat16
        logits = network(torch.randn(4, 1, 32, 32))
    assert logits.dtype == torch.float32
    layer = EuclideanRBF(10)
    features = torch.full((1, 84), 0.01, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer(features)
    exact = -((features.double() - layer.codes.double()) ** 2).sum(dim=1)
    torch.testing.assert_close(found.double(), exact[None], atol=1e-4, rtol=0)
    assert (found - found.bfloat16().float()).abs().min() > 1e-3  # bf16 would be off by more


@pytest.mark.parametrize("seed", range(3))
def test_first_weights_lie_within_the_papers_range(seed: int) -> None:
    torch.manual_seed(seed)
    network = LeNet5Of1998()
    for name, fan_in in (("c1", 25), ("c5", 400), ("f6", 120)):
        weight = network.get_submodule(name).weight
        assert isinstance(weight, torch.Tensor)
        assert weight.abs().max() <= 2.4 / fan_in
        assert weight.abs().max() > 0.8 * 2.4 / fan_in
