"""A training's state on the disk, from which it goes on to the same bits.

`state.safetensors` holds tensors and one JSON document, no pickle: weights, their average, the
optimizer, the scaler, plateau and early stopping, the position in the epoch with its sums, and the
rows of `results.csv`. Randomness is a function of (seed, epoch, step): the position is all of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo import frozen, tensorfile
from zoo.errors import ModelFileError
from zoo.training.learner import Learner, Position
from zoo.training.schedules import Plateau
from zoo.training.stopping import Stopping
from zoo.training.sums import Sums

_KIND = "training state"
_FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """What a state file holds."""

    path: Path
    document: dict[str, Any]
    tensors: dict[str, Tensor]

    @property
    def session(self) -> dict[str, Any]:
        """What the session gave to `save`."""
        content: dict[str, Any] = self.document["session"]
        return content

    @property
    def is_between_epochs(self) -> bool:
        """Whether no step of an epoch was begun."""
        return bool(self.document["position"]["step"] == 0)


def save(path: Path, learner: Learner, session: Mapping[str, Any]) -> None:
    """Writes a learner's state; the rename of the file is the commit. All processes take part.

    Args:
        path: written by the first process.
        learner: between two steps.
        session: JSON that is kept beside it.

    Raises:
        DiskError: the disk is full; the file that was there stays.
    """
    sums = learner.world.gather(learner.sums.to_json())
    if not learner.world.is_first:
        return
    document = {
        "kind": _KIND,
        "format": _FORMAT,
        "position": vars(learner.position),
        "rate": learner.rate,
        "sums": sums,
        "plateau": vars(learner.plateau),
        "stopping": vars(learner.stopping),
        "scaler": None if learner.scaler is None else learner.scaler.state_dict(),
        "frozen": learner.frozen,
        "digests": learner.digests,
        "session": dict(session),
    }
    tensorfile.write(path, document, dict(_tensors(learner)))


def _tensors(learner: Learner) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in learner.network.state_dict().items():
        yield f"network.{name}", tensor
    if learner.average is not None:
        for name, tensor in learner.average.network.state_dict().items():
            yield f"average.{name}", tensor
    if learner.zeros is not None:
        for name, kept in learner.zeros.state():
            yield f"kept.{name}", kept
    for name, parameter in learner.network.named_parameters():
        for key, value in learner.optimizer.state.get(parameter, {}).items():
            if value is not None:
                yield f"optimizer.{key}.{name}", value


def read(path: Path) -> Checkpoint:
    """A state file's content, checked.

    Raises:
        ModelFileError: there is none, it is corrupt, or of another version.
    """
    if not path.is_file():
        raise ModelFileError(
            f"There is no {path}: the run was stopped before its first checkpoint, or an older "
            "zoo wrote it.",
        )
    header = tensorfile.read_header(path)
    document = header.document or {}
    if document.get("kind") != _KIND:
        raise ModelFileError(f"{path} is no training state.")
    if document.get("format") != _FORMAT:
        raise ModelFileError(f"{path} was written by another version of zoo.")
    tensorfile.verify(path, header)
    return Checkpoint(path, document, tensorfile.read_tensors(path))


def restore(learner: Learner, checkpoint: Checkpoint, *, keep_optimizer: bool = True) -> None:
    """Puts a fresh learner where the saved one stood.

    Args:
        learner: of the same recipe and network.
        checkpoint: what was saved.
        keep_optimizer: false starts the optimizer anew, for it is another one now.

    Raises:
        ModelFileError: the state is of another network.
    """
    document = checkpoint.document
    if document["frozen"] != learner.frozen:
        raise ModelFileError(f"{checkpoint.path} has other layers frozen than the network.")
    try:
        _load(learner.network, checkpoint, "network.")
        learner.digests = document.get("digests") or frozen.digests(learner.network)
        if learner.average is not None:
            has_average = any(name.startswith("average.") for name in checkpoint.tensors)
            _load(learner.average.network, checkpoint, "average." if has_average else "network.")
        if learner.zeros is not None:
            learner.zeros.load(
                {
                    name.removeprefix("kept."): tensor
                    for name, tensor in checkpoint.tensors.items()
                    if name.startswith("kept.")
                }
            )
        if keep_optimizer:
            _load_optimizer(learner, checkpoint)
        if learner.scaler is not None and document["scaler"]:
            learner.scaler.load_state_dict(document["scaler"])
        learner.position = Position(**document["position"])
        learner.rate = document["rate"]
        learner.plateau = Plateau(**document["plateau"])
        learner.stopping = Stopping(**document["stopping"])
        sums = document["sums"]
        # Another number of processes only comes with --override: the first then has all sums.
        if len(sums) == learner.world.size:
            learner.sums = Sums.from_json(sums[learner.world.rank], learner.device)
        elif learner.world.is_first:
            together = {key: sum(part[key] for part in sums) for key in sums[0]}
            learner.sums = Sums.from_json(together, learner.device)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        raise ModelFileError(
            f"{checkpoint.path} does not fit the run: {str(error).splitlines()[0]}."
        ) from error


def _load(network: nn.Module, checkpoint: Checkpoint, prefix: str) -> None:
    """Copies into the network's own tensors, which keep their layout."""
    network.load_state_dict(
        {
            name.removeprefix(prefix): tensor
            for name, tensor in checkpoint.tensors.items()
            if name.startswith(prefix)
        }
    )


def _load_optimizer(learner: Learner, checkpoint: Checkpoint) -> None:
    optimizer = learner.optimizer
    parameters = dict(learner.network.named_parameters())
    ordered = [p for group in optimizer.param_groups for p in group["params"]]
    places = {id(parameter): place for place, parameter in enumerate(ordered)}
    state: dict[int, dict[str, Tensor]] = {}
    for full_name, tensor in checkpoint.tensors.items():
        if not full_name.startswith("optimizer."):
            continue
        _, key, name = full_name.split(".", 2)
        parameter = parameters[name]
        if tensor.ndim and tensor.shape != parameter.shape:
            raise ValueError(f"{full_name} has another shape than its parameter")
        state.setdefault(places[id(parameter)], {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    for trained, entries in optimizer.state.items():
        for key, value in entries.items():
            if value.ndim:
                # A contiguous moment beside a channels-last parameter makes fused optimizers
                # compute wrong updates without a word.
                entries[key] = torch.empty_like(trained).copy_(value)
