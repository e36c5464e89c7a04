"""A fault for every way in which the CPU may run: what is spoilt, and which cases notice when it is forced.

Each stands in code that no other way of the same decision reaches, so that a case which notices shows that it
went there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor

import snnhw_cpu.convolution
import snnhw_cpu.linear
import snnhw_cpu.memory
import snnhw_cpu.pools
import snnhw_cpu.provider
import snnhw_cpu.threads
from snnhw.ir import Conv2d, Linear, MaxPool2d, Neuron
from snnhw.tensors.execution import learning, precision, repeated
from snnhw.tensors.network import OPERATIONS, blocks, run, spans, walk
from snnhw.tensors.network.loops import loop, sweep
from snnhw.tensors.noting import notes
from snnhw.tensors.scans import printed

__all__ = ["COARSE", "FAULTS", "Fault"]

Replace = Callable[[object, str, object], None]
"""``monkeypatch.setattr``, or something like it for the entries of tables."""


@dataclass(frozen=True)
class Fault:
    """Attributes:
    plant: makes it, by what replaces an attribute for the length of a test.
    caught: cases that must fail; each passes with every other way of the same decision.
    """

    plant: Callable[[Replace], None]
    caught: tuple[str, ...]


def around(home: Any, name: str, change: Callable[..., Any]) -> Callable[[Replace], None]:
    """Something else in the place of a function, which is given that function first."""

    def plant(replace: Replace) -> None:
        original = getattr(home, name)
        replace(home, name, lambda *args, **kwargs: change(original, *args, **kwargs))

    return plant


def less(x: Tensor) -> Tensor:
    """By an eighth."""
    return x.mul_(0.875)


# -- Products ---------------------------------------------------------------------------------------


def dense(original: Callable[..., Tensor], use: Any, op: Linear, x: Tensor, *rest: Any) -> Tensor:
    """Not where sums would be looked up, if only the numbers were 0 and 1."""
    y = original(use, op, x, *rest)
    return less(y) if use.way(op, x.reshape(-1, op.in_features)) == "dense" else y


def halved(original: Callable[..., Tensor], *args: Any) -> Tensor:
    return less(original(*args))


def both_lookups(replace: Replace) -> None:
    around(snnhw_cpu.linear, "looked_up", halved)(replace)
    around(snnhw_cpu.convolution, "convolved", halved)(replace)


# -- Chains -----------------------------------------------------------------------------------------


def folded(replace: Replace) -> None:
    """A product behind a neuron that runs by itself: in a chain, none does."""
    original: Any = run._RUN["folded"]

    def wrong(done: Any, stage: Any) -> None:
        original(done, stage)
        (name,), program = stage.nodes, done.network.program
        sources = [program.nodes[edge.source.node] for edge in program.into(name, "x")]
        if isinstance(program.nodes[name], Linear) and any(isinstance(op, Neuron) for op in sources):
            done.ports[f"{name}.y"] = done.ports[f"{name}.y"] * 0.875

    replace(run, "_RUN", {**run._RUN, "folded": wrong})


def chained(original: Callable[..., Tensor], work: Any, read: Any, *rest: Any, whole: bool) -> Tensor:
    """Around a convolution: what stands around a linear layer alone is never large."""
    y = original(work, read, *rest)
    wrong = isinstance(work.op, Conv2d) and (len(read.blocks) == 1) == whole
    return y * 0.875 if wrong else y


def in_one(original: Callable[..., Tensor], *args: Any) -> Tensor:
    return chained(original, *args, whole=True)


def in_blocks(original: Callable[..., Tensor], *args: Any) -> Tensor:
    return chained(original, *args, whole=False)


# -- Pools ------------------------------------------------------------------------------------------


def pooled_by_torch(replace: Replace) -> None:
    original = OPERATIONS[MaxPool2d]
    wrong: dict[Any, Any] = {**OPERATIONS, MaxPool2d: lambda *args: original(*args) * 0.875}
    replace(walk, "OPERATIONS", wrong)


def kept_places(original: Callable[..., Any], *args: Any) -> tuple[Tensor, Tensor]:
    y, places = original(*args)
    return less(y), places


# -- Loops ------------------------------------------------------------------------------------------


def records(original: Callable[..., Any], *args: Any, again: bool) -> Any:
    """The last step of each chunk that was kept for the way back, or computed again, began elsewhere."""
    chunks = [*original(*args)]
    for number, (span, found) in enumerate(chunks):
        wrong = number > 0 if again else len(chunks) == 1
        yield span, spoilt(found) if wrong else found


def spoilt(found: Any) -> Any:
    """Of records of steps, the last one's states; of what a kernel kept, only what it kept of a neuron."""
    if isinstance(found, dict):
        return found
    states = {name: [x * 0.5 for x in xs] for name, xs in found[-1].states.items()}
    return [*found[:-1], found[-1]._replace(states=states)]


