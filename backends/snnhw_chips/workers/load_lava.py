"""Builds networks of LIF and Dense from arrays of integers, and runs them in lava's fixed-point models.

    python load_lava.py NETWORK.npz INPUTS.npz OUT.npz [NETWORK.npz INPUTS.npz OUT.npz ...]

``INPUTS`` holds spikes by input, ``[T, N]``; ``OUT`` then ``POPULATION.u``, ``.v`` and ``.s``, ``[T, N]``.
It needs lava-nc alone. That is for Python 3.10; on 3.11, where it installs with ``--ignore-requires-python``
and NumPy below 2, its dataclasses need a hash, which they are given here.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import numpy as np

_made: Any = dataclasses.dataclass


def _hashed(cls: Any = None, /, **options: Any) -> Any:
    """As `dataclasses.dataclass`; defaults that are dataclasses must have a hash from Python 3.11 on."""

    def make(kind: Any) -> Any:
        done = _made(kind, **options)
        if done.__hash__ is None:
            done.__hash__ = object.__hash__
        return done

    return make if cls is None else make(cls)


dataclasses.dataclass = _hashed

from lava.magma.core.run_conditions import RunSteps  # noqa: E402  # after what it needs
from lava.magma.core.run_configs import Loihi2SimCfg  # noqa: E402
from lava.proc.dense.process import Dense  # noqa: E402
from lava.proc.io.sink import RingBuffer as Sink  # noqa: E402
from lava.proc.io.source import RingBuffer as Source  # noqa: E402
from lava.proc.lif.process import LIF  # noqa: E402
from lava.proc.monitor.process import Monitor  # noqa: E402


def build(found: Any, inputs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Population -> LIF, and input -> source, connected."""
    cells = {}
    for name in map(str, found["populations"]):
        du, dv, vth = (found[f"{name}/{key}"] for key in ("du", "dv", "vth"))
        bias = {"bias_mant": found[f"{name}/bias_mant"], "bias_exp": found[f"{name}/bias_exp"]}
        cells[name] = LIF(shape=vth.shape, du=du, dv=dv, vth=vth, **bias)
    sources = {name: Source(data=inputs[name].T.astype(int)) for name in map(str, found["inputs"])}
    for name in map(str, found["projections"]):
        weight, exponent = found[f"{name}/weight"], int(found[f"{name}/exponent"])
        dense = Dense(weights=weight, weight_exp=exponent)
        before = str(found[f"{name}/from"])
        (sources[before] if before in sources else cells[before]).s_out.connect(dense.s_in)
        dense.a_out.connect(cells[str(found[f"{name}/to"])].a_in)
    return cells, sources


def run(network: str, spikes: str, to: str) -> None:
    """One network on one sample."""
    with np.load(network) as found, np.load(spikes) as inputs:
        steps = len(next(iter(inputs.values())))
        cells, _ = build(found, inputs)
    watched = {}
    for name, lif in cells.items():
        currents, membranes = Monitor(), Monitor()
        currents.probe(lif.u, steps)
        membranes.probe(lif.v, steps)
        sink = Sink(shape=lif.v.shape, buffer=steps)
        lif.s_out.connect(sink.a_in)
        watched[name] = currents, membranes, sink
    first = next(iter(cells.values()))
    first.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    seen = {}
    for name, (currents, membranes, sink) in watched.items():
        seen[f"{name}.u"] = next(iter(currents.get_data().values()))["u"]
        seen[f"{name}.v"] = next(iter(membranes.get_data().values()))["v"]
        seen[f"{name}.s"] = sink.data.get().T
    first.stop()
    np.savez(to, **{key: np.asarray(x).astype(np.int64) for key, x in seen.items()})  # type: ignore[arg-type]  # NumPy's own hint


if __name__ == "__main__":
    files = sys.argv[1:]
    if len(files) % 3 or not files:
        sys.exit(str(__doc__))
    for place in range(0, len(files), 3):
        run(*files[place : place + 3])
