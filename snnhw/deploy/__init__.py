"""From a float network to a chip's integers: read as populations, timed, calibrated, quantised, written, held
to the vendor's simulator.

A target (`snnhw.target`) is data and a rule; what is done with it is here, and is the same for every chip.
"""

from __future__ import annotations

from snnhw.deploy.delays import Delayed, delayed
from snnhw.deploy.deploying import Deployed, deploy, target_of
from snnhw.deploy.floats import float_program
from snnhw.deploy.preparing import prepared
from snnhw.deploy.reading import read_network
from snnhw.deploy.verdicts import Verdicts, verdicts
from snnhw.deploy.writing import write

__all__ = [
    "Delayed",
    "Deployed",
    "Verdicts",
    "delayed",
    "deploy",
    "float_program",
    "prepared",
    "read_network",
    "target_of",
    "verdicts",
    "write",
]