def in_one_kernel(again: bool) -> Callable[..., Any]:
    """The states that a loop's kernel kept, or left when it ran once more."""

    def chunks(original: Callable[..., Any], *args: Any) -> Any:
        found = [*original(*args)]
        for number, (span, kept) in enumerate(found):
            wrong = isinstance(kept, dict) and (number > 0 if again else len(found) == 1)
            yield span, {name: x * 0.5 for name, x in kept.items()} if wrong else kept

    return chunks


def kept_records(original: Callable[..., Any], *args: Any) -> Any:
    return records(original, *args, again=False)


def records_again(original: Callable[..., Any], *args: Any) -> Any:
    return records(original, *args, again=True)


def recorded_late(original: Callable[..., Any], done: Any, name: str, *rest: Any) -> dict[str, Tensor]:
    """A product within a loop, step by step in autograd's graph."""
    found: dict[str, Tensor] = original(done, name, *rest)
    product = isinstance(done.network.program.nodes[name], Linear)
    return {port: y * 0.875 for port, y in found.items()} if product else found


# -- Spans -----------------------------------------------------------------------------------------


def gathered(many: bool) -> Callable[..., None]:
    """What is wanted, of a pass in several spans, or of one that is whole."""

    def add(original: Callable[..., None], gathering: Any, first: int, part: Any) -> None:
        original(gathering, first, part)
        if (part is not gathering._whole) == many:
            gathering._found |= {port: y * 0.875 for port, y in gathering._found.items()}

    return add


# -- Steps ------------------------------------------------------------------------------------------


def shrunk(original: Callable[..., Any], *args: Any) -> dict[Any, Tensor]:
    """Gradients."""
    return {name: x * 0.875 for name, x in original(*args).items()}


def played(original: Callable[..., Any], run: Any, *args: Any, **kwargs: Any) -> Any:
    """Gradients of a tape that is played where nobody notes what it does."""
    found = original(run, *args, **kwargs)
    return found if notes() or not run.network.sizes.taped else less_steep(found)


def listed(original: Callable[..., Any], recording: Any, given: Any) -> Any:
    return less_steep(original(recording, given))


def less_steep(found: Any) -> Any:
    return found | {"grads": shrunk(lambda: found["grads"])} if "grads" in found else found


# -- Kernels ----------------------------------------------------------------------------------------


def in_parts(parts: bool) -> Callable[..., None]:
    """Only kernels that take all neurons and steps at once; or only others."""

    def call(original: Callable[..., None], scan: Any, compiled: Any, given: Any, *rest: Any) -> None:
        original(scan, compiled, given, *rest)
        grid, filled = rest
        first = next(a for a in compiled[0].arguments if a.letter in filled)
        if (grid.blocks > 1 or scan.printer.limits.chunk < given.steps) == parts:
            less(filled[first.letter][first.number])

    return call


def laid_out(each: bool) -> Callable[..., None]:
    """Only where a row is a sample, and parameters lie as they are; or only where they are repeated."""

    def call(original: Callable[..., None], scan: Any, compiled: Any, given: Any, *rest: Any) -> None:
        batch, grid = given.inputs[0].shape[-2], rest[0]
        if "neuron" in scan.kernel.layouts and batch > 1 and (grid.rows > 1) == each:
            given = given._replace(params=[p if p.ndim == 0 else p.roll(1) for p in given.params])
        original(scan, compiled, given, *rest)

    return call


def shared(many: bool) -> Callable[..., None]:
    """The last task is not done, where there are several threads, or where there is one."""

    def share(original: Callable[..., None], work: Any, tasks: int, numbers: Any, **how: Any) -> None:
        seen: list[tuple[int, int]] = []
        original(lambda first, last: seen.append((first, last)), tasks, **how)
        for first, last in sorted(seen):
            work(first, last - (last == tasks and (len(seen) > 1) == many), *numbers)

    return share


