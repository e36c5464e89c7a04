"""Builds a Xylo network from arrays of integers, and runs it in xylosim.

    python load_xylo.py NETWORK.npz INPUTS.npz OUT.npz [NETWORK.npz INPUTS.npz OUT.npz ...]

``INPUTS`` holds spikes by input, ``[T, N]``; ``OUT`` then ``POPULATION.i``, ``.v`` and ``.s``, ``[T, N]``.
It needs xylosim alone, which builds with a C++ compiler.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import xylosim.v2 as xylo

KEPT: list[Any] = []
"""What is handed to a layer has to live as long as the layer: it does not hold it."""


def synapses(weight: Any) -> list[list[Any]]:
    """``[source, target]`` as a list for each source."""
    rows = [[xylo.XyloSynapse(int(at), 0, int(row[at])) for at in np.nonzero(row)[0]] for row in weight]
    KEPT.append(rows)
    return rows


def build(found: Any) -> Any:
    """The layer."""
    numbers = {key: found[key].tolist() for key in ("threshold", "threshold_out", "bias", "bias_out")}
    shift = int(found["weight_shift"])
    layer = xylo.XyloLayer(
        synapses_in=synapses(found["weight_in"]),
        synapses_rec=synapses(found["weight_rec"]),
        synapses_out=synapses(found["weight_out"]),
        aliases=[[] for _ in found["threshold"]],
        weight_shift_inp=shift,
        weight_shift_rec=shift,
        weight_shift_out=shift,
        dash_mem=found["dash_mem"].tolist(),
        dash_mem_out=found["dash_mem_out"].tolist(),
        dash_syns=[[dash] for dash in found["dash_syn"].tolist()],
        dash_syns_out=[[dash] for dash in found["dash_syn_out"].tolist()],
        has_bias=True,
        name="network",
        **numbers,
    )
    KEPT.append(layer)
    return layer


def run(network: str, spikes: str, to: str) -> None:
    """One network on one sample."""
    with np.load(network) as found, np.load(spikes) as inputs:
        layer = build(found)
        given = np.concatenate([inputs[name] for name in map(str, found["inputs"])], axis=1)
        out = np.array(layer.evolve(given.astype(int).tolist()))
        hidden = {"i": layer.rec_i_syn, "v": layer.rec_v_mem}
        ready = {"i": layer.rec_i_syn_out, "v": layer.rec_v_mem_out}
        steps = len(given)
        seen: dict[str, Any] = {}
        for kind, states, counts in (("hidden", hidden, layer.rec_recurrent_spikes), ("output", ready, out)):
            names, ends = found[kind], found[f"{kind}_ends"].tolist()
            fired = np.array(counts).reshape(steps, -1)
            for name, first, last in zip(map(str, names), [0, *ends], ends, strict=False):
                for key, state in states.items():
                    seen[f"{name}.{key}"] = np.array(state).T.reshape(steps, -1)[:, first:last]
                seen[f"{name}.s"] = fired[:, first:last]
    held: dict[str, Any] = {key: np.asarray(x).astype(np.int64) for key, x in seen.items()}
    np.savez(to, **held)


if __name__ == "__main__":
    files = sys.argv[1:]
    if len(files) % 3 or not files:
        sys.exit(str(__doc__))
    for place in range(0, len(files), 3):
        run(*files[place : place + 3])
