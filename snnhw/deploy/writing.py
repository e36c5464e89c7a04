"""A deployed network as a folder: the integers, what the vendor's tools take, and the report."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from snnhw import registry
from snnhw.deploy.deploying import Deployed
from snnhw.deploy.textbook import textbook_program
from snnhw.errors import ExportError, InputError, SnnhwError
from snnhw.ir import files
from snnhw.plugin import FORMATS

__all__ = ["report", "write"]


def write(deployed: Deployed, path: Path) -> tuple[str, ...]:
    """Write a folder, which is there as a whole or not at all; gives the names of its files.

    ``network.snn`` is the program of integers; ``network.FORMAT``, of every format that is installed, is for
    other tools: the chip's parameters as floats.
    ``TARGET.npz`` and ``load_....py`` are for the vendor's tools alone, ``report.json`` for everybody.

    Raises:
        InputError: the path is taken.
    """
    if path.exists():
        raise InputError(f"'{path}' is there already; give the name of a new folder")
    made, target = deployed.quantised, deployed.target
    folder = Path(mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        files.save(folder / "network.snn", made.program, made.params)
        arrays: dict[str, Any] = dict(made.vendor)
        np.savez(folder / f"{target.name}.npz", **arrays)
        name, text = target.loader()
        (folder / name).write_text(text)
        lost = _for_others(deployed, folder)
        (folder / "report.json").write_text(json.dumps(report(deployed, lost), indent=1))
        folder.chmod(0o755)
        folder.rename(path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return tuple(sorted(found.name for found in path.iterdir()))


def _for_others(deployed: Deployed, folder: Path) -> tuple[str, ...]:
    """Files of every format, and what could not be said there."""
    lost: list[str] = []
    for name in registry.names(FORMATS):
        try:
            program, params = textbook_program(deployed.quantised)
            registry.file_format(name).write(program, params, folder / f"network.{name}")
        except ExportError as error:
            lost += [f"network.{name} is not written: {reason}" for reason in error.reasons]
        except SnnhwError as error:
            lost.append(f"network.{name} is not written: {error}")
    return tuple(lost)


def report(deployed: Deployed, lost: tuple[str, ...] = ()) -> dict[str, object]:
    """What became of the network, in words and numbers that any tool can read."""
    made, timed = deployed.quantised, deployed.timed
    late = max((timed.late[source] for source in timed.network.outputs.values()), default=0)
    return {
        "schema": 1,
        "target": deployed.target.name,
        "label": deployed.target.label,
        "answers_late": late,
        "late": dict(timed.late),
        "layers": {name: dict(row) for name, row in made.rows.items()},
        "peaks": dict(deployed.peaks),
        "at_the_end_of_their_bits": dict(deployed.full),
        "limits": [{**asdict(use.limit), "used": use.used, "node": use.node} for use in made.uses],
        "lost": [*made.lost, *timed.shifted, *lost],
        "proxies": _proxies(deployed),
    }


def _proxies(deployed: Deployed) -> dict[str, object]:
    """Of energy: what is counted here is none, but what costs it."""
    network, seen = deployed.quantised.network, deployed.run.recordings
    steps, samples = next(iter(seen.values())).shape[:2]
    spikes = {name: int(seen[f"{name}.spk"].sum()) for name in network.populations}
    fan_out = {
        name: sum(int(np.count_nonzero(p.weight)) for p in network.projections if p.source == name)
        for name in spikes
    }
    count = sum(spikes[name] * fan_out[name] / max(1, network.width(name)) for name in spikes)
    return {
        "of": "energy, on the sample data; counted, not measured",
        "spikes_per_step": {name: count / (steps * samples) for name, count in spikes.items()},
        "synaptic_operations_per_step_about": count / (steps * samples),
        "synapses": sum(int(np.count_nonzero(p.weight)) for p in network.projections),
    }
