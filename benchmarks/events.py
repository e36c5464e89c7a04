"""What products of spikes cost beside dense ones: the constants of `snnhw_cpu.costs.Costs`.

Run ``python -m benchmarks.events`` on a quiet machine; with ``--keep``, what it finds is used on this
processor from then on. It times a dense product, one that adds up rows and one that looks sums up in turn,
over shapes and densities, forward and gradient of the weight together; fits the costs; and shows how well
they decide.

All on one thread, by the processor time of it: others at work disturb that least.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from snnhw_cpu.costs import Costs, costs_here, keep, processor
from snnhw_cpu.limits import USUAL, Way
from snnhw_cpu.lookup import added_rows, looked_up, pack

SHAPES: Final = [
    (6400, 784, 1000),
    (3200, 1000, 256),
    (800, 1024, 1024),
    (3200, 1000, 10),
    (100, 2312, 1024),
    (128, 256, 256),
]
DENSITIES: Final = [0.01, 0.05, 0.1, 0.3]
WAYS: Final[tuple[Way, ...]] = ("dense", "skip", "lookup")


class Timing(NamedTuple):
    """Shortest seconds by way, forward and gradient of the weight together; of packing and turning alone."""

    rows: int
    inputs: int
    outputs: int
    density: float
    seconds: Mapping[str, float]


def measure(repeats: int) -> Iterator[Timing]:
    """Every shape at every density."""
    generator = torch.Generator().manual_seed(0)
    for rows, inputs, outputs in SHAPES:
        weight = torch.randn(outputs, inputs, generator=generator)
        grad = torch.randn(rows, outputs, generator=generator)
        for density in DENSITIES:
            x = (torch.rand(rows, inputs, generator=generator) < density).float()
            found = _in_turns(_jobs(x, weight, grad), repeats)
            yield Timing(rows, inputs, outputs, density, found)


def _jobs(x: Tensor, weight: Tensor, grad: Tensor) -> dict[str, Callable[[], object]]:
    turned = weight.t().contiguous()
    y, d = grad.new_empty(grad.shape), weight.new_empty(weight.shape)
    bits, _ = pack(x, USUAL.wake)
    back = bits.turned(USUAL.wake)
    return {
        "dense": lambda: (torch.mm(x, weight.t(), out=y), torch.mm(grad.t(), x, out=d)),
        "skip": lambda: (added_rows(bits, turned, USUAL), added_rows(back, grad, USUAL)),
        "lookup": lambda: (looked_up(bits, turned, USUAL), looked_up(back, grad, USUAL)),
        "pack": lambda: (pack(x, USUAL.wake), pack(x, USUAL.wake)[0].turned(USUAL.wake)),
        "turn": lambda: weight.t().contiguous(),
    }


def _in_turns(jobs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """The shortest times: noise only ever adds."""
    found = dict.fromkeys(jobs, float("inf"))
    for repeat in range(repeats + 1):
        for name, job in jobs.items():
            before = time.thread_time()
            job()
            if repeat:  # the first one warms up
                found[name] = min(found[name], time.thread_time() - before)
    return found


def fit(timings: list[Timing]) -> Costs:
    """Least squares on relative errors; both passes together count as two products."""

    def solved(way: str, columns: Callable[[Timing], list[float]]) -> list[float]:
        seconds = np.array([t.seconds[way] for t in timings])
        table = np.array([columns(t) for t in timings]) / seconds[:, None]
        found, *_ = np.linalg.lstsq(table, np.ones(len(timings)), rcond=None)
        return [max(0.0, float(cost)) for cost in found]

    one = Costs(0.0, 0.0, 1.0, 1.0, 0.0, 0.0)  # what `Costs.of` counts, unit by unit
    tables = Costs(0.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    unit, read = solved("dense", lambda t: [2.0 * t.rows * t.inputs * t.outputs, 2.0 * t.rows * t.inputs])
    (add,) = solved("skip", lambda t: [2 * one.of("skip", *t[:4])])
    look, build = solved("lookup", lambda t: [2 * costs.of("lookup", *t[:4]) for costs in (one, tables)])
    (packed,) = solved("pack", lambda t: [2.0 * t.rows * t.inputs])
    (turn,) = solved("turn", lambda t: [1.0 * t.inputs * t.outputs])
    return Costs(*(round(cost / unit, 3) for cost in (read, packed, add, look, build, turn)))


def main() -> None:
    """Measure, fit, and show where the fit would choose wrongly."""
    torch.set_num_threads(1)
    timings = list(measure(int(sys.argv[-1]) if sys.argv[-1].isdigit() else 7))
    costs = fit(timings)
    print(f"{costs} on {processor()}; used now: {costs_here()}")
    for t in timings:
        seconds = {
            way: t.seconds[way] + (t.seconds["pack"] + t.seconds["turn"] if way != "dense" else 0.0)
            for way in WAYS
        }
        chosen, best = costs.cheapest(WAYS[1:], *t[:4], kept=False), min(seconds, key=seconds.__getitem__)
        alone = "".join(f"{way} {t.seconds['dense'] / t.seconds[way]:5.2f}  " for way in WAYS[1:])
        print(
            f"{t.rows:5} {t.inputs:5} {t.outputs:5} {t.density:5.2f}  beside dense: {alone} {chosen}, which "
            f"takes {seconds[chosen] / seconds[best]:.2f} of the shortest"
        )
    if "--keep" in sys.argv:
        print("kept for this processor" if keep(costs) else "could not be kept")


if __name__ == "__main__":
    main()
