"""Where, when and by how much backends part on somebody's own network.

    found = verify(program, params, inputs, ("cpu", "norse@nir"), time_steps=25)

Each backend runs the same inputs. It is held to the float64 reference, layer by layer, and to the first
backend of the list; of every difference it is said whether rounding explains it. A *reader* takes part
under ``name@format``: it runs the very file that the network came from, or, where that is of another format,
the network as written for it.
"""

from __future__ import annotations

from snnhw.verify.records import Held, Pair, Verification
from snnhw.verify.running import Source
from snnhw.verify.verifying import verify

__all__ = ["Held", "Pair", "Source", "Verification", "verify"]
