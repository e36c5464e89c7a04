"""Vendors' simulators, each in a process group and a Python of its own: they were seen to hang, and to crash.

Their licences keep them out of what snnhw installs; `docs/chips.md` says how to install them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from snnhw.errors import DeviceError
from snnhw.plugin import Arrays, Probe
from snnhw.target import Array, Job

__all__ = ["Simulator"]

PATIENCE: Final = 300.0
"""Seconds that a simulator may take for one call."""


@dataclass(frozen=True)
class Simulator:
    """One of them.

    Attributes:
        package: as its distribution is called; module: what is imported to see whether it is there.
        variable: of the environment, which names the Python that has it; without, it is this one.
        worker: the script that runs it: networks, inputs and results as files, three for each.
        install: how it is installed.
        patience: seconds after which it is ended.
    """

    package: str
    module: str
    variable: str
    worker: Path
    install: str
    patience: float = PATIENCE

    @property
    def python(self) -> str:
        return os.environ.get(self.variable, sys.executable)

    def probe(self) -> Probe:
        """Whether it is at hand."""
        asked = (
            f"import {self.module}; from importlib.metadata import version; print(version('{self.package}'))"
        )
        install = f"{self.install}; then point {self.variable} to that Python"
        try:
            done = self._ended(["-c", asked], 60.0)
        except DeviceError as error:
            return Probe("broken", str(error), install)
        if done.returncode:
            return Probe("missing", _last(done.stderr), install)
        return Probe("ready", version=f"{self.package} {done.stdout.split()[-1]}", device=self.python)

    def run(self, jobs: Sequence[Job]) -> list[Arrays]:
        """What it gives for each of several networks, all in one process."""
        with TemporaryDirectory() as folder:
            files: list[str] = []
            for number, (network, inputs) in enumerate(jobs):
                mine = [str(Path(folder) / f"{number}-{what}.npz") for what in ("network", "inputs", "out")]
                _save(mine[0], network)
                _save(mine[1], inputs)
                files += mine
            done = self._ended([str(self.worker), *files], self.patience)
            if done.returncode < 0:
                name = signal.Signals(-done.returncode).name
                raise DeviceError(f"{self.package} crashed ({name}) in {self.python}; {self._alone(jobs)}")
            if done.returncode:
                raise DeviceError(f"{self.package} failed: {_last(done.stderr)}")
            results: list[Arrays] = []
            for out in files[2::3]:
                with np.load(out) as arrays:
                    results.append(dict(arrays))
            return results

    def _alone(self, jobs: Sequence[Job]) -> str:
        return "give networks one by one to see which" if len(jobs) > 1 else "try again with fewer steps"

    def _ended(self, arguments: list[str], patience: float) -> subprocess.CompletedProcess[str]:
        """Run to its end, or ended with all that it has started."""
        command = [self.python, *arguments]
        try:
            process = subprocess.Popen(  # noqa: S603  # the user's own interpreter
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
            )
        except OSError as error:
            raise DeviceError(f"{self.package}: {self.python}: {error.strerror or error}") from error
        try:
            told, failed = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired as error:
            raise DeviceError(
                f"{self.package} did not answer in {patience:g} s, and was ended; give fewer steps"
            ) from error
        finally:
            _end(process)
        return subprocess.CompletedProcess(command, process.returncode, told, failed)


def _end(process: subprocess.Popen[str]) -> None:
    """Whatever is left of its group: simulators start processes of their own."""
    with suppress(ProcessLookupError):  # all of it has ended
        os.killpg(process.pid, signal.SIGKILL)
    if process.returncode is None:
        process.communicate()  # which closes what it was heard through


def _save(path: str, arrays: Mapping[str, Array]) -> None:
    held: dict[str, Any] = {key: np.asarray(x) for key, x in arrays.items()}
    np.savez(path, **held)


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]
