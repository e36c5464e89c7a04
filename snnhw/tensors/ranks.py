"""Processes that train together, as torch.distributed has them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, distributed

from snnhw.errors import InputError, RanksError
from snnhw.plugin import Arrays, Ranks
from snnhw.words import brief

__all__ = ["ProcessRanks", "ranks_here"]

BUCKET: Final = 25 * 2**20
"""Bytes that are on their way together; the next are put together meanwhile."""

ASKED: Final = 3.0
"""Seconds in which those who see that somebody is missing tell each other."""


@dataclass(frozen=True)
class ProcessRanks:
    """The processes of a group; see `snnhw.plugin.Ranks`.

    Attributes:
        group: of `torch.distributed`, which this process belongs to; None: the default one.
        joint: batch norm normalises by the samples of all ranks, as `torch.nn.SyncBatchNorm` does; False: by
            this rank's own.
    """

    group: Any = None
    joint: bool = False

    def __post_init__(self) -> None:
        if not (distributed.is_available() and distributed.is_initialized()):
            raise InputError(
                "there are no processes that train together here; call "
                "torch.distributed.init_process_group() first, in each of them, as torchrun starts them"
            )
        if self.rank < 0:
            raise InputError(
                f"this process is not in the group {brief(self.group)}; compile in those that are"
            )

    @property
    def rank(self) -> int:
        return distributed.get_rank(self.group)

    @property
    def size(self) -> int:
        return distributed.get_world_size(self.group)

    @property
    def device(self) -> torch.device:
        """Where numbers have to be that are told to others."""
        kinds = distributed.get_backend_config(self.group).split(",")
        near = any(kind.partition(":")[0] == "cpu" for kind in kinds)
        return torch.device("cpu") if near else torch.device(kinds[0].partition(":")[0])

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """In double precision."""
        told = torch.tensor([*numbers], dtype=torch.float64, device=self.device)
        with self._named():
            distributed.all_reduce(told, group=self.group)
        return [float(number) for number in told.tolist()]

    def reduce(self, values: Arrays) -> Arrays:
        """Tensors or NumPy arrays of one dtype and device each; in buckets, several on their way at once."""
        tensors = {name: x if isinstance(x, Tensor) else torch.from_numpy(x) for name, x in values.items()}
        sent = []
        with self._named():
            for names in _buckets(tensors):
                flat = torch.cat([tensors[name].reshape(-1) for name in names])
                work = distributed.all_reduce(flat, group=self.group, async_op=True)
                sent.append((names, flat, work))
            for *_, work in sent:
                work.wait()
        found: dict[str, Any] = {}
        for names, flat, _ in sent:
            for name, part in zip(names, flat.split([tensors[name].numel() for name in names]), strict=True):
                found[name] = part.view(tensors[name].shape)
        return {
            name: found[name] if isinstance(x, Tensor) else found[name].numpy() for name, x in values.items()
        }

    def first(self, value: Any) -> Any:
        """Anything that can be pickled."""
        box = [value if self.rank == 0 else None]
        with self._named():
            distributed.broadcast_object_list(box, group=self.group, group_src=0, device=self.device)
        return box[0]

    @contextmanager
    def _named(self) -> Iterator[None]:
        """What torch says of another process that is gone, with which one that is."""
        try:
            yield
        except RuntimeError as error:
            raise RanksError(
                f"rank {self.rank} of {self.size} cannot go on: {self._silent()}. What those wrote last "
                "says why; started again, training goes on from the newest checkpoint"
            ) from error

    def _silent(self) -> str:
        """Which ranks do not say, within a while, that they miss another one."""
        store = distributed.distributed_c10d._get_default_store()
        missing = [rank for rank in range(self.size) if rank != self.rank]
        until = time.monotonic() + ASKED
        try:
            store.set(f"snnhw/{self.rank}", "misses another one")
            while missing and time.monotonic() < until:
                missing = [rank for rank in missing if not store.check([f"snnhw/{rank}"])]
                time.sleep(0.05)
        except RuntimeError:
            return "rank 0, through which ranks find each other, has ended"
        if not missing:
            return "the connection between ranks broke, and all of them are there"
        named = ", ".join(f"rank {rank}" for rank in missing)
        return f"{'one of ' * (len(missing) > 1)}{named} ended or did not answer in time"


def _buckets(tensors: Mapping[str, Tensor]) -> Iterator[list[str]]:
    """Names whose tensors go together: of one dtype and device, up to a size."""
    kinds: dict[Any, list[str]] = {}
    for name, x in tensors.items():
        kinds.setdefault((x.dtype, x.device), []).append(name)
    for names in kinds.values():
        held: list[str] = []
        size = 0
        for name in names:
            if held and size + tensors[name].nbytes > BUCKET:
                yield held
                held, size = [], 0
            held.append(name)
            size += tensors[name].nbytes
        yield held


def ranks_here() -> Ranks | None:
    """All processes of `torch.distributed`'s default group, where there is one of several."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return None
    found = ProcessRanks()
    return found if found.size > 1 else None
