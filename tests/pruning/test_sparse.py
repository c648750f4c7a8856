"""The smallest single weights become zero."""

import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

from zoo import description, modelfile
from zoo.edit_texts import sentences
from zoo.errors import StructureError, UsageError
from zoo.modelfile import with_edits
from zoo.pruning.sparse import prune_weights
from zoo.surgery import Sparsity


def lenet5() -> nn.Module:
    return modelfile.build(description.describe("lenet5"))


def test_the_smallest_of_each_layer_go() -> None:
    network, before = lenet5(), lenet5()
    edit = prune_weights(network, ratio=0.8)
    assert edit.tensors == tuple(f"{name}.weight" for name in ("c1", "c3", "c5", "f6", "out"))
    for name in edit.tensors:
        old, new = before.get_parameter(name), network.get_parameter(name)
        gone = new == 0
        assert int(gone.sum()) == int(0.8 * old.numel())
        assert old[gone].abs().max() <= old[~gone].abs().min()
        assert torch.equal(new[~gone], old[~gone])
    assert torch.equal(network.get_parameter("c1.bias"), before.get_parameter("c1.bias"))


def test_globally_the_smallest_of_all() -> None:
    network = lenet5()
    edit = prune_weights(network, ratio=0.5, is_global=True)
    weights = torch.cat([network.get_parameter(name).flatten() for name in edit.tensors])
    assert int((weights == 0).sum()) == int(0.5 * len(weights))
    shares = {n: float((network.get_parameter(n) == 0).float().mean()) for n in edit.tensors}
    assert shares["c5.weight"] > 1.5 * shares["c1.weight"]  # more inputs, smaller weights


def test_a_second_time_counts_what_is_gone() -> None:
    network = lenet5()
    prune_weights(network, ratio=0.5)
    edit = prune_weights(network, ratio=0.6)
    assert int((network.get_parameter("c5.weight") == 0).sum()) == 28_800  # of 48,000
    assert edit.share == 0.6
    with pytest.raises(StructureError, match=r"No further weight .*: 36,882 of 61,470 are\."):
        prune_weights(network, ratio=0.3)


def test_the_share_is_of_what_is_zero() -> None:
    network = lenet5()
    prune_weights(network, ratio=0.9, is_global=True, keep=["c1"])
    edit = prune_weights(network, ratio=0.5)
    weights = torch.cat([network.get_parameter(name).flatten() for name in edit.tensors])
    assert edit.share == int((weights == 0).sum()) / len(weights) > 0.85
    assert (
        f"{100 * edit.share:.2f} % of the weights of 5 tensors" in sentences([edit.model_dump()])[0]
    )


def test_keep_and_what_is_no_layers_weight() -> None:
    network = VisionTransformer(32, 16, 1, 2, hidden_dim=32, mlp_dim=64, num_classes=5)
    edit = prune_weights(network, ratio=0.1, keep=["heads*", "conv_proj"])
    owners = {name.rpartition(".")[2] for name in edit.tensors}
    assert owners == {"weight", "in_proj_weight"}
    assert not [name for name in edit.tensors if name.startswith(("heads", "conv_proj", "class"))]
    with pytest.raises(UsageError, match=r"No layer matches 'head'. Did you mean heads\?"):
        prune_weights(network, ratio=0.1, keep=["head"])


def test_a_whole_layer_does_not_go() -> None:
    network = lenet5()
    network.get_parameter("c1.weight").data *= 1e-6
    with pytest.raises(StructureError, match=r"all of c1\.weight") as refused:
        prune_weights(network, ratio=0.5, is_global=True)
    assert refused.value.hint.endswith("--keep c1")
    with pytest.raises(StructureError, match="No layer is left"):
        prune_weights(network, ratio=0.5, keep=["*"])
    with pytest.raises(UsageError, match="not between"):
        prune_weights(network, ratio=1)


def test_the_edit_names_parameters_that_are_there() -> None:
    described = description.describe("lenet5")
    good = Sparsity(tensors=("c1.weight",), ratio=0.5)
    assert with_edits(described, [good, good]).sparse_tensors == ("c1.weight",)
    modelfile.build(with_edits(described, [good]))
    with pytest.raises(StructureError, match=r"no parameter is c9\.weight"):
        modelfile.build(with_edits(described, [Sparsity(tensors=("c9.weight",), ratio=0.5)]))
