"""Training with gradients through all steps, in a program of a few of them.

A chunk of K steps is compiled, and called T / K times forward, handing states over. The loss is computed on
the host, from the signals of all steps, and so are its gradients with respect to them. Then the chunks are
called once more, the last one first: each computes its steps anew, and its loss is

    sum of signal * cotangent + sum of final state * the gradient that the chunk behind it found there

whose derivative by the parameters is this chunk's part of the gradient, and whose derivative by the states
that were handed over is what the chunk before it needs. PopTorch gives no gradient back, but updates what it
trains. So it trains, in place of the parameters, constants that are added where they count for nothing,
``x - stop(x)``, by plain SGD with a rate of 1:

    #gradient:KEY    of a parameter's shape; gathers minus its gradient over all chunks
    #carry:SIDE:KEY  of a state's shape, two of each. One is written: it was 0, and holds minus the gradient
                     that the call found. The other is read, as the chunk behind wrote it, and cleared: the
                     loss has its product with ``stop`` of itself, so that it becomes 0. Then they change

A gradient that goes from chunk to chunk so keeps every bit. The update follows on the host, where the
parameters are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from snnhw.ir import DelayLine, Program, Shape
from snnhw_ipu.lower import Lowering
from snnhw_ipu.plans import Plan
from snnhw_ipu.recipe import Draft, Register

__all__ = ["CLEARS", "MOVES", "READS", "ChunkLowering"]

GRADIENT: Final = "#gradient:"
CARRY: Final = "#carry:"

SIDES: Final = ("a", "b")

READS: Final = "reads"
"""An argument for each side, ``reads:SIDE``: 1 where its carries are what the chunk behind found, else 0."""

CLEARS: Final = "clears"
"""Likewise: 1 where its carries are to become 0; otherwise they are written, and must be 0 before."""

MOVES: Final = "moves"
"""Another, where statistics move: 1 on the way forward of a step of training, else 0."""


class ChunkLowering(Lowering):
    """One chunk of a step of training, and the loss as the host computes it."""

    def __init__(self, program: Program, plan: Plan) -> None:
        super().__init__(program, plan)
        self.moving: dict[str, Register] = {}
        self.host = Draft(like=Register("signal"))
        self.host.end()
        self.host_targets: list[str] = []
        self.host_value: str | None = None

    def _weight(self, key: str) -> Register:
        whole = super()._weight(key)
        if key not in self.program.trainable:
            return whole
        return self.draft.emit(
            "add", whole, self._nothing(GRADIENT + key, whole), shape=whole.shape, batched=False
        )

    def _handed(self, line: DelayLine) -> Register:
        given = super()._handed(line)
        for side in SIDES:
            cleared = self._flag(f"{CLEARS}:{side}", given)
            written = self.draft.emit("sub", self._one(), cleared, shape=cleared.shape)
            carry = self._nothing(_carry(side, line), given, written)
            given = self.draft.emit("add", given, carry, shape=given.shape)
        return given

    def _one(self) -> Register:
        return self.draft.const(1.0, like=Register(f"{CLEARS}:{SIDES[0]}", fixed=True))

    def _flag(self, name: str, like: Register) -> Register:
        """An argument of one number for each sample, to go with a register."""
        flag = Register(name, fixed=True)
        return self.draft.emit("reshape", flag, shape=(1,) * len(like.shape))

    def _nothing(self, name: str, like: Register, share: Register | None = None) -> Register:
        """Zero, with a gradient: that of what it is added to, or a share of it."""
        shape = (self.plan.batch, *like.shape) if like.batched else like.shape
        whole = self.draft.constant(name, np.zeros(shape, np.float32))
        self.moving[name] = whole = Register(whole.name, like.shape, like.batched, fixed=True)

        def of(function: str, *operands: Register, **options: Any) -> Register:
            return self.draft.emit(function, *operands, shape=like.shape, batched=like.batched, **options)

        zero = of("sub", whole, of("detach", whole))
        zero = zero if share is None else of("mul", zero, share)
        return zero if self.plan.dtype == "float32" else of("cast", zero, dtype=self.plan.dtype)

    def _given_back(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*super()._given_back(), *self._read())))

    def _trained(self) -> tuple[str, ...]:
        return tuple(self.moving)

    def _loss(self, signals: Mapping[str, Register]) -> tuple[dict[str, Shape], list[str], str | None]:
        """Cotangents are its targets; the real one is the host's."""
        steps = self.plan.steps * self.plan.chunks
        held = {
            port: Register(_signal(port), (steps, *self.shapes[port]), fixed=True) for port in self._read()
        }
        targets, divided, self.host_value = self._loss_on(self.host, held, steps)
        self.host_targets = [*targets, *divided]
        self.draft.constants.update(self.host.constants)
        terms: list[Register] = []
        cotangents: dict[str, Shape] = {}
        for port in self._read():
            terms.append(self._along(signals[port], Register(_cotangent(port), signals[port].shape)))
            cotangents[_cotangent(port)] = signals[port].shape
        for line in self.lines.values():
            shape = self._line_shape(line)
            for side in SIDES:
                carry = self.moving[_carry(side, line)]
                still = self.draft.emit("detach", carry, shape=shape)
                found = self.draft.emit("neg", still, shape=shape)
                pulled = self.draft.emit("mul", found, self._flag(f"{READS}:{side}", carry), shape=shape)
                terms.append(self._along(Register(self._final(line), shape), pulled))
                itself = self.draft.emit("mul", still, self._flag(f"{CLEARS}:{side}", carry), shape=shape)
                terms.append(self._along(carry, itself))
        flags = [f"{flag}:{side}" for flag in (READS, CLEARS) for side in SIDES] if self.lines else []
        flags += [MOVES] * bool(self.moved or self.rows)
        return cotangents, flags, self.draft.total(terms).name

    def _after(self, key: str, register: Register) -> str:
        return self._once(key, super()._after(key, register))

    def _placed(self, key: str, rows: Register) -> str:
        return self._once(key, super()._placed(key, rows))

    def _once(self, key: str, moved: str) -> str:
        """A statistic moves on the way forward alone."""
        shape = self.specs[key].shape
        flag = self.draft.emit("first", Register(MOVES))
        there = self.draft.emit("greater", flag, self.draft.const(0.0))
        return self.draft.emit("where", there, Register(moved, shape), self._weight(key), shape=shape).name

    def _along(self, signal: Register, direction: Register) -> Register:
        """Their product, summed, in single precision."""
        exact = self.draft.emit("cast", signal, shape=signal.shape, dtype="float32")
        return self.draft.emit("total", self.draft.emit("mul", exact, direction, shape=signal.shape))

    def _besides(self, places: Mapping[str, int]) -> dict[str, Any]:
        return {
            "reads": {port: [places[port], _cotangent(port)] for port in self._read()},
            "gradients": {
                key: GRADIENT + key for key in sorted(self.program.trainable) if GRADIENT + key in self.moving
            },
            "carries": {
                f"state:{line.key}": [_carry(side, line) for side in SIDES] for line in self.lines.values()
            },
            "cotangents": {_cotangent(port): [self.plan.steps, *self.shapes[port]] for port in self._read()},
            "host": {
                "signals": {port: _signal(port) for port in self._read()},
                "targets": self.host_targets,
                "after": self.host.after,
                "loss": self.host_value,
            },
        }


def _carry(side: str, line: DelayLine) -> str:
    return f"{CARRY}{side}:{line.key}"


def _cotangent(port: str) -> str:
    return f"cotangent:{port}"


def _signal(port: str) -> str:
    return f"signal:{port}"
