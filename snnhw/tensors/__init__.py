"""What values of the language mean on torch tensors: scans, surrogates, losses.

Shared by the front end and by torch-based backends; importing it imports torch.
"""

from __future__ import annotations

from snnhw.tensors import losses, surrogates
from snnhw.tensors.arrays import as_tensor
from snnhw.tensors.scans.provider import Provider, Scan, ScanGrads
from snnhw.tensors.scans.scan import run_scan, run_step

__all__ = ["Provider", "Scan", "ScanGrads", "as_tensor", "losses", "run_scan", "run_step", "surrogates"]
