"""Several processes that train one network, as torchrun starts them; one process is a world too."""

import importlib
import os
import secrets
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from zoo.data.loader import Shard
from zoo.errors import DeviceError, TerminationError, UsageError

T = TypeVar("T")

_BOOT = "/proc/sys/kernel/random/boot_id"
_STARTED_FIELD = 19
"""Of /proc/PID/stat, counted from the field after the name."""
_PATIENCE_SECONDS, _POLL_SECONDS = 600, 0.05
_WAITING = timedelta(hours=12)
"""For another process, which may be downloading and decoding what all then use."""


@dataclass(frozen=True)
class World:
    """This process among those that train together."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """Its place among those on its machine."""

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes the run."""
        return self.rank == 0

    @property
    def shard(self) -> Shard:
        """This process's part of all pictures."""
        return Shard(self.rank, self.size)

    def sum_in_place(self, tensors: Sequence[Tensor]) -> None:
        """Replaces each tensor by its sum over all processes."""
        if self.size > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)

    def largest(self, number: int) -> int:
        """The largest of all processes' numbers."""
        if self.size == 1:
            return number
        shared = torch.tensor(number)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return int(shared)

    def of_first(self, value: T) -> T:
        """The first process's value, in all of them."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def gather(self, value: T) -> list[T]:
        """All processes' values in the order of their ranks, in all of them."""
        if self.size == 1:
            return [value]
        values: list[T] = [value] * self.size
        dist.all_gather_object(values, value)
        return values

    def share_buffers(self, network: nn.Module) -> None:
        """Gives every process the first one's buffers: each has seen other pictures."""
        if self.size > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, src=0)

    def wrap(self, network: nn.Module, device: torch.device) -> nn.Module:
        """The network, whose backward pass averages gradients over all processes."""
        if self.size == 1:
            return network
        return DistributedDataParallel(
            network, device_ids=None if device.type == "cpu" else [device]
        )

    @contextmanager
    def one_after_another(self) -> Iterator[None]:
        """The first process of each machine goes first: what it keeps, the others find ready."""
        if self.local_rank > 0:
            self.wait()
        yield
        if self.local_rank == 0:
            self.wait()

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            self.largest(0)


def is_launched() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def command() -> str:
    """What starts zoo as this process was started, with as many processes on each machine."""
    here, nodes = os.environ.get("LOCAL_WORLD_SIZE", "1"), os.environ.get("GROUP_WORLD_SIZE", "1")
    if not is_launched() or here == nodes == "1":
        return "zoo"
    where = "--standalone" if nodes == "1" else f"--nnodes {nodes} ..."
    return f"torchrun {where} --nproc-per-node {here} -m zoo"


@contextmanager
def others_lost() -> Iterator[None]:
    """Says in our words that the exchange with another process failed.

    Raises:
        TerminationError: it did; that process says itself why.
    """
    try:
        yield
    except (RuntimeError, dist.DistError) as error:
        words = ("gloo", "Gloo", "NCCL", "Connection closed by peer", "Connection reset by peer")
        if isinstance(error, dist.DistError) or any(word in str(error) for word in words):
            raise TerminationError("Another process of this training ended.") from error
        raise


def launcher() -> str | None:
    """What names the torchrun that started this process, also after it restarted it.

    None without one. It is a process on the first rank's machine, which no other one can be: its
    number may be used again, but not with the same start.
    """
    if not is_launched():
        return None
    parent = os.getppid()
    words = [socket.gethostname(), os.environ["TORCHELASTIC_RUN_ID"], str(parent)]
    for path, field in ((_BOOT, 0), (f"/proc/{parent}/stat", _STARTED_FIELD)):
        with suppress(OSError, IndexError):  # no Linux
            words.append(Path(path).read_text().rpartition(")")[2].split()[field])
    return " ".join(words)


@contextmanager
def joined(device: str) -> Iterator[tuple[World, str]]:
    """Joins the processes that torchrun started; without it, this process is alone.

    Args:
        device: `--device`; among several processes a GPU for each is found by its local rank.

    Yields:
        The world, and the name of this process's device.

    Raises:
        UsageError: one GPU is asked for by its number, or there are too few.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(), device
        return
    world = World(int(os.environ["RANK"]), size, int(os.environ.get("LOCAL_RANK", "0")))
    on_gpu = torch.cuda.is_available() and device in ("auto", "cuda")
    if on_gpu:
        if world.local_rank >= torch.cuda.device_count():
            raise UsageError(
                f"There are {torch.cuda.device_count()} GPUs for more processes on this machine.",
                hint=f"torchrun --nproc-per-node {torch.cuda.device_count()}",
            )
        device = f"cuda:{world.local_rank}"
        torch.cuda.set_device(device)
    elif device == "cuda":
        raise DeviceError("This machine has no device 'cuda'.", hint="--device cpu")
    elif device not in ("auto", "cpu"):
        raise UsageError(
            f"--device {device} is one device for {size} processes.", hint="--device cuda or cpu"
        )
    if not world.is_first:  # it has nothing to save, and waits where Python handles no signal
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Its defaults keep the process group that stands when it is first imported, which
    # DistributedDataParallel does: gloo's threads would outlive the group and take tensors along
    # into the interpreter's end, where freeing one aborts the process.
    importlib.import_module("torch.distributed.nn")
    try:
        with others_lost():
            store, _, _ = next(rendezvous("env://"))
            # gloo carries flags and objects also where nccl carries gradients.
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
                store=PrefixStore(_agreed_word(store, world), store),
                rank=world.rank,
                world_size=size,
                timeout=_WAITING,
            )
            yield world, device if on_gpu else "cpu"
    finally:
        with suppress(RuntimeError):
            dist.destroy_process_group()


def _agreed_word(store: Store, world: World) -> str:
    """A word that all processes of this start agree on, and none of an earlier one ever used.

    torchrun keeps its store when it restarts processes, and with it the addresses of dead ones.

    Raises:
        TerminationError: another process does not come.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    own = secrets.token_hex(8)

    def read(key: str) -> str:
        return store.get(key).decode() if store.check([key]) else ""

    def wait() -> None:
        if time.monotonic() > deadline:
            raise TerminationError("Another process of this training never came.")
        time.sleep(_POLL_SECONDS)

    if not world.is_first:
        store.set(f"zoo/hello/{world.rank}", own)
        while not (answer := read(f"zoo/welcome/{world.rank}")).startswith(own):
            wait()
        word = answer.removeprefix(own)
        store.set(f"zoo/here/{world.rank}", word)
        return word
    # What a dead process said may be answered too; only a living one says the word back.
    missing = set(range(1, world.size))
    while missing:
        for rank in missing:
            store.set(f"zoo/welcome/{rank}", read(f"zoo/hello/{rank}") + own)
        wait()
        missing = {rank for rank in missing if read(f"zoo/here/{rank}") != own}
    return own
