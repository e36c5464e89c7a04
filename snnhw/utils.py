"""Small helpers under snnTorch's names."""

from __future__ import annotations

from torch import nn

from snnhw.nn.carrying import CARRYING

__all__ = ["reset"]


def reset(net: nn.Module) -> None:
    """Put every neuron of ``net`` at rest, and every other layer that remembers or counts steps.

    However deeply nested; no other network is touched.

    Also cuts the graph of earlier steps, as snnTorch's does.
    """
    for module in net.modules():
        if isinstance(module, tuple(CARRYING)):
            module.reset_mem()  # type: ignore[operator]  # all of them have it
