"""How far a run is from the reference, or two runs from each other, and whether rounding explains it.

    found = parity(plugin, program, params, inputs, time_steps=25)
    found.ok, found.first

`rounding` steps through a program with a bound on every value; `tally` judges one port at one step by it, and
`comparison` adds up. `differ` compares bit for bit, `measured` says in numbers how far two runs are apart,
and `live` holds a model in use. Conformance, ``verify`` and the demo stand on this; it knows nothing of them.
"""

from __future__ import annotations

from snnhw.parity.comparison import Parity, hold, neuron_ports, parity
from snnhw.parity.live import Live, hold_live
from snnhw.parity.result import Disagreement, Measured
from snnhw.parity.tally import Mismatch

__all__ = [
    "Disagreement",
    "Live",
    "Measured",
    "Mismatch",
    "Parity",
    "hold",
    "hold_live",
    "neuron_ports",
    "parity",
]