def unfilled(original: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """What nobody writes to is seen."""
    found = original(*args, **kwargs)
    return found.fill_(float("nan")) if found.is_floating_point() else found


def undone(many: bool) -> Callable[[Replace], None]:
    def plant(replace: Replace) -> None:
        around(snnhw_cpu.provider, "share", shared(many))(replace)
        around(snnhw_cpu.provider, "empty", unfilled)(replace)

    return plant


# -- Memory -----------------------------------------------------------------------------------------


def in_use(name: str) -> Callable[[Replace], None]:
    """What gives memory gives the same to all who ask for so much of it."""

    def plant(replace: Replace) -> None:
        handed_out: dict[Any, Any] = {}

        def given(original: Callable[..., Any], *args: Any) -> Any:
            return handed_out.setdefault(args, original(*args))

        around(snnhw_cpu.memory, name, given)(replace)
        replace(snnhw_cpu.memory, "_give", lambda _: None)  # nothing of it comes back for later tests

    return plant


# -- All of them ------------------------------------------------------------------------------------


def calls(change: Callable[..., None]) -> Callable[[Replace], None]:
    return around(printed.PrintedScan, "_run", change)


def without_bias(original: Callable[..., Tensor], product: Any, op: Any, xs: Any, params: Any) -> Tensor:
    return original(product, op, xs, {name: param for name, param in params.items() if name != "bias"})


COARSE: Final = Fault(
    around(precision.InDtype, "__call__", without_bias),
    ("law/rounds-Linear-bias", "law/rounds-Conv2d-plain", "law/rounds-Linear-bias/step"),
)
"""Of products in bfloat16, which no decision leads to but the option ``precision``."""


POOLED: Final = ("exact/MaxPool2d-plain", "gradient/MaxPool2d-plain")
TILED: Final = ("exact/Leaky-subtract-delayed", "margin/dense-Leaky")
SPANNED: Final = ("exact/Leaky-subtract-delayed", "margin/dense-Leaky")
SHAPED: Final = ("pointwise/Leaky-subtract-delayed-shaped-graded-quantised",)
HELD: Final = ("law/owns-dense", "margin/dense-Leaky")

FAULTS: Final[Mapping[str, Fault]] = {
    "linear:dense": Fault(
        around(snnhw_cpu.linear.LinearUse, "forward", dense), ("exact/Linear-bias", "margin/dense-Leaky")
    ),
    "linear:skip": Fault(
        around(snnhw_cpu.linear, "added_rows", halved),
        ("exact/Linear-bias", "gradient/Linear-bias", "margin/dense-Leaky"),
    ),
    "linear:lookup": Fault(both_lookups, ("margin/dense-Leaky",)),
    "chains:apart": Fault(folded, ("gradient/unwatched-dense",)),
    "chains:whole": Fault(around(blocks.ChainWork, "behind", in_one), ("gradient/unwatched-deep",)),
    "chains:blocks": Fault(around(blocks.ChainWork, "behind", in_blocks), ("gradient/unwatched-deep",)),
    "pools:torch": Fault(pooled_by_torch, POOLED),
    "pools:bytes": Fault(around(snnhw_cpu.pools.MaxPool, "keep", kept_places), POOLED),
    "loops:fused": Fault(around(sweep, "_chunks", in_one_kernel(again=False)), ("gradient/recurrent-Leaky",)),
    "loops:fused-again": Fault(
        around(sweep, "_chunks", in_one_kernel(again=True)), ("gradient/recurrent-Leaky",)
    ),
    "loops:kept": Fault(around(sweep, "_chunks", kept_records), ("gradient/recurrent-Leaky",)),
    "loops:again": Fault(around(sweep, "_chunks", records_again), ("gradient/recurrent-Leaky",)),
    "loops:recorded": Fault(around(loop, "_step", recorded_late), ("gradient/recurrent-Leaky",)),
    "spans:whole": Fault(around(spans.Gathering, "add", gathered(many=False)), SPANNED),
    "spans:small": Fault(around(spans.Gathering, "add", gathered(many=True)), SPANNED),
    "steps:autograd": Fault(around(learning.Learning, "_gradients", shrunk), ("gradient/dense-Leaky",)),
    "steps:tape": Fault(around(learning.Learning, "__call__", played), ("gradient/dense-Leaky",)),
    "steps:list": Fault(around(repeated._Repeat, "__call__", listed), ("gradient/dense-Leaky",)),
    "tiles:whole": Fault(calls(in_parts(parts=False)), TILED),
    "tiles:small": Fault(calls(in_parts(parts=True)), TILED),
    "rows:one": Fault(calls(laid_out(each=False)), SHAPED),
    "rows:each": Fault(calls(laid_out(each=True)), SHAPED),
    "threads:one": Fault(undone(many=False), ("exact/Leaky-subtract-delayed",)),
    "threads:many": Fault(undone(many=True), ("exact/Leaky-subtract-delayed",)),
    "memory:fresh": Fault(in_use("_fresh"), HELD),
    "memory:again": Fault(in_use("_take"), HELD),
}
"""``name:way`` -> its fault."""
