"""Which kernels a network runs, told by running it: it asks for them as ever, and gets zeros for results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import torch
from torch import Tensor

from snnhw.ir import Clock
from snnhw.passes import LoopKernel, Pass, ScanKernel, arguments
from snnhw.plugin import Run, Train
from snnhw.tensors.network.network import Network
from snnhw.tensors.network.run import run_network
from snnhw.tensors.scans.provider import (
    UNMEASURED,
    Draw,
    LoopLaunch,
    Scan,
    ScanGrads,
    ScanInputs,
    ScanOutputs,
    Sizes,
    wide,
)

__all__ = ["KernelUse", "Trial", "trial", "uses"]

SEVERAL: Final = 2
"""As many steps and samples as many more: only a single step may run in another way."""


LEFT: Final[Mapping[Pass, str]] = {"forward": "yhxfm", "backward": "XGVAM"}
"""What a pass of a loop leaves."""


class KernelUse(NamedTuple):
    """A kernel that a node runs, in the forward or in the backward pass; or a loop, with all its nodes: of
    which this is the first."""

    node: str
    kernel: ScanKernel | LoopKernel
    backward: bool


def uses(network: Network, job: Run | Train) -> tuple[KernelUse, ...]:
    """The kernels of a job's calls, in the order in which they first run: of `step` when it trains,
    else of `run`.

    Args:
        network: as it runs; a training one for a job that trains.
    """
    program = network.program
    trains = isinstance(job, Train)
    ports = [term.of for term in job.loss.terms if term.of] if isinstance(job, Train) else job.record
    observed, found, params, inputs, sizes = trial(network, job)
    with torch.set_grad_enabled(trains):
        passed = run_network(
            observed,
            params,
            inputs,
            state={},
            sizes=sizes,
            wanted={*program.outputs().values(), *ports},
            clock=Clock(job.seed),
        )
        read = [passed.ports[port].sum() for port in ports if passed.ports[port].requires_grad]
    if trains and read:
        leaves = [param for param in params.values() if param.requires_grad]
        torch.autograd.grad(torch.stack(read).sum(), leaves, allow_unused=True)
    return tuple(found)


class Trial(NamedTuple):
    """A network whose kernels note themselves and do nothing else, and zeros to run it on: parameters by key,
    inputs by name, T and B."""

    network: Network
    found: dict[KernelUse, None]
    params: dict[str, Tensor]
    inputs: dict[str, Tensor]
    sizes: tuple[int, int]


def trial(network: Network, job: Run | Train) -> Trial:
    """A few steps of a few samples."""
    program, found = network.program, dict[KernelUse, None]()
    observed = replace(network, runners={name: _Observer(name, found) for name in program.nodes})
    late = sum(edge.delay for edge in program.edges)  # so late in a pass, nothing is read any more
    steps, batch = min(job.time_steps, SEVERAL + late), min(job.batch, SEVERAL)
    learns = program.trainable if isinstance(job, Train) else frozenset()
    params = {
        key: torch.zeros(spec.shape, requires_grad=key in learns) for key, spec in program.params().items()
    }
    inputs = {
        name: torch.zeros(*([] if name in program.time.static_inputs else [steps]), batch, *shape)
        for name, shape in job.sample_shapes.items()
    }
    return Trial(observed, found, params, inputs, (steps, batch))


@dataclass(frozen=True, eq=False)
class _Observer:
    """Takes the place of who runs a node's kernels, and notes each that runs."""

    node: str
    found: dict[KernelUse, None]
    lanes: int = 1

    def loop(self, kernel: LoopKernel, passed: Pass, dtype: torch.dtype) -> LoopLaunch:
        self.note(kernel, backward=passed == "backward")

        def launch(tensors: Sequence[Tensor], *_: object) -> None:
            for argument, tensor in zip(arguments(kernel, passed), tensors, strict=True):
                if argument.letter in LEFT[passed]:
                    tensor.zero_()

        return launch

    def computed(self, signals: torch.dtype) -> torch.dtype:
        return wide(signals)

    def compile(self, kernel: ScanKernel, dtype: torch.dtype, device: torch.device) -> Scan:
        return _Zeros(self, kernel)

    def empty(self, *shape: int, like: Tensor) -> Tensor:
        return like.new_zeros(shape)

    @property
    def sizes(self) -> Sizes:
        return UNMEASURED

    def uniform(self, draw: Draw, device: torch.device) -> Tensor:
        return torch.zeros(len(draw.clocks), *draw.shape, device=device)

    def note(self, kernel: ScanKernel | LoopKernel, *, backward: bool) -> None:
        self.found.setdefault(KernelUse(self.node, kernel, backward))


@dataclass(frozen=True, eq=False)
class _Zeros:
    observer: _Observer
    kernel: ScanKernel

    def forward(self, given: ScanInputs, out: ScanOutputs | None = None) -> ScanOutputs:
        self.observer.note(self.kernel, backward=False)
        like = given.inputs[0]
        flat = like.shape[-2:]
        found = out or ScanOutputs(
            [like.new_empty(given.steps, *flat) for _ in self.kernel.output_exprs],
            [torch.empty_like(state) for state in given.states],
        )
        for x in (*found.outputs, *found.states):
            x.zero_()
        return found

    def backward(
        self,
        given: ScanInputs,
        outputs: Sequence[Tensor],
        states: Sequence[Tensor | None],
        out: ScanGrads | None = None,
    ) -> ScanGrads:
        self.observer.note(self.kernel, backward=True)
        kernel = self.kernel
        inputs = [
            None if expr is None else torch.zeros_like(x)
            for x, expr in zip(given.inputs, kernel.input_grads, strict=True)
        ]
        neurons = given.inputs[0].shape[-1:]
        values = [
            torch.zeros(neurons if value.layout == "neuron" else (), dtype=torch.float64)
            if value.grad
            else None
            for value in kernel.values
        ]
        return ScanGrads(inputs, values, [torch.zeros_like(state) for state in given.states])
