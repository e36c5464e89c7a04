"""Neurons in plain torch, for tests that are not about kernels: compiling those takes long."""

from __future__ import annotations

from collections.abc import Callable

import snnhw_cpu.network  # it has the provider under a name of its own
import snnhw_cpu.provider
from snnhw.plugin import INTERFACE
from snnhw.tensors.scans.eager import EagerProvider
from snnhw.tensors.scans.installed import provider_for

__all__ = ["use_plain_torch"]


class Plain(EagerProvider):
    """In the place of the CPU's provider of kernels, whoever asks for it."""

    name = "cpu"
    interface = INTERFACE

    def __init__(self, limits: object = None) -> None:
        pass


def use_plain_torch(replace: Callable[[object, str, object], None]) -> None:
    """Replace the provider wherever it is named, by ``setattr`` or what undoes it."""
    for module in (snnhw_cpu.provider, snnhw_cpu.network):
        replace(module, "NumbaProvider", Plain)
    provider_for.cache_clear()
