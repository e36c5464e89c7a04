"""Which provider of kernels is installed for a type of device.

They are found in the entry-point group `snnhw.plugin.KERNELS`: classes with a ``name`` and an ``interface``,
as other plugins have.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

from snnhw import registry
from snnhw.errors import PluginError
from snnhw.plugin import KERNELS
from snnhw.tensors.scans.eager import EagerProvider
from snnhw.tensors.scans.provider import Provider

__all__ = ["provider_for"]


@lru_cache(maxsize=16)
def provider_for(device_type: str) -> Provider:
    """The installed provider for a type of device, or torch itself where there is none."""
    if device_type in registry.names(KERNELS):
        try:
            found: Provider = registry.load(KERNELS, device_type)
        except PluginError as error:
            warnings.warn(
                f"neurons run step by step in torch, which is slow: {error}", RuntimeWarning, stacklevel=2
            )
        else:
            return found
    return EagerProvider()
