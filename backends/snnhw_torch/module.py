"""A program as a differentiable torch module, for a training loop of one's own."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from snnhw.ir import Input
from snnhw.ir.inputs import check_inputs
from snnhw.plugin import Run
from snnhw_torch.run import Network, run_network

__all__ = ["ProgramModule"]


class ProgramModule(nn.Module):
    """``module(inputs, state) -> (outputs, state)`` over all steps.

    Parameters carry their keys with ``.`` written as ``/``, and are those of the executable that the
    module came from: what trains here is seen there.
    """

    def __init__(self, network: Network, params: Mapping[str, Tensor], job: Run) -> None:
        super().__init__()
        self._network, self._job = network, job
        for key, tensor in params.items():
            if key in network.program.trainable:
                shared = nn.Parameter(tensor.detach())  # another leaf over the same storage
                self.register_parameter(_name(key), shared)
            else:
                self.register_buffer(_name(key), tensor.detach())

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
        network = self._network
        program = network.program
        if isinstance(inputs, Tensor):
            (name,) = program.named(Input)
            inputs = {name: inputs}
        steps = self._job.time_steps if set(inputs) == set(program.time.static_inputs) else None
        steps, _ = check_inputs(program, {name: tuple(x.shape) for name, x in inputs.items()}, steps)
        params = {key: getattr(self, _name(key)) for key in program.params()}
        outputs = program.outputs()
        wanted = {*outputs.values(), *self._job.record}
        found = run_network(network, params, inputs, state or {}, steps, wanted)
        named = {name: found.ports[port] for name, port in outputs.items()}
        return named | {port: found.ports[port] for port in self._job.record}, found.state

    def extra_repr(self) -> str:
        return str(self._network.program)


def _name(key: str) -> str:
    """Torch keeps dots for itself."""
    return key.replace(".", "/")
