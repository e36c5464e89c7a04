"""What a product that skips zeros costs beside a dense one: the constants of `snnhw_cpu.events.Costs`.

Run ``python -m benchmarks.events`` on a quiet machine. Times both products over shapes and densities in
turn, fits seconds = dense * (M K O), and for the other M K (look + density O add) + K O turn, and prints
the three costs in units of one dense multiply-add, with how well the fit decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from snnhw_cpu.events import COSTS, Costs, product, weight_adjoint
from snnhw_cpu.limits import USUAL

SHAPES = [(3200, 1000, 1000), (3200, 1000, 256), (800, 1024, 1024), (3200, 1000, 10), (100, 2312, 1024)]
DENSITIES = [0.01, 0.02, 0.05, 0.1, 0.2]


class Timing(NamedTuple):
    """Seconds of both products, forward and gradient of the weight together."""

    rows: int
    inputs: int
    outputs: int
    density: float
    dense: float
    skipping: float
    turn: float


def measure() -> Iterator[Timing]:
    """Every shape at every density."""
    generator = torch.Generator().manual_seed(0)
    for rows, inputs, outputs in SHAPES:
        weight = torch.randn(outputs, inputs, generator=generator, requires_grad=True)
        seed = torch.randn(rows, outputs, generator=generator)
        turned = weight.detach().t().contiguous()
        for density in DENSITIES:
            x = (torch.rand(rows, inputs, generator=generator) < density).float()
            dense, skipping = _paired(
                lambda x=x, weight=weight, seed=seed: torch.autograd.grad(F.linear(x, weight), weight, seed),
                lambda x=x, seed=seed, turned=turned: (
                    product(x, turned, USUAL),
                    weight_adjoint(x, seed, USUAL),
                ),
            )
            turn, _ = _paired(lambda weight=weight: weight.detach().t().contiguous(), lambda: None)
            yield Timing(rows, inputs, outputs, density, dense, skipping, turn)


def _paired(one: Callable[[], object], other: Callable[[], object], repeats: int = 7) -> tuple[float, float]:
    """Shortest times of two jobs run in turn: noise only ever adds."""
    times = np.empty((repeats + 1, 2))
    for repeat in range(repeats + 1):
        for place, job in enumerate((one, other)):
            before = time.perf_counter()
            job()
            times[repeat, place] = time.perf_counter() - before
    first, second = times[1:].min(axis=0)
    return float(first), float(second)


def fit(timings: list[Timing]) -> Costs:
    """Least squares on relative errors; both passes together count as two products."""
    wide = [t for t in timings if t.outputs > 100]
    unit = float(np.median([t.dense / (2 * t.rows * t.inputs * t.outputs) for t in wide]))
    looks = np.array([2.0 * t.rows * t.inputs for t in timings])
    table = np.stack([looks, looks * [t.density * t.outputs for t in timings]], axis=1)
    seconds = np.array([t.skipping for t in timings])
    found, *_ = np.linalg.lstsq(table / seconds[:, None], np.ones(len(timings)), rcond=None)
    turn = float(np.median([t.turn / (t.inputs * t.outputs) for t in timings]))
    return Costs(look=float(found[0]) / unit, add=float(found[1]) / unit, turn=turn / unit)


def main() -> None:
    """Measure, fit, and show where the fit would choose wrongly."""
    timings = list(measure())
    costs = fit(timings)
    print(costs, "used now:", COSTS)
    for t in timings:
        wins = costs.wins(t.rows, t.inputs, t.outputs, t.density)
        ratio = t.dense / (t.skipping + t.turn)
        verdict = ("SLOWER than dense" if ratio < 1.0 else "skips") if wins else "dense"
        print(f"{t.rows:5} {t.inputs:5} {t.outputs:5} {t.density:5.2f}  gain {ratio:5.2f}  {verdict}")


if __name__ == "__main__":
    main()
