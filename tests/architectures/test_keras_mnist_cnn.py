"""The lecture's Sequential against what Keras does."""

import math

import torch
from torch import nn

from zoo.architectures.keras_mnist_cnn import KerasMnistCnn


def test_batch_norm_has_kerass_epsilon_and_momentum() -> None:
    layer = KerasMnistCnn().get_submodule("batch_normalization_1")
    assert isinstance(layer, nn.BatchNorm1d)
    assert layer.eps == 1e-3
    batch = torch.randn(512, 64) * 3 + 5
    before = layer.running_mean.clone() if layer.running_mean is not None else torch.zeros(64)
    layer.train()(batch)
    # Keras: moving = moving * 0.99 + batch * (1 - 0.99)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    torch.testing.assert_close(layer.running_mean, before * 0.99 + batch.mean(0) * 0.01)
    unbiased = batch.var(0)
    torch.testing.assert_close(layer.running_var, torch.ones(64) * 0.99 + unbiased * 0.01)


def test_first_weights_are_kerass() -> None:
    torch.manual_seed(0)
    network = KerasMnistCnn()
    conv1_1, conv1_2, dense_1 = (
        network.get_submodule(name).weight for name in ("conv1_1", "conv1_2", "dense_1")
    )
    assert isinstance(conv1_1, torch.Tensor)
    assert isinstance(conv1_2, torch.Tensor)
    assert isinstance(dense_1, torch.Tensor)
    glorot = math.sqrt(6 / (25 * 1 + 25 * 40))
    assert 0.95 * glorot < conv1_1.abs().max() <= glorot
    # he_normal: truncated at two of its own deviations, the rest having sqrt(2 / fan_in)
    he = math.sqrt(2 / (9 * 40))
    assert abs(conv1_2.std() - he) < 0.03 * he
    assert conv1_2.abs().max() <= 2 * he / 0.87962566103423978
    assert 0.99 * math.sqrt(6 / (1152 + 64)) < dense_1.abs().max() <= math.sqrt(6 / (1152 + 64))
    biases = [p for name, p in network.named_parameters() if name.endswith("bias")]
    assert not any(bias.any() for bias in biases)


def test_dropout_shares() -> None:
    rates = [m.p for m in KerasMnistCnn().modules() if isinstance(m, nn.Dropout)]
    assert rates == [0.25, 0.25, 0.25]
