"""The kernels that are kept as texts, of eight typical neurons: as numba source and as Triton source.

``python tests/kernels/kernel_texts.py`` prints them anew; a difference is to be read before it is committed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from kernel_pool import adaptive

from snnhw.ir import (
    MODELS,
    SGD,
    Edge,
    FrozenMap,
    Input,
    L1Rate,
    Linear,
    Loss,
    Neuron,
    Op,
    Output,
    Param,
    Program,
    Term,
    TimeAxis,
    model,
    require_valid,
    sequential,
    trainable,
    variables,
)
from snnhw.plugin import Backend, Train
from snnhw_cpu.plugin import CpuBackend, CpuOptions
from snnhw_cuda.options import CudaOptions
from snnhw_cuda.plugin import CudaBackend

FOLDERS: Final[Mapping[str, tuple[Backend, object]]] = {
    "kernels": (CpuBackend(), CpuOptions()),
    "triton": (CudaBackend(), CudaOptions(interpret=True)),  # prints the same, and compiles nothing
}
"""Folder -> whose kernels are kept there."""

GOLDEN: Final = Path(__file__).parents[1] / "golden"


def noisy() -> Neuron:
    """A membrane that a random number moves at every step."""
    mem, x, u, beta, threshold = variables("mem x u beta threshold")
    own = model(
        "Noisy",
        states="mem",
        params=(Param("beta", 0.75), Param("threshold", 1.0)),
        integrate={"mem": beta * mem + x + (u - 0.5)},
        fire=mem - threshold,
        noise=("u",),
    )
    return Neuron(own)


def behind_a_product(neuron: Op, *, static: bool = False) -> Program:
    layers: dict[str, Op] = {"x": Input((4,)), "fc": Linear(4, 3), "lif": neuron}
    return sequential(layers, time=TimeAxis(static_inputs=("x",) if static else ()))


def recurrent() -> Program:
    nodes: dict[str, Op] = {
        "x": Input((4,)),
        "fc": Linear(4, 3),
        "back": Linear(3, 3),
        "lif": Neuron(MODELS["Leaky"]),
        "output": Output(),
    }
    wires = ["x.y fc.x 0", "fc.y lif.x 0", "lif.spk back.x 1", "back.y lif.x 0", "lif.spk output.x 0"]
    edges = tuple(Edge(src, dst, delay=int(late)) for src, dst, late in map(str.split, wires))
    program = trainable(Program(FrozenMap(nodes), edges))
    require_valid(program)
    return program


LEAKY: Final = MODELS["Leaky"]

PROGRAMS: Final[Mapping[str, Program]] = {
    "leaky": behind_a_product(Neuron(LEAKY)),
    "per_neuron": behind_a_product(Neuron(LEAKY, param_shapes=FrozenMap({"beta": (3,), "threshold": (3,)}))),
    "static_input": behind_a_product(Neuron(LEAKY), static=True),
    "synaptic": behind_a_product(Neuron(MODELS["Synaptic"])),
    "quantised": behind_a_product(Neuron(LEAKY, quantised=True)),
    "noise": behind_a_product(noisy()),
    "recurrent": recurrent(),
    "own_model": behind_a_product(Neuron(adaptive())),
}
"""Name of a folder -> a network whose neuron ``lif`` is printed there, in training."""


def texts(folder: str) -> Iterator[tuple[Path, str]]:
    """File and content of all."""
    backend, options = FOLDERS[folder]
    for name, program in PROGRAMS.items():
        loss = Loss((Term(L1Rate(), of="lif.spk"),))
        job = Train(8, {"x": (4,)}, 2, options=options, loss=loss, optimizer=SGD(lr=0.1))
        found = backend.explain(program, job)
        _, row = found.tables["kernels"]
        for kind, file in zip(("forward", "backward"), row[-2:], strict=True):
            yield GOLDEN / folder / name / f"{kind}.py", found.sources[file]


if __name__ == "__main__":
    for folder in FOLDERS:
        for file, text in texts(folder):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
