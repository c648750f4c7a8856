"""Pruning in several steps."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.pruning.dense import built
from zoo.errors import InterruptionError, StructureError, TerminationError
from zoo.pruning.choosing import Policy
from zoo.pruning.versions import Wish, trained, without_channels
from zoo.shrinking import Version
from zoo.training.preparation import Request

TRAINED = Callable[[Version], Version]


@pytest.fixture(scope="module")
def keras() -> Version:
    return Version(*built("keras-mnist-cnn"))


@pytest.fixture(scope="module")
def lenet5() -> Version:
    return Version(*built("lenet5"))


def widths(version: Version) -> dict[str, Any]:
    (edit,) = version.description.edits
    return dict(edit["layers"])


def channels(version: Version) -> int:
    """Of the layers that can lose some."""
    layers = (version.network.get_submodule(name) for name in ("c1", "c3", "c5", "f6"))
    return sum(len(layer.get_parameter("weight")) for layer in layers)


def in_steps(before: Version, wish: Wish) -> tuple[Version, list[int]]:
    """What is left, and the steps in which something went; training changes nothing here."""
    taken: list[int] = []
    after = without_channels(
        before, wish, train=copy.copy, on_step=lambda step, _: taken.append(step)
    )
    return after, taken


@pytest.mark.parametrize("policy", [Policy(), Policy(is_global=True), Policy(round_to=4)])
@pytest.mark.parametrize("steps", [2, 3, 10])
def test_a_ratio_leaves_as_many_channels_as_one_step_does(
    policy: Policy, steps: int, lenet5: Version
) -> None:
    at_once = without_channels(lenet5, Wish(ratio=0.3, policy=policy))
    after, taken = in_steps(lenet5, Wish(ratio=0.3, policy=policy, steps=steps))
    assert len(taken) > 1
    if policy.is_global:  # what is left is compared anew in each step
        assert channels(after) == channels(at_once)
    else:
        assert widths(after) == widths(at_once)


@pytest.mark.parametrize(("round_to", "steps"), [(1, 20), (8, 4), (8, 20)])
def test_a_target_is_met_and_not_far_exceeded(round_to: int, steps: int, keras: Version) -> None:
    policy = Policy(round_to=round_to)
    after, taken = in_steps(keras, Wish(target_mult_adds=0.5, policy=policy, steps=steps))
    assert len(taken) > 1
    at_once = without_channels(keras, Wish(target_mult_adds=0.5, policy=policy))
    left = [version.summary.mult_adds for version in (keras, at_once, after)]
    assert 0.43 * left[0] < left[2] <= 0.5 * left[0]
    assert left[2] == pytest.approx(left[1], rel=0.1)


def test_a_step_of_less_than_a_channel_is_left_out(lenet5: Version) -> None:
    keep = ("c5", "f6")
    after, taken = in_steps(lenet5, Wish(ratio=0.34, keep=keep, steps=100))
    assert taken == [19, 37, 50, 56, 74, 92, 99]  # c3 at n / 16 of 0.34, c1 at n / 6
    assert widths(after) == widths(without_channels(lenet5, Wish(ratio=0.34, keep=keep)))


def test_what_can_not_be_is_refused_before_training(lenet5: Version) -> None:
    def train(_: Version) -> Version:
        raise AssertionError

    wish = Wish(ratio=0.97, policy=Policy(is_global=True), steps=5)
    with pytest.raises(StructureError, match="would remove all channels of"):
        without_channels(lenet5, wish, train=train)


@pytest.mark.parametrize("kind", [InterruptionError, TerminationError])
def test_a_stopped_training_is_not_said_to_be_saved(
    kind: type[InterruptionError], lenet5: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped:
        def epochs(self) -> None:
            raise kind("Training was stopped after epoch 3; that is saved.", hint="--resume")

    monkeypatch.setattr("zoo.pruning.versions.prepare", lambda _: Stopped())
    with pytest.raises(kind, match="stopped while it trained between two steps") as caught:
        trained(Request(model=""))(lenet5)
    assert caught.value.code == kind.code
    assert caught.value.hint == "Nothing was written."


def test_how_little_is_possible_is_said(lenet5: Version) -> None:
    wish = Wish(target_mult_adds=0.002)
    with pytest.raises(
        StructureError, match=r"leaves 0\.2 % .*; 5\.[0-9]+ % is the least"
    ) as caught:
        without_channels(lenet5, wish)
    assert caught.value.hint.startswith("--target-mult-adds 0.0")
    share = float(caught.value.hint.split()[-1])
    without_channels(lenet5, Wish(target_mult_adds=share))
