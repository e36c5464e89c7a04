"""Integers of three layers on `cpu` beside xylosim and lava-nc: ``python -m benchmarks.chips``.

16-48-32-8 neurons, 200 steps, 4 samples. Every integer is compared first; then both sides run in turns, in
one session: ours here, a vendor's simulator in its own Python, whose time is that of its run alone, without
what builds its network, reads inputs or makes arrays of results. A ratio is the vendor's time by ours.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Final

import numpy as np
import torch

import snnhw as snn
from snnhw.chips import Deployed
from snnhw.deploy import verdicts
from snnhw_chips import loihi2, xylo

__all__ = ["measured"]

SIZES: Final = (16, 48, 32, 8)
STEPS, SAMPLES = 200, 4
ROUNDS: Final = 9
SIMULATORS: Final = {"xylo-a2": xylo.SIMULATOR, "loihi2": loihi2.SIMULATOR}
RESETS: Final = {"xylo-a2": "subtract", "loihi2": "zero"}

SERVERS: Final = {
    "xylo-a2": """
import sys, time
from pathlib import Path
import numpy as np
sys.path.insert(0, str(Path(sys.argv[1]).parent))
import load_xylo
with np.load(sys.argv[2]) as found:
    layer = load_xylo.build(found)
with np.load(sys.argv[3]) as found:
    samples = [x.astype(int).tolist() for x in found.values()]
for _ in sys.stdin:
    took = 0.0
    for sample in samples:
        layer.reset_all()
        begin = time.perf_counter()
        layer.evolve(sample)
        took += time.perf_counter() - begin
    print(took, flush=True)
""",
    "loihi2": """
import sys, time
from pathlib import Path
import numpy as np
sys.path.insert(0, str(Path(sys.argv[1]).parent))
import load_lava as lava
with np.load(sys.argv[3]) as found:
    samples = list(found.values())
for _ in sys.stdin:
    took = 0.0
    for sample in samples:
        with np.load(sys.argv[2]) as network:
            (name,) = map(str, network["inputs"])
            cells, _ = lava.build(network, {name: sample})
        first = next(iter(cells.values()))
        first.run(condition=lava.RunSteps(num_steps=1), run_cfg=lava.Loihi2SimCfg(select_tag="fixed_pt"))
        begin = time.perf_counter()
        first.run(condition=lava.RunSteps(num_steps=len(sample) - 1))
        took += (time.perf_counter() - begin) * len(sample) / (len(sample) - 1)
        first.stop()
    print(took, flush=True)
""",
}
"""Target -> a script that runs all samples for each line that it reads, and writes the seconds."""


def deployed(target: str) -> tuple[Deployed, np.ndarray[Any, Any]]:
    """The network in a chip's integers, and spikes ``[T, B, 16]``."""
    torch.manual_seed(1)
    kind = {"reset_mechanism": RESETS[target], "reset_delay": False, "init_hidden": True}
    layers: list[torch.nn.Module] = []
    for n, m in pairwise(SIZES):
        fc = torch.nn.Linear(n, m, bias=False)
        torch.nn.init.normal_(fc.weight, 0.05, 0.6 / n**0.5)
        layers += [fc, snn.Synaptic(alpha=0.75, beta=0.9375, **kind)]
    spikes = (np.random.default_rng(0).random((STEPS, SAMPLES, SIZES[0])) < 0.3).astype(np.float32)
    net = torch.nn.Sequential(*layers)
    return snn.chips.quantise(net, spikes, torch.zeros(SAMPLES, SIZES[0]), target=target), spikes


@contextmanager
def vendor(made: Deployed, spikes: np.ndarray[Any, Any]) -> Iterator[Any]:
    """A function that has the vendor's simulator run once, and gives its seconds."""
    simulator = SIMULATORS[made.target.name]
    with TemporaryDirectory() as folder:
        network, inputs = Path(folder) / "network.npz", Path(folder) / "inputs.npz"
        arrays: dict[str, Any] = dict(made.quantised.vendor)
        np.savez(network, **arrays)
        named: dict[str, Any] = {f"s{b}": spikes[:, b].astype(np.int64) for b in range(SAMPLES)}
        np.savez(inputs, **named)
        command = [
            simulator.python,
            "-c",
            SERVERS[made.target.name],
            str(simulator.worker),
            str(network),
            str(inputs),
        ]
        with subprocess.Popen(  # noqa: S603  # the user's own interpreter
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            asked, told = process.stdin, process.stdout
            assert asked is not None, "a pipe"
            assert told is not None, "likewise"

            def once() -> float:
                asked.write("again\n")
                asked.flush()
                return float(told.readline())

            yield once
            asked.close()


def measured(target: str) -> Mapping[str, Any]:
    """Ratios of the vendor's seconds by ours: median, smallest, largest; with outputs alone, and with every
    state and spike, which simulators keep in any case."""
    torch.set_num_threads(1)  # as many as a simulator has
    made, spikes = deployed(target)
    (name,) = made.timed.network.inputs
    held = verdicts(made, {name: spikes}, vendor=SAMPLES).vendor
    assert held is not None, "samples were asked for"
    if not held.ok:
        raise SystemExit(f"{target}: {held.differ} of {held.compared} integers differ: {held.first}")
    quantised, whole = made.quantised, {name: spikes.astype(np.int64)}
    pair = (quantised.program, quantised.params)
    runs = {
        "outputs": snn.compile(pair, spikes[0], backend="cpu", time_steps=STEPS),
        "all": snn.compile(pair, spikes[0], backend="cpu", time_steps=STEPS, record=tuple(quantised.ports)),
    }
    ratios: dict[str, list[float]] = {key: [] for key in runs}
    with vendor(made, spikes) as theirs:
        for turn in range(ROUNDS + 1):
            took = theirs()
            for key, model in runs.items():
                begin = perf_counter()
                model.run(whole)
                if turn:
                    ratios[key].append(took / (perf_counter() - begin))
    found = {key: (float(np.median(x)), min(x), max(x)) for key, x in ratios.items()}
    return {"target": target, "by": held.by, "compared": held.compared, "differ": 0, "ratios": found}


if __name__ == "__main__":
    for each in sys.argv[1:] or RESETS:
        sys.stdout.write(json.dumps(measured(each)) + "\n")
