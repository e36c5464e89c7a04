"""A program as a torch module that is called step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.ir import Input, Output, Params, Program, check_params, require_valid
from snnhw.tensors.network import Network, ProgramModule, attribute, plan
from snnhw.tensors.scans.installed import provider_for

__all__ = ["ProgramStep", "from_program"]


def from_program(program: Program, params: Params) -> ProgramStep:
    """A program, such as `snnhw.load` gives, as a torch module of one time step.

    Raises:
        ProgramError: the program is not valid, or the parameters do not fit it.
    """
    require_valid(program)
    check_params(program, params)
    return ProgramStep(program, params)


class ProgramStep(ProgramModule):
    """``module(x)`` computes one step and keeps the states inside; made by `from_program`.

    It is used like a network of neurons with ``init_hidden``: in a loop over time, after
    `snnhw.utils.reset`, in `snnhw.compile` and `snnhw.capture`, which give the program back. Its parameters,
    under their keys with ``.`` written as ``/``, are those that the program trains; others are buffers.

    Attributes:
        program: what it runs.
        state: the state after the last call, by key, ``[B, ...]``; None at rest.
        returns_state: whether a call returns its outputs and the state, as snnTorch's import does.
    """

    returns_state: ClassVar[bool] = False

    def __init__(self, program: Program, params: Params) -> None:
        tensors = {key: torch.tensor(params[key]) for key in program.params()}
        super().__init__(_network(program, "cpu"), tensors, time_steps=1)
        self.program, self._device = program, "cpu"
        self.state: dict[str, Tensor] | None = None

    def forward(self, *inputs: Tensor, **named: Tensor) -> Any:  # type: ignore[override]  # as a layer is called
        """One step.

        Args:
            inputs: ``[B, ...]``, in the program's order or by name.

        Returns:
            the outputs ``[B, ...]`` in the program's order: a tensor, or a tuple of several.

        Raises:
            InputError: an input, or the batch of the states, has another shape.
        """
        given = self._given(inputs, named)
        static = self.program.time.static_inputs
        step = {name: x if name in static else x.unsqueeze(0) for name, x in given.items()}
        outputs, self.state = super().forward(step, self.state)
        return self._returned({name: y.squeeze(0) for name, y in outputs.items()})

    def sequence(self, *inputs: Tensor, time_steps: int | None = None, **named: Tensor) -> Any:
        """All steps at once, from rest; the states inside stay as they are.

        Args:
            inputs: ``[T, B, ...]``, or ``[B, ...]`` when static.
            time_steps: T, where all inputs are static.

        Returns:
            the outputs ``[T, B, ...]``, as `forward` returns those of a step.
        """
        given = self._given(inputs, named)
        self._time_steps = time_steps
        try:
            outputs, _ = super().forward(given)
        finally:
            self._time_steps = 1
        return self._returned(outputs)

    def reset_mem(self) -> None:
        """Put everything at rest."""
        self.state = None

    def detach_hidden(self) -> None:
        """Cut the graph of earlier steps, keeping the values: truncated backpropagation."""
        if self.state is not None:
            self.state = {key: value.detach() for key, value in self.state.items()}

    def _given(self, inputs: tuple[Tensor, ...], named: Mapping[str, Tensor]) -> dict[str, Tensor]:
        names = self.program.named(Input)
        given = dict(zip(names, inputs, strict=False))
        if len(inputs) > len(names) or set(named) & set(given) or {*given, *named} != set(names):
            raise InputError(f"this network takes, once each, {', '.join(names)}")
        given |= named
        device = next(iter(given.values())).device.type
        if device != self._device:
            self._device = device
            self._make()
        return given

    def _returned(self, outputs: Mapping[str, Tensor]) -> Any:
        found = tuple(outputs[name] for name in self.program.named(Output))
        return found[0] if len(found) == 1 else found

    def _make(self) -> None:
        network = _network(self.program, self._device)
        self._networks = {False: network, True: network.trained()}

    def __getstate__(self) -> dict[str, Any]:
        # Copies and pickles keep the values of the states, and find their kernels again.
        state = self.state and {key: value.detach() for key, value in self.state.items()}
        return {**self.__dict__, "state": state, "_networks": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        restore: Callable[[dict[str, Any]], None] = super().__setstate__
        restore(state)
        self._make()


def _network(program: Program, device: str) -> Network:
    return Network(program, plan(program), provider_for(device))


def key_names(program: Program) -> dict[str, str]:
    """Parameter key -> the name that a `ProgramStep` has for it."""
    return {key: attribute(key) for key in program.params()}
