"""Whose copy of the optimizer's state is the newer one: the host's or the device's.

PopTorch keeps two marks for it, on the optimizer, and moves the state when it is asked for, or before it is
needed: `Optimizer.host_state_is_dirty` when the device has gone on, `ipu_state_is_dirty` when a state
was loaded on the host.
"""

from __future__ import annotations

from typing import Any

from .device import Updater
from .errors import Error
from .optim import Optimizer, kind_of, settings

__all__ = ["Memory"]


class Memory:
    """What a `PoplarExecutor` does about its optimizer."""

    def __init__(self) -> None:
        self.optimizer: Any = None
        self.taken: dict[str, tuple[Any, bool]] = {}
        self.updater: Updater | None = None
        self.attached = False

    def isCompiled(self) -> bool:  # PopTorch's names
        raise NotImplementedError

    def setOptimizer(self, optimizer: Any) -> None:
        """Take over settings. Another optimizer's state is uploaded only if it has one."""
        kind_of(optimizer)
        if self.isCompiled() and optimizer is not self.optimizer:
            if isinstance(self.optimizer, Optimizer):
                self._read_state_if_needed()
                self.optimizer.state_dict = self.optimizer.get_state_dict
            if isinstance(optimizer, Optimizer):
                optimizer.ipu_state_is_dirty = True
        if isinstance(optimizer, Optimizer):
            optimizer.state_dict = self._state_dict
        self.optimizer = optimizer
        self.taken = settings(optimizer)
        if self.updater is not None:
            self.updater.take(self.taken)
            self._write_state_if_needed()

    def _state_dict(self) -> dict[str, Any]:
        self._read_state_if_needed()
        found: dict[str, Any] = self.optimizer.get_state_dict()
        return found

    def _load_updater(self, updater: Updater) -> None:
        """On attaching: what the host knows goes to the device, if it knows anything."""
        self.updater = updater
        if isinstance(self.optimizer, Optimizer):
            if self.optimizer.has_state():
                self.optimizer.ipu_state_is_dirty = True
                self._write_state_if_needed()
            else:
                self._state_moved()
                self.optimizer.ipu_state_is_dirty = False

    def _state_moved(self) -> None:
        if isinstance(self.optimizer, Optimizer):
            self.optimizer.host_state_is_dirty = True

    def _read_state_if_needed(self) -> None:
        optimizer = self.optimizer
        if not isinstance(optimizer, Optimizer) or not optimizer.host_state_is_dirty:
            return
        if self.updater is None:
            raise Error("Must be attached to a device to read the optimizer state.")
        optimizer.set_state_dict(self.updater.read())
        optimizer.ipu_state_is_dirty = False

    def _write_state_if_needed(self) -> None:
        optimizer = self.optimizer
        if not isinstance(optimizer, Optimizer) or not optimizer.ipu_state_is_dirty:
            return
        assert not optimizer.host_state_is_dirty, "Both host and ipu states cannot be dirty at the same time."
        if optimizer.has_state() and self.updater is not None:
            self.updater.write(optimizer.get_state_dict())
        optimizer.ipu_state_is_dirty = False
