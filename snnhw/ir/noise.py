"""Time and chance: which step of which sequence is computed, and which random numbers belong there.

A random number is a function of the seed, the sequence, the node, the step and the place of the element in
its sample and batch, and of nothing else: not of the backend, of memory layout, of the size of the batch, or
of how a sequence is cut into calls. It is drawn on the host by Philox (J. K. Salmon et al., "Parallel Random
Numbers: As Easy as 1, 2, 3", SC 2011), whose counter is set to where the number stands.

A *sequence* begins with every call that starts from rest. Training numbers its sequences 1, 2, 3, ...;
evaluation has the number 0, so that it gives the same whatever was trained in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["CLOCK", "LIMIT", "Clock", "Counter", "counter_of", "uniform"]

CLOCK: Final = "clock"
"""Key under which a run's state holds the numbers of its sequence and of its next step, ``[2]``. Only where
something in the program depends on them; the name of a node's state has a dot."""

LIMIT: Final = 2**24
"""Both numbers start again from 0 here: up to this, they are exact in a state of float32."""

WORD: Final = 2**64 - 1


@dataclass(frozen=True)
class Clock:
    """When something is computed.

    Attributes:
        seed: chosen by the user, for the whole job.
        sequence: number of the sequence.
        step: number of the step in it.
        rank: which of the processes that train together: the samples of each have numbers of their own.
    """

    seed: int = 0
    sequence: int = 0
    step: int = 0
    rank: int = 0

    def later(self, steps: int) -> Clock:
        """The clock some steps on."""
        return replace(self, step=(self.step + steps) % LIMIT)

    def resumed(self, numbers: Sequence[float]) -> Clock:
        """The clock that a state holds."""
        sequence, step = (int(number) for number in numbers)
        return replace(self, sequence=sequence, step=step)

    @property
    def numbers(self) -> tuple[float, float]:
        """What a state holds of it."""
        return float(self.sequence), float(self.step)


class Counter(NamedTuple):
    """Where a step's numbers stand in Philox 4x64, of 10 rounds: ``key`` of two words, ``start`` of four.

    The first word of the counter is that of the block, and raised before each block is drawn: block 1 comes
    first. A block is four words, each two numbers, the lower half first; a number is the upper 24 of its 32
    bits.
    """

    key: tuple[int, int]
    start: tuple[int, int, int, int]


def counter_of(clock: Clock, node: str, name: str, *, held: bool = False) -> Counter:
    """Where the numbers of `uniform` begin, for who draws them somewhere else."""
    place = sha256(f"{node}\0{name}".encode()).digest()
    return Counter(
        (clock.seed & WORD, int.from_bytes(place[:8], "little")),
        (0, 0 if held else clock.step, clock.sequence, 2 * clock.rank + held),
    )


def uniform(
    clock: Clock, node: str, name: str, shape: tuple[int, ...], *, held: bool = False
) -> npt.NDArray[Any]:
    """Random numbers in [0, 1), multiples of 2^-24, as float32.

    Args:
        node: name of the node that they are for.
        name: what they are in it.
        shape: ``[B, ...]``; a smaller batch gets the first samples of a larger one.
        held: the same at every step of a sequence.
    """
    found = counter_of(clock, node, name, held=held)
    generator = np.random.Philox(counter=np.array(found.start, np.uint64), key=np.array(found.key, np.uint64))
    return np.random.Generator(generator).random(shape, np.float32)
