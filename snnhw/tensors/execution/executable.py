"""A compiled program on one torch device: parameters, running, training, saving."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any
from weakref import ref

import numpy as np
import torch
from torch import Tensor

from snnhw.arrays import hosts
from snnhw.errors import InputError
from snnhw.ir import Clock, Optimizer, Params, Program
from snnhw.ir.inputs import check_inputs, check_state
from snnhw.ir.whole import whole_inputs, whole_state
from snnhw.plugin import Arrays, Result, Run, StepResult, Train
from snnhw.session import Progress, Session
from snnhw.session.ranks import nothing, reduced, share_of, weighted
from snnhw.tensors.arrays import as_tensor
from snnhw.tensors.execution.calls import Calls, Groups, directly
from snnhw.tensors.execution.chosen import from_arrays, to_arrays
from snnhw.tensors.execution.commit import Change, at_once, graded_as_before
from snnhw.tensors.execution.handed import host, in_memory, number
from snnhw.tensors.execution.learning import Learning
from snnhw.tensors.execution.trainer import Trainer
from snnhw.tensors.losses import Range, ranges
from snnhw.tensors.network import Memo, Network, ProgramModule, attribute, run_network

__all__ = ["TorchExecutable"]

Array = np.ndarray[Any, Any]


OF_ITS_OWN = ("_values", "_held", "_trainer", "_learning", "_derived", "_handed")
"""What a copy makes itself."""

PARTED = (
    "'{}' of a module that torch_module() gave is another tensor than this model's by now, as after "
    "`.data =`, `.to()` or load_state_dict(assign=True), so that they no longer share it; write into the "
    "module's own in place, as `.data.copy_()` does, give it back, or hand the values over by set_params and "
    "drop the module"
)


class TorchExecutable:
    """See `snnhw.plugin.Executable`. Accepts any number of steps and any batch at every call.

    Attributes:
        state: the one after the last step.
    """

    def __init__(
        self,
        network: Network,
        params: Params,
        job: Run | Train,
        *,
        device: torch.device,
        dtype: torch.dtype,
        calls: Calls = directly,
        program: Program | None = None,
    ) -> None:
        program = network.program if program is None else program
        self._program = program
        # Random numbers are of a sequence, another at every call; so may a rank's share of a loss be.
        varies = program.clocked or (isinstance(job, Train) and job.ranks is not None and weighted(job.loss))
        self._calls = directly if varies else calls
        self._job = job
        self._device, self._dtype = device, dtype
        self._network = network
        # As they were given, unless what is computed in holds more.
        computed = "int64" if program.formats else str(dtype).removeprefix("torch.")
        self._host = {key: np.promote_types(np.asarray(x).dtype, computed) for key, x in params.items()}
        self._params = {key: self._like(array) for key, array in params.items()}
        self._session = Session(program, params, job, computed)
        self._now = self._session.start
        self.state: Arrays | None = None
        if isinstance(job, Train):
            for key in program.trainable:
                self._params[key].requires_grad_()
        self._training_network = self._network.trained(self._session.ranks)
        self._look_at_params()
        self._derived: dict[str, Tensor] = {}  # of parameters, while nobody else can write to them
        self._handed: tuple[ref[ProgramModule], ...] = ()  # modules that share the parameters
        self._outputs = program.outputs()
        self._suit: dict[object, tuple[Range, ...]] = {}  # targets like those of the last step

    def _look_at_params(self) -> None:
        """What else has the same memory as the parameters."""
        self._values = {key: x.detach() for key, x in self._params.items()}
        self._held = tuple(self._values.values())
        self._trainer: Trainer | None = None
        self._learning: Learning | None = None
        if isinstance(self._job, Train):
            trained = {key: self._params[key] for key in self._network.program.trainable}
            self._trainer = Trainer(self._job, trained)
            self._learning = Learning(self._training_network, self._job, self._params)

    def __getstate__(self) -> dict[str, Any]:
        """Without those, as `pickle` gives every tensor a memory of its own; nobody shares a copy's."""
        return {name: x for name, x in vars(self).items() if name not in OF_ITS_OWN}

    def __setstate__(self, found: dict[str, Any]) -> None:
        vars(self).update(found, _derived={}, _handed=())
        self._look_at_params()

    # -- running ----------------------------------------------------------------------------------

    @graded_as_before
    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        self._check()
        given, sizes = self._taken(inputs, state)
        # What a run decides is for itself: it is a function of parameters and inputs alone.
        memo = Memo(derived={} if self._handed else self._derived, lasting=True)
        wanted = {*self._outputs.values(), *self._job.record}

        def evaluated(given: Groups) -> Groups:
            with torch.no_grad():
                found = run_network(
                    self._network,
                    self._params,
                    given["inputs"],
                    state=given["state"],
                    sizes=sizes,
                    wanted=wanted,
                    clock=Clock(self._job.seed),
                    memo=memo,
                )
            return {"ports": found.ports, "state": found.state}

        found = self._calls("run", evaluated, given, params=self._held)
        ports, state = (self._shown(found[what]) for what in ("ports", "state"))
        outputs = {name: ports[port] for name, port in self._outputs.items()}
        return Result(outputs, {port: ports[port] for port in self._job.record}, state)

    def _shown(self, found: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Integers as such, whatever they were computed in."""
        return {key: x.long() for key, x in found.items()} if self._program.formats else found

    @graded_as_before
    def step(self, inputs: Arrays, targets: Arrays, state: Arrays | None = None) -> StepResult:
        """What it computes is new, until all of it is there; then everything changes at once."""
        job, trainer, learning = self._training()
        self._check()
        now, ranks = self._now, self._session.ranks
        sequence = self._session.sequence(now, state)
        chosen = dict(now.own)  # what training has decided stays so
        if not inputs and ranks.size > 1:
            share = share_of(ranks, job, 0, {})
            found: Groups = nothing(self._network.program, self._values, job.time_steps, self._zeros)
        else:
            given, sizes = self._taken(inputs, state)
            given["targets"] = self._wanted(job, targets, sizes)
            share = share_of(ranks, job, sizes[1], given["targets"])
            clock = self._session.clock(sequence)
            learned = partial(learning, loss=share.loss, sizes=sizes, clock=clock, chosen=chosen)
            found = self._calls(
                share.name, learned, given, of=lambda: frozenset(chosen.items()), params=self._held
            )
        whole = reduced(ranks, found, share)
        if not now.updates + now.pending:  # rank 0 has decided for all
            chosen = from_arrays(ranks.first(to_arrays(chosen)), self._network)
        after, changes = trainer.learn(replace(now, own=chosen), sequence, whole["grads"], self._calls)
        ends = dict(found["state"])
        result = StepResult(number(whole["loss"]["loss"]), found["outputs"], ends)
        kept = partial(setattr, self, "state", ends)
        self._change(after, [*changes, *self._filling(whole["statistics"]), kept])
        return result

    def _change(self, after: Progress, changes: Iterable[Change]) -> None:
        at_once([self._derived.clear, *changes, partial(setattr, self, "_now", after)])

    def _filling(self, values: Mapping[str, Tensor]) -> list[Change]:
        """Parameters that take other values, in place."""
        present = self.values()
        return [partial(present[key].copy_, value.detach()) for key, value in values.items()]

    def _taken(
        self, inputs: Arrays, state: Arrays | None
    ) -> tuple[dict[str, dict[str, Tensor]], tuple[int, int]]:
        """What a call is given, on the device, and T and B."""
        program = self._program
        if program.formats:
            whole_inputs(program, hosts("input", inputs))
            whole_state(program, hosts("state", state or {}))
        narrow = self._network.signals or self._dtype
        given = {name: self._signal("input", name, array, narrow) for name, array in inputs.items()}
        steps, batch = check_inputs(program, _shapes(given), self._steps(given))
        before = {key: self._signal("state", key, array, self._dtype) for key, array in (state or {}).items()}
        if state is not None:
            check_state(program, _shapes(before), batch)
        return {"inputs": given, "state": before}, (steps, batch)

    def _wanted(self, job: Train, targets: Arrays, sizes: tuple[int, int]) -> dict[str, Tensor]:
        """Targets, looked at before they are on a device."""
        found = {name: as_tensor("target", name, array) for name, array in targets.items()}
        key = (sizes, *((name, x.shape, x.dtype) for name, x in found.items()))
        if key not in self._suit:
            shapes = {port: (*sizes, *shape) for port, shape in self._network.shapes.items()}
            self._suit = {key: ranges(job.loss, shapes, found)}
        for asked in self._suit[key]:
            asked.check(found)
        return {name: x.to(self._device) for name, x in found.items()}

    def _steps(self, inputs: Mapping[str, Tensor]) -> int | None:
        """T: the inputs', or the job's when all of them are static."""
        varying = set(inputs) - set(self._network.program.time.static_inputs)
        return None if varying else self._job.time_steps

    def _signal(self, what: str, name: str, array: Any, dtype: torch.dtype) -> Tensor:
        return as_tensor(what, name, array).detach().to(self._device, dtype)

    # -- parameters and training state ------------------------------------------------------------

    def set_optimizer(self, optimizer: Optimizer) -> None:
        self._session.check_optimizer(optimizer)
        self._now = replace(self._now, optimizer=optimizer)

    def get_params(self) -> Params:
        self._check()
        return self._given()

    def _given(self) -> Params:
        return {key: host(x).astype(self._host[key]) for key, x in self._params.items()}

    def set_params(self, params: Params) -> None:
        given = self._session.taken(params, self._given())
        self._change(self._now, self._filling({key: torch.from_numpy(x) for key, x in given.items()}))

    def save_state(self) -> Arrays:
        self._check()
        now = self._now
        exact = {key: host(x) for key, x in self._params.items()}
        grads, memory = ({key: host(x) for key, x in held.items()} for held in (now.grads, now.memory))
        kept = replace(now, grads=grads, memory=memory, own=to_arrays(now.own))
        return self._session.save(exact, kept)

    def load_state(self, arrays: Arrays) -> None:
        params, saved = self._session.load(in_memory(arrays))
        after = self._trainer.in_tensors(saved) if self._trainer else saved
        after = replace(after, own=from_arrays(after.own, self._network))
        self._change(after, self._filling({key: torch.from_numpy(x) for key, x in params.items()}))

    def values(self) -> Mapping[str, Tensor]:
        """The parameters themselves, for who only looks at them; `torch_module` is for who writes."""
        # Made when asked for: pickled beside the parameters, they would come back as a memory of their own.
        return {key: x.detach() for key, x in self._params.items()}

    def torch_module(self) -> ProgramModule:
        """A differentiable module that shares these parameters, for people who keep their own loop.

        What is written into them in place, there or here, both see. As long as a parameter of the module is
        another tensor instead, calls of this executable raise `InputError`: it has no part in that one.
        """
        self._session.check_open()
        job = self._job
        module = ProgramModule(
            self._network, self._params, time_steps=job.time_steps, record=job.record, seed=job.seed
        )
        self._handed += (ref(module),)
        return module

    def _check(self) -> None:
        """Raise unless it is open, and all modules that are in use share its parameters."""
        self._session.check_open()
        for module in filter(None, [found() for found in self._handed]):
            for key, value in self._values.items():
                if getattr(module, attribute(key)).data_ptr() != value.data_ptr():
                    raise InputError(PARTED.format(attribute(key)))

    def close(self) -> None:
        self._session.close()
        self._calls = directly  # what was recorded has memory of its own

    def __enter__(self) -> TorchExecutable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- small things -----------------------------------------------------------------------------

    def _like(self, array: Any) -> Tensor:
        return torch.from_numpy(np.array(array, order="C")).to(self._device, self._dtype)

    def _zeros(self, shape: tuple[int, ...]) -> Tensor:
        return torch.zeros(shape, device=self._device, dtype=self._dtype)

    def _training(self) -> tuple[Train, Trainer, Learning]:
        job, trainer, learning = self._session.training(), self._trainer, self._learning
        assert trainer is not None, "who trains has one"
        assert learning is not None, "and the other"
        return job, trainer, learning


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(x.shape) for name, x in tensors.items()}
