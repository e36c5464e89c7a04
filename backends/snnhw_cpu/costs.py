"""What products of sparse or binary inputs cost, and which is cheapest: by measurement, not by rule.

`benchmarks.events` measures, and can keep what it finds for the processor that it ran on.
"""

from __future__ import annotations

import json
import logging
import math
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Final

import torch
from torch import Tensor

from snnhw.ir import Conv2d
from snnhw.tensors.scans.kernel_cache import KernelCache
from snnhw_cpu.limits import Way

__all__ = ["SHIPPED", "Costs", "costs_here", "keep", "processor", "seen"]

LOG = logging.getLogger("snnhw.cpu")

WORTH: Final = 0.8
"""The share of a dense product's time that another one should take at most."""

BLOCK: Final = 512
WINDOWS: Final = 1024
"""Rows, and windows, for which tables are built once; see `snnhw_cpu.lookup`."""


LOOKED_AT: Final = 64
"""Rows, spread over all, that tell how many inputs are active: to count every one would cost as much as a
share of the product."""


@dataclass(frozen=True)
class Costs:
    """Seconds per unit of work, relative to a multiply-add of a dense product.

    Attributes:
        read: one input of a dense product, beside its multiply-adds.
        pack: one input, of which a bit is made.
        add: one number of a row of the weight that is added for an active input.
        look: one weight of one row, by tables.
        build: one weight that goes into tables, for each block of rows.
        turn: one weight, moved when the matrix is transposed.
    """

    read: float
    pack: float
    add: float
    look: float
    build: float
    turn: float

    def of(self, way: Way, rows: int, inputs: int, outputs: int, density: float) -> float:
        """A product ``[M, K] x [K, O]``, in multiply-adds of a dense one."""
        if way == "dense":
            return rows * inputs * (outputs + self.read)
        bits = rows * inputs * self.pack + inputs * outputs * self.turn
        if way == "skip":
            return bits + rows * inputs * density * outputs * self.add
        columns = max(16, outputs)  # a tile is never narrower
        return bits + inputs * columns * (rows * self.look + math.ceil(rows / BLOCK) * self.build)

    def cheapest(
        self, ways: Iterable[Way], rows: int, inputs: int, outputs: int, density: float, *, kept: bool
    ) -> Way:
        """Which of the ways beside a dense product, if any is worth it.

        Args:
            kept: whether a transposed weight serves many passes, and so costs nothing.
        """
        costs = Costs(**{**asdict(self), "turn": 0.0}) if kept else self
        seconds = {way: costs.of(way, rows, inputs, outputs, density) for way in ways}
        best = min(seconds, key=seconds.__getitem__)
        return best if seconds[best] < WORTH * costs.of("dense", rows, inputs, outputs, density) else "dense"

    def looks_up_windows(self, op: Conv2d, shape: tuple[int, ...], tile: int) -> bool:
        """Whether a convolution of images ``[M, C, H, W]``, so many channels at once, should look up sums."""
        count, channels, height, width = shape
        high, wide = op.kernel
        outputs, *places = op.infer({"x": (channels, height, width)})["y"]
        results = count * math.prod(places)
        columns = -(-outputs // tile) * tile * channels
        dense = results * outputs * channels * high * wide
        bits = math.prod(shape) * self.pack
        entry = 4 * self.look  # is counted for each of the four weights that are in a sum
        tables = (high << wide) / 4 * self.build * math.ceil(results / WINDOWS)
        return bits + columns * (results * high * entry + tables) < WORTH * dense


SHIPPED: Final = Costs(read=21.0, pack=35.0, add=8.4, look=0.44, build=45.0, turn=127.0)
"""For a processor on which nobody has measured."""

_CACHE: Final = KernelCache("cpu")


def processor() -> str:
    """What costs depend on."""
    import llvmlite.binding as llvm

    return f"{platform.machine()} {llvm.get_host_cpu_name()} {torch.backends.cpu.get_cpu_capability()}"


@lru_cache(maxsize=1)
def costs_here() -> Costs:
    """Those kept for this processor, or `SHIPPED`."""
    data = _CACHE.kept("costs", processor())
    try:
        found = json.loads(data) if data else asdict(SHIPPED)
        return Costs(**{field.name: float(found[field.name]) for field in fields(Costs)})
    except (ValueError, KeyError, TypeError) as error:  # of another release
        LOG.info("the costs kept for this processor cannot be used: %r", error)
        return SHIPPED


def keep(costs: Costs) -> bool:
    """For all later processes of this user on this processor; whether that was possible."""
    costs_here.cache_clear()
    return _CACHE.keep("costs", processor(), json.dumps(asdict(costs)).encode())


def seen(rows: Tensor) -> tuple[float, bool]:
    """The share of inputs that are active, and whether these are all 1."""
    some = rows[:: (len(rows) // LOOKED_AT) | 1]  # odd, lest every step shows the same samples of a batch
    active = int(torch.count_nonzero(some))
    return active / max(1, some.numel()), active == int((some == 1.0).sum())
