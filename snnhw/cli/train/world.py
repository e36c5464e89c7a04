"""The processes of a run, where torchrun starts several."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from snnhw.plugin import Ranks

__all__ = ["restarted", "world"]

RESTARTS: Final = "TORCHELASTIC_RESTART_COUNT"
"""How often torchrun has started the processes of a run again; it sets it."""


def restarted() -> bool:
    """Whether torchrun has started this process in the place of one that ended."""
    return int(os.environ.get(RESTARTS, "0")) > 0


@contextmanager
def world(timeout: float, *, joint: bool = False) -> Iterator[Ranks]:
    """The processes that torchrun has started, as its environment has them; this one alone elsewhere.

    Args:
        timeout: seconds that one waits for another.
        joint: as for `snnhw.training.ProcessRanks`.
    """
    import torch
    from torch import distributed

    from snnhw.session.ranks import ALONE
    from snnhw.tensors.ranks import ProcessRanks

    if not distributed.is_available() or not distributed.is_torchelastic_launched():
        yield ALONE
        return
    if torch.cuda.is_available():  # which "cuda" then means
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    distributed.init_process_group(timeout=timedelta(seconds=timeout))
    try:
        yield ProcessRanks(joint=joint) if distributed.get_world_size() > 1 else ALONE
    finally:
        distributed.destroy_process_group()
