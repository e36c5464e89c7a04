"""What values of the language mean on torch tensors: scans, surrogates, losses.

Shared by the front end and by torch-based backends; importing it imports torch.
"""

from __future__ import annotations

from snnhw.tensors import losses, surrogates
from snnhw.tensors.provider import Provider, Scan, ScanGrads
from snnhw.tensors.scan import run_scan

__all__ = ["Provider", "Scan", "ScanGrads", "losses", "run_scan", "surrogates"]
