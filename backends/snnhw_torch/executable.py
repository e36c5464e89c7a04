"""A compiled program on one torch device: parameters, running, training, saving."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.ir import Clock, Optimizer, Params, check_params
from snnhw.ir.inputs import check_inputs, check_state, check_targets
from snnhw.ir.noise import LIMIT
from snnhw.plugin import Arrays, Result, Run, StepResult, Train
from snnhw.tensors import as_tensor
from snnhw.tensors.losses import total_loss
from snnhw.tensors.network import Memo, Network, Pass, ProgramModule, run_network
from snnhw_torch.training import Trainer

__all__ = ["TorchExecutable"]

Array = np.ndarray[Any, Any]


class TorchExecutable:
    """See `snnhw.plugin.Executable`. Accepts any number of steps and any batch at every call."""

    def __init__(
        self,
        network: Network,
        params: Params,
        job: Run | Train,
        *,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        program = network.program
        self._job = job
        self._device, self._dtype = device, dtype
        self._network = network
        self._host = {key: np.asarray(array).dtype for key, array in params.items()}
        self._params = {key: self._like(array) for key, array in params.items()}
        self._trainer: Trainer | None = None
        if isinstance(job, Train):
            trained = {key: self._params[key].requires_grad_() for key in program.trainable}
            self._trainer = Trainer(job, trained)
        self._training_network = self._network.trained()
        self._sequence = 0  # sequences trained so far
        self._chosen: dict[str, str] = {}  # by training: node -> the way it runs
        self._derived: dict[str, Tensor] = {}  # of parameters, while nobody else can write to them
        self._shared = False
        self._outputs = program.outputs()
        self._closed = False

    # -- running ----------------------------------------------------------------------------------

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        self._open()
        with torch.no_grad():
            # What a run decides is for itself: it is a function of parameters and inputs alone.
            memo = Memo(derived={} if self._shared else self._derived)
            found, _ = self._pass(self._network, inputs, state, self._job.record, memo=memo)
        outputs = {name: found.ports[port] for name, port in self._outputs.items()}
        return Result(outputs, {port: found.ports[port] for port in self._job.record}, found.state)

    def step(self, inputs: Arrays, targets: Arrays, state: Arrays | None = None) -> StepResult:
        job, trainer = self._training()
        wanted = {name: as_tensor("target", name, array) for name, array in targets.items()}
        sequence = (self._sequence + (state is None)) % LIMIT
        read = [term.of for term in job.loss.terms if term.of]
        with torch.enable_grad():
            memo = Memo(dict(self._chosen))
            found, batch = self._pass(
                self._training_network, inputs, state, read, memo=memo, sequence=sequence
            )
            check_targets(job.loss, _shapes(wanted), batch)
            loss = total_loss(job.loss, found.ports, wanted)
            self._derived.clear()
            trainer.learn(loss)
        self._sequence, self._chosen = sequence, memo.chosen
        for key, value in found.statistics.items():
            self._params[key].copy_(value)
        outputs = {name: found.ports[port].detach() for name, port in self._outputs.items()}
        return StepResult(float(loss.detach()), outputs, {key: x.detach() for key, x in found.state.items()})

    def _pass(
        self,
        network: Network,
        inputs: Arrays,
        state: Arrays | None,
        ports: Iterable[str],
        *,
        memo: Memo,
        sequence: int = 0,
    ) -> tuple[Pass, int]:
        """One pass, and the size of its batch."""
        program = network.program
        given = {name: self._signal("input", name, array) for name, array in inputs.items()}
        steps, batch = check_inputs(program, _shapes(given), self._steps(given))
        before = {key: self._signal("state", key, array) for key, array in (state or {}).items()}
        if state is not None:
            check_state(program, _shapes(before), batch)
        wanted = {*self._outputs.values(), *ports}
        found = run_network(
            network,
            self._params,
            given,
            state=before,
            sizes=(steps, batch),
            wanted=wanted,
            clock=Clock(self._job.seed, sequence),
            memo=memo,
        )
        return found, batch

    def _steps(self, inputs: Mapping[str, Tensor]) -> int | None:
        """T: the inputs', or the job's when all of them are static."""
        varying = set(inputs) - set(self._network.program.time.static_inputs)
        return None if varying else self._job.time_steps

    def _signal(self, what: str, name: str, array: Any) -> Tensor:
        return as_tensor(what, name, array).detach().to(self._device, self._dtype)

    # -- parameters and training state ------------------------------------------------------------

    def set_optimizer(self, optimizer: Optimizer) -> None:
        self._training()[1].set(optimizer)

    def get_params(self) -> Params:
        self._open()
        return {key: _host(x).astype(self._host[key]) for key, x in self._params.items()}

    def set_params(self, params: Params) -> None:
        self._open()
        check_params(self._network.program, {**self.get_params(), **params})
        self._fill(params)

    def _fill(self, params: Mapping[str, Array]) -> None:
        self._derived.clear()
        with torch.no_grad():
            for key, array in params.items():
                self._params[key].copy_(torch.from_numpy(np.array(array)))

    def save_state(self) -> Arrays:
        self._open()
        parts: dict[str, Any] = {f"param/{key}": x for key, x in self._params.items()}
        if self._trainer is not None:
            parts |= {"sequence": np.array(self._sequence), **self._trainer.save()}
        return {name: _host(x) if isinstance(x, Tensor) else x for name, x in parts.items()}

    def load_state(self, arrays: Arrays) -> None:
        self._open()
        given = {name: _host(as_tensor("saved state", name, array)) for name, array in arrays.items()}
        params = {name.removeprefix("param/"): x for name, x in given.items() if name.startswith("param/")}
        rest = {name: x for name, x in given.items() if not name.startswith("param/")}
        check_params(self._network.program, params, allow_nonfinite=True)  # a run that diverged, too
        if self._trainer is not None:
            sequence = int(rest.pop("sequence", np.array(0)))
            self._trainer.check(rest)
            self._trainer.load(rest)
            self._sequence = sequence
        self._fill(params)

    def torch_module(self) -> ProgramModule:
        """A differentiable module that shares these parameters, for people who keep their own loop."""
        self._open()
        self._shared = True
        job = self._job
        return ProgramModule(
            self._network, self._params, time_steps=job.time_steps, record=job.record, seed=job.seed
        )

    def close(self) -> None:
        self._closed = True

    def __enter__(self) -> TorchExecutable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- small things -----------------------------------------------------------------------------

    def _like(self, array: Any) -> Tensor:
        return torch.from_numpy(np.array(array)).to(self._device, self._dtype)

    def _open(self) -> None:
        if self._closed:
            raise InputError("this executable is closed; compile the program again")

    def _training(self) -> tuple[Train, Trainer]:
        self._open()
        if not isinstance(self._job, Train) or self._trainer is None:
            raise InputError("this program was compiled to run only; compile it with a loss and an optimizer")
        return self._job, self._trainer


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(x.shape) for name, x in tensors.items()}


def _host(tensor: Tensor) -> Array:
    """A copy in main memory."""
    array: Array = tensor.detach().cpu().numpy()
    return array.copy()
