"""A program as a differentiable torch module, for a training loop of one's own."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from snnhw.errors import InputError
from snnhw.ir import Clock, Input, Program
from snnhw.ir.inputs import check_inputs, check_state
from snnhw.ir.noise import LIMIT
from snnhw.tensors.network.network import Network
from snnhw.tensors.network.run import run_network

__all__ = ["ProgramModule", "attribute"]


class ProgramModule(nn.Module):
    """``module(inputs, state) -> (outputs, state)`` over all steps.

    Parameters carry their keys with ``.`` written as ``/``, and share the memory of those given: what
    trains here is seen there. ``train()`` and ``eval()`` say which of the two a call is; every call from
    rest in training begins a sequence with random numbers of its own.

    Args:
        time_steps: T where all inputs are static.
        record: ports to return besides the outputs.
        seed: of the random numbers.
    """

    def __init__(
        self,
        network: Network,
        params: Mapping[str, Tensor],
        *,
        time_steps: int | None = None,
        record: tuple[str, ...] = (),
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._networks = {False: network, True: network.trained()}
        self._time_steps, self._record, self._seed = time_steps, record, seed
        for key, tensor in params.items():
            if key in network.program.trainable:
                shared = nn.Parameter(tensor.detach())  # another leaf over the same storage
                self.register_parameter(attribute(key), shared)
            else:
                self.register_buffer(attribute(key), tensor.detach())
        if network.program.clocked:
            self.register_buffer("sequence", torch.tensor(0))  # sequences trained so far

    def forward(
        self, inputs: Mapping[str, Tensor] | Tensor, state: Mapping[str, Tensor] | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Run all steps.

        Args:
            inputs: input name -> ``[T, B, ...]``, or ``[B, ...]`` when static; or the only input.
            state: as the second value returned; None starts from rest.

        Returns:
            Output name or recorded port -> ``[T, B, ...]``, and the final state.
        """
        network = self._networks[self.training]
        program = network.program
        if isinstance(inputs, Tensor):
            inputs = {_only(program.named(Input)): inputs}
        known = self._time_steps if set(inputs) <= set(program.time.static_inputs) else None
        sizes = check_inputs(program, {name: tuple(x.shape) for name, x in inputs.items()}, known)
        if state is not None:
            check_state(program, {key: tuple(x.shape) for key, x in state.items()}, sizes[1])
        params = {key: getattr(self, attribute(key)) for key in program.params()}
        outputs = program.outputs() | {port: port for port in self._record}
        found = run_network(
            network,
            params,
            inputs,
            state=state or {},
            sizes=sizes,
            wanted=outputs.values(),
            clock=self._clock(program, fresh=state is None),
        )
        for key, value in found.statistics.items():
            getattr(self, attribute(key)).copy_(value)
        return {name: found.ports[port] for name, port in outputs.items()}, found.state

    def _clock(self, program: Program, *, fresh: bool) -> Clock:
        """Seed and sequence of a call; one in training that starts from rest begins another sequence."""
        if not (program.clocked and self.training):
            return Clock(self._seed)
        sequence = self.get_buffer("sequence")
        if fresh:
            sequence.add_(1).remainder_(LIMIT)
        return Clock(self._seed, int(sequence))

    def extra_repr(self) -> str:
        return str(self._networks[False].program)


def _only(names: tuple[str, ...]) -> str:
    if len(names) != 1:
        raise InputError(f"this network has several inputs; give a mapping with {', '.join(names)}")
    return names[0]


def attribute(key: str) -> str:
    """A parameter's key as the name of a torch module's attribute: torch keeps dots for itself."""
    return key.replace(".", "/")
