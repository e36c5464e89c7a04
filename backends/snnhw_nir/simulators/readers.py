"""Simulators that read NIR, as readers: each runs in a process of its own.

Their releases exclude one another, so each may have an interpreter of its own: the option ``python`` names
it, or ``SNNHW_NORSE_PYTHON`` and so on; without, it is the one that runs this.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Final

import numpy as np

from snnhw.errors import DeviceError, InputError, LoadError
from snnhw.ir import Neuron
from snnhw.plugin import INTERFACE, Arrays, Probe
from snnhw_nir import importing
from snnhw_nir.graph import Graph
from snnhw_nir.simulators.reasons import reasons
from snnhw_nir.simulators.rules import by_rule
from snnhw_nir.wires import inlined

__all__ = ["NorseReader", "SinabsReader", "SnnTorchReader", "SpikingJellyReader"]

WORKER = Path(__file__).with_name("worker.py")
PATIENCE = 600.0
"""Seconds that a simulator may take."""

INTEGRATORS: Final = ("I", "LI", "CubaLI")
"""Nodes that give their membrane."""

LOADING: Final = 3
"""How the worker ends where the simulator does not take the file."""


@dataclass(frozen=True)
class ReaderOptions:
    """``python``: the interpreter that has the simulator installed."""

    python: str = ""


class NirReader:
    """One simulator; the class attributes say which."""

    name: ClassVar[str]
    interface: ClassVar[int] = INTERFACE
    formats: ClassVar[tuple[str, ...]] = ("nir",)
    install: ClassVar[str] = "pip install {name} nir nirtorch"
    Options: ClassVar[type] = ReaderOptions

    def probe(self) -> Probe:
        asked = (
            f"import nir, {self.name}; from importlib.metadata import version; print(version('{self.name}'))"
        )
        install = self.install.format(name=self.name)
        install += f", or point {self._variable} to a Python that has them"
        try:
            done = _started(self._interpreter, ["-c", asked])
        except (OSError, subprocess.TimeoutExpired) as error:
            return Probe("broken", f"{self._interpreter}: {error}", install)
        if done.returncode:
            return Probe("missing", _last_line(done.stderr), install)
        return Probe("ready", version=f"{self.name} {done.stdout.split()[-1]}", device=self._interpreter)

    def run(
        self,
        path: Path,
        inputs: Arrays,
        record: tuple[str, ...],
        *,
        read: Mapping[str, object] | None = None,
        options: ReaderOptions | None = None,
    ) -> Arrays:
        """Spikes and states of the neurons that are modules of their own there, ``[T, B, ...]``. A membrane
        that this network resets a step late is none of them: there, it is reset at once.

        Raises:
            InputError: the network has several inputs.
            LoadError: the simulator does not take the file; DeviceError: it failed, or took too long. Its
                last words are the message.
        """
        if len(inputs) != 1:
            raise InputError(f"reader '{self.name}' takes networks of one input, not {', '.join(inputs)}")
        (x,) = inputs.values()
        graph, found = importing.read(path, **(read or {}))
        python = (options and options.python) or self._interpreter
        with TemporaryDirectory() as folder:
            given, made = Path(folder) / "x.npy", Path(folder) / "made.npz"
            np.save(given, np.asarray(x, np.float32))
            task = {
                "simulator": self.name,
                "file": str(path),
                "dt": found.dt,
                "inputs": str(given),
                "to": str(made),
                "record": _recorded(inlined(graph), found, record),
            }
            try:
                done = _started(python, [str(WORKER), json.dumps(task)])
            except OSError as error:
                raise DeviceError(f"reader '{self.name}': {python}: {error.strerror or error}") from error
            except subprocess.TimeoutExpired as error:
                raise DeviceError(f"reader '{self.name}' did not answer in {PATIENCE:g} s") from error
            if done.returncode == LOADING:
                raise LoadError(f"'{self.name}' refuses the file: {_last_line(done.stderr)}")
            if done.returncode:
                raise DeviceError(f"reader '{self.name}' failed: {_last_line(done.stderr)}")
            with np.load(made) as arrays:
                return dict(arrays)

    def by_rule(
        self, path: Path, inputs: Arrays, record: tuple[str, ...], *, read: Mapping[str, object]
    ) -> Arrays:
        """By its dialect; see `snnhw_nir.simulators.rules`."""
        return by_rule(self.name, path, inputs, record, read)

    def known(self, path: Path, read: Mapping[str, object]) -> tuple[str, ...]:
        """Where it parts from NIR, as far as this file shows it; see `snnhw_nir.simulators.reasons`."""
        return tuple(reasons(self.name, *importing.read(path, **read)))

    @property
    def _variable(self) -> str:
        return f"SNNHW_{self.name.upper()}_PYTHON"

    @property
    def _interpreter(self) -> str:
        return os.environ.get(self._variable, sys.executable)


def _recorded(flat: Graph, found: importing.Read, ports: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Port -> node of the file, and which of its values."""
    wanted = {}
    for port in ports:
        name, _, what = port.rpartition(".")
        op = found.program.nodes[name]
        assert isinstance(op, Neuron)
        gives = "spk" if op.model.fire is not None else op.model.states[-1].name
        node = found.ports.get(port, found.ports.get(f"{name}.{gives}"))
        late = op.timing == "delayed" and op.reset != "none"
        if node is None or (late and what == "mem"):
            continue
        gives_it = what == "spk" or (what == "mem" and getattr(flat.nodes[node], "type", "") in INTEGRATORS)
        wanted[port] = (node, "out" if gives_it else what)
    return wanted


def _started(python: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # the user's own interpreter
        [python, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE
    )


class NorseReader(NirReader):
    """Norse."""

    name = "norse"


class SinabsReader(NirReader):
    """sinabs, whose neurons are others than NIR's: see `snnhw_nir.targets.dialects.APART`.

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
