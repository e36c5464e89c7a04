"""A compiled program on one torch device: parameters, running, training, saving."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.ir import Optimizer, Params, Program, check_params
from snnhw.ir.inputs import check_inputs, check_state, check_targets
from snnhw.plugin import Arrays, Result, Run, StepResult, Train
from snnhw.tensors import Provider
from snnhw.tensors.losses import total_loss
from snnhw_torch.module import ProgramModule
from snnhw_torch.optimizers import build, settings
from snnhw_torch.run import Network, Pass, run_network
from snnhw_torch.schedule import plan

__all__ = ["TorchExecutable"]


class TorchExecutable:
    """See `snnhw.plugin.Executable`. Accepts any number of steps and any batch at every call."""

    def __init__(
        self,
        program: Program,
        params: Params,
        job: Run | Train,
        *,
        device: torch.device,
        dtype: torch.dtype,
        provider: Provider,
    ) -> None:
        self._job = job
        self._device, self._dtype = device, dtype
        self._network = Network(program, plan(program), provider)
        self._host = {key: np.asarray(array).dtype for key, array in params.items()}
        self._params = {key: self._leaf(key, array) for key, array in params.items()}
        self._outputs = program.outputs()
        self._pending = 0  # calls of step since the last update
        self._closed = False
        if isinstance(job, Train):
            self._optimizer_value = job.optimizer
            self._trained = [self._params[key] for key in sorted(program.trainable)]
            self._optimizer = build(job.optimizer, self._trained)

    # -- running ----------------------------------------------------------------------------------

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        self._open()
        with torch.no_grad():
            found = self._pass(self._signals(inputs), state, self._job.record)
        outputs = {name: found.ports[port] for name, port in self._outputs.items()}
        return Result(outputs, {port: found.ports[port] for port in self._job.record}, found.state)

    def step(self, inputs: Arrays, targets: Arrays, state: Arrays | None = None) -> StepResult:
        job = self._training()
        reads = [term.of for term in job.loss.terms if term.of is not None]
        found = self._pass(self._signals(inputs), state, reads)
        wanted = {name: self._tensor(array, None) for name, array in targets.items()}
        check_targets(job.loss, _shapes(wanted), _batch_of(found))
        loss = total_loss(job.loss, found.ports, wanted)
        (loss / job.accumulate).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._pending += 1
        if self._pending == job.accumulate:
            self._update(job)
        outputs = {name: found.ports[port].detach() for name, port in self._outputs.items()}
        return StepResult(float(loss.detach()), outputs, {key: x.detach() for key, x in found.state.items()})

    def _update(self, job: Train) -> None:
        if job.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self._trained, job.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._pending = 0

    def _pass(self, inputs: Mapping[str, Tensor], state: Arrays | None, ports: Any) -> Pass:
        program = self._network.program
        steps, batch = check_inputs(program, _shapes(inputs), self._steps(inputs))
        before = {}
        if state is not None:
            before = {key: self._tensor(array, self._dtype).detach() for key, array in state.items()}
            check_state(program, _shapes(before), batch)
        wanted = {*self._outputs.values(), *ports}
        return run_network(self._network, self._params, inputs, before, steps, wanted)

    def _steps(self, inputs: Mapping[str, Tensor]) -> int | None:
        """T: the inputs', or the job's when all of them are static."""
        varying = set(inputs) - set(self._network.program.time.static_inputs)
        return None if varying else self._job.time_steps

    def _signals(self, inputs: Arrays) -> dict[str, Tensor]:
        return {name: self._tensor(array, self._dtype) for name, array in inputs.items()}

    def _tensor(self, array: Any, dtype: torch.dtype | None) -> Tensor:
        tensor = array if isinstance(array, Tensor) else torch.from_dlpack(array)
        return tensor.to(self._device, dtype or tensor.dtype)

    # -- parameters and training state ------------------------------------------------------------

    def set_optimizer(self, optimizer: Optimizer) -> None:
        self._training()
        if type(optimizer) is not type(self._optimizer_value):
            raise InputError(
                f"the optimizer was compiled as {type(self._optimizer_value).__name__} and cannot become "
                f"{type(optimizer).__name__}; compile again to change its kind"
            )
        self._optimizer_value = optimizer
        for group in self._optimizer.param_groups:
            group.update(settings(optimizer))

    def get_params(self) -> Params:
        self._open()
        return {key: self._array(x).astype(self._host[key]) for key, x in self._params.items()}

    def set_params(self, params: Params) -> None:
        self._open()
        check_params(self._network.program, {**self.get_params(), **params})
        with torch.no_grad():
            for key, array in params.items():
                self._params[key].copy_(torch.from_numpy(np.array(array)))

    def save_state(self) -> Arrays:
        self._open()
        saved = {f"param/{key}": self._array(x) for key, x in self._params.items()}
        if isinstance(self._job, Train):
            saved["pending"] = np.array(self._pending)
            for key in sorted(self._network.program.trainable):
                param = self._params[key]
                if param.grad is not None:
                    saved[f"grad/{key}"] = self._array(param.grad)
                for name, value in self._optimizer.state.get(param, {}).items():
                    if value is not None:
                        saved[f"optimizer/{key}/{name}"] = self._array(value)
        return saved

    def load_state(self, arrays: Arrays) -> None:
        self._open()
        parts: dict[str, dict[str, Any]] = {"param": {}, "grad": {}, "optimizer": {}, "pending": {}}
        for name, array in arrays.items():
            kind, _, rest = name.partition("/")
            if kind not in parts:
                raise InputError(f"'{name}' is no part of a saved state; its names begin with {', '.join(parts)}")
            parts[kind][rest] = np.asarray(array)
        self.set_params(parts["param"])
        if isinstance(self._job, Train):
            self._pending = int(parts["pending"].get("", 0))
            self._load_training(parts["grad"], parts["optimizer"])

    def _load_training(self, grads: dict[str, Any], moments: dict[str, Any]) -> None:
        self._optimizer.state.clear()
        for key in sorted(self._network.program.trainable):
            param = self._params[key]
            param.grad = self._like(grads[key], param) if key in grads else None
            own = {name.rpartition("/")[2]: value for name, value in moments.items() if name.rpartition("/")[0] == key}
            if own:
                self._optimizer.state[param] = {
                    # torch keeps Adam's step count in float32 on the host, whatever the parameter
                    name: torch.from_numpy(value.copy()) if name == "step" else self._like(value, param)
                    for name, value in own.items()
                }

    def torch_module(self) -> ProgramModule:
        """A differentiable module that shares these parameters, for people who keep their own loop."""
        self._open()
        return ProgramModule(self._network, self._params, self._job)

    def close(self) -> None:
        self._closed = True

    def __enter__(self) -> TorchExecutable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- small things -----------------------------------------------------------------------------

    def _leaf(self, key: str, array: Any) -> Tensor:
        trained = isinstance(self._job, Train) and key in self._network.program.trainable
        return self._like(np.asarray(array)).requires_grad_(trained)

    def _like(self, array: Any, param: Tensor | None = None) -> Tensor:
        dtype = self._dtype if param is None else param.dtype
        return torch.from_numpy(np.array(array)).to(self._device, dtype, copy=True)

    def _array(self, tensor: Tensor) -> np.ndarray[Any, Any]:
        return np.array(tensor.detach().cpu().numpy())

    def _open(self) -> None:
        if self._closed:
            raise InputError("this executable is closed; compile the program again")

    def _training(self) -> Train:
        self._open()
        if not isinstance(self._job, Train):
            raise InputError("this program was compiled to run only; compile it with a loss and an optimizer")
        return self._job


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(x.shape) for name, x in tensors.items()}


def _batch_of(found: Pass) -> int:
    return next(iter(found.ports.values())).shape[1]
