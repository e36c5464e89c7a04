"""Random networks in Xylo's integers."""

from __future__ import annotations

import numpy as np
from chips_nets import STEPS, Case

from snnhw.target import ChipNetwork, Population
from snnhw_chips.xylo_program import Cells, integer_program, vendor_arrays

__all__ = ["xylo_case"]


def xylo_case(seed: int) -> Case:
    """Inputs, two populations of hidden neurons that feed each other and themselves, and output neurons; some
    driven into saturation."""
    rng = np.random.default_rng(seed)
    hot = rng.random() < 0.4
    sizes = {name: int(n) for name, n in zip(("in", "a", "b", "c"), rng.integers(1, 6, 4), strict=True)}
    made = {}
    for name, sources in (("a", ("in", "a", "b")), ("b", ("in", "a", "b")), ("c", ("a", "b"))):
        size = sizes[name]
        weights = {
            source: rng.integers(-128, 128, (size, sizes[source])) * (rng.random((size, sizes[source])) < 0.7)
            for source in sources
        }
        made[name] = Cells(
            rng.integers(0, 16, size),
            rng.integers(0, 16, size),
            rng.integers(0 if hot else 1, 20_000 if hot else 1500, size),
            rng.integers(-120, 120, size),
            weights,
        )
    ones = {name: np.ones(size) for name, size in sizes.items()}
    populations = {name: Population(name, x, x, x, x, "subtract") for name, x in ones.items() if name != "in"}
    network = ChipNetwork({"in": (sizes["in"],)}, populations, (), {"out": "c"})
    shift = int(rng.integers(0, 10 if hot else 2))
    program, params = integer_program(network, made, ("c",), shift)
    inputs = {"in": np.minimum(rng.poisson(rng.choice([0.2, 1, 6]), (STEPS, sizes["in"])), 15)}
    ports = {f"{name}.{ours}": f"{name}.{theirs}" for name in made for ours, theirs in PORTS}
    return Case(program, params, vendor_arrays(network, made, ("c",), shift), inputs, ports)


PORTS = (("i", "i"), ("v", "v"), ("spk", "s"))
