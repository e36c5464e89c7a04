"""Simulators that read NIR, as readers: each runs in a process of its own.

Their releases exclude one another, so each may have an interpreter of its own: ``SNNHW_NORSE_PYTHON`` and
so on name it; without, it is the one that runs this.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np

from snnhw.errors import DeviceError, InputError
from snnhw.plugin import INTERFACE, Arrays, Probe

__all__ = ["NorseReader", "SinabsReader", "SnnTorchReader", "SpikingJellyReader"]

WORKER = Path(__file__).with_name("worker.py")
PATIENCE = 600.0
"""Seconds that a simulator may take."""


class NirReader:
    """One simulator; the class attributes say which."""

    name: ClassVar[str]
    interface: ClassVar[int] = INTERFACE
    formats: ClassVar[tuple[str, ...]] = ("nir",)
    install: ClassVar[str] = "pip install {name} nir nirtorch"

    def probe(self) -> Probe:
        asked = (
            f"import nir, {self.name}; from importlib.metadata import version; print(version('{self.name}'))"
        )
        install = self.install.format(name=self.name)
        install += f", or point {self._variable} to a Python that has them"
        try:
            done = self._started(["-c", asked])
        except (OSError, subprocess.TimeoutExpired) as error:
            return Probe("broken", f"{self._interpreter}: {error}", install)
        if done.returncode:
            return Probe("missing", _last_line(done.stderr), install)
        return Probe("ready", version=f"{self.name} {done.stdout.split()[-1]}", device=self._interpreter)

    def run(self, path: Path, inputs: Arrays, record: tuple[str, ...]) -> Arrays:
        """The spikes of the neurons that are modules of their own there, ``[T, B, ...]``.

        Raises:
            InputError: the network has several inputs.
            DeviceError: the simulator failed; its last words are the message.
        """
        if len(inputs) != 1:
            raise InputError(f"reader '{self.name}' takes networks of one input, not {', '.join(inputs)}")
        (x,) = inputs.values()
        with TemporaryDirectory() as folder:
            given, made = Path(folder) / "x.npy", Path(folder) / "made.npz"
            np.save(given, np.asarray(x, np.float32))
            done = self._started([str(WORKER), self.name, str(path), str(given), str(made), *record])
            if done.returncode:
                raise DeviceError(f"reader '{self.name}' failed: {_last_line(done.stderr)}")
            with np.load(made) as found:
                return dict(found)

    @property
    def _variable(self) -> str:
        return f"SNNHW_{self.name.upper()}_PYTHON"

    @property
    def _interpreter(self) -> str:
        return os.environ.get(self._variable, sys.executable)

    def _started(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        command = [self._interpreter, *arguments]
        return subprocess.run(  # noqa: S603  # the user's own interpreter
            command, capture_output=True, text=True, check=False, timeout=PATIENCE
        )


class NorseReader(NirReader):
    """Norse."""

    name = "norse"


class SinabsReader(NirReader):
    """sinabs, whose neurons are others than NIR's: see `snnhw_nir.dialects.APART`.

    It pins nir<=1.0.4, which cannot read ``v_reset``; a later one serves.
    """

    name = "sinabs"
    install = "pip install nir nirtorch pbr && pip install --no-deps {name}"


class SnnTorchReader(NirReader):
    """snnTorch."""

    name = "snntorch"


class SpikingJellyReader(NirReader):
    """SpikingJelly."""

    name = "spikingjelly"


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]
