"""Mixup and CutMix: labels are shared as the pictures are."""

import pytest
import torch
from torch import Tensor

from zoo.data.augment import mix
from zoo.schema import Augment


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def examples(count: int, height: int = 12, width: int = 9) -> tuple[Tensor, Tensor]:
    """Picture i is i everywhere, and its class is i."""
    targets = torch.arange(count)
    return targets[:, None, None, None].float().expand(count, 2, height, width), targets


@pytest.mark.parametrize("settings", [Augment(mixup=0.4), Augment(cutmix=1.0)])
@pytest.mark.parametrize("count", [1, 2, 300])
def test_the_mean_of_the_labels_is_that_of_the_pictures(settings: Augment, count: int) -> None:
    """With pixels that are the class number, both means say how much of each class there is."""
    images, targets = examples(count)
    found, labels = mix(images, targets, settings, generator(), count)
    assert found.shape == images.shape
    assert labels.shape == (count, count)
    assert labels.dtype == torch.float32
    torch.testing.assert_close(labels.sum(dim=1), torch.ones(count))
    expected = (labels * targets).sum(dim=1)
    torch.testing.assert_close(found.mean(dim=(1, 2, 3)), expected, atol=1e-3, rtol=1e-5)
    if count > 2:
        assert float((labels.amax(dim=1) < 0.99).float().mean()) > 0.2  # many are mixed
        assert len(labels.diagonal().unique()) > 20  # each by its own share


def test_cutmix_pastes_a_rectangle_of_the_partner() -> None:
    images, targets = examples(200)
    found, labels = mix(images, targets, Augment(cutmix=1.0), generator(), 200)
    assert torch.equal(found[:, 0], found[:, 1])
    pasted = found[:, 0] != images[:, 0]
    assert torch.equal(found[:, 0][pasted], images.roll(1, 0)[:, 0][pasted])
    tall, wide = pasted.any(dim=2).sum(dim=1), pasted.any(dim=1).sum(dim=1)
    area = pasted.sum(dim=(1, 2))
    assert torch.equal(area, tall * wide)
    torch.testing.assert_close(labels.diagonal(), 1 - area / (12 * 9))


def test_mixup_blends_whole_pictures() -> None:
    images, targets = examples(50)
    found, labels = mix(images, targets, Augment(mixup=1.0), generator(), 50)
    assert (found == found[:, :1, :1, :1]).all()
    assert labels.diagonal().std() > 0.2  # uniform shares spread by 0.29


def test_alpha_is_that_of_the_beta_distribution() -> None:
    images, targets = examples(4000, 1, 1)
    for alpha in (0.2, 1.0, 5.0):
        _, labels = mix(images, targets % 4, Augment(mixup=alpha), generator(), 4)
        own = labels[torch.arange(4000), targets % 4]
        assert float(own.mean()) == pytest.approx(0.5, abs=0.03)
        assert float(own.var()) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_both_together_take_turns() -> None:
    images, targets = examples(8)
    both = Augment(mixup=1.0, cutmix=1.0)
    kinds = []
    for seed in range(60):
        found, labels = mix(images, targets, both, generator(seed), 8)
        alone = {
            kind: mix(images, targets, settings, generator(seed), 8)
            for kind, settings in {"m": Augment(mixup=1.0), "c": Augment(cutmix=1.0)}.items()
        }
        same = [kind for kind, one in alone.items() if torch.equal(one[0], found)]
        assert len(same) == 1  # what one draws does not depend on the other
        assert torch.equal(alone[same[0]][1], labels)
        kinds += same
    assert 15 < kinds.count("m") < 45


def test_a_partner_of_the_same_class_keeps_the_label_whole() -> None:
    images, _ = examples(6)
    _, labels = mix(images, torch.full((6,), 2), Augment(mixup=1.0), generator(), 3)
    torch.testing.assert_close(labels, torch.tensor([[0.0, 0, 1]]).expand(6, 3))
