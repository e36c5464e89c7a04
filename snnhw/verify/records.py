"""What a verification found: each backend or reader, each pair of them, and all together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snnhw.parity.comparison import Parity

__all__ = ["Held", "Pair", "Verification"]


@dataclass(frozen=True)
class Held:
    """One backend or reader, held to the reference.

    Attributes:
        name: of the backend, or ``reader@format``; label: what marks its results.
        dtype: of what it returned; seconds: that its run took.
        parity: of the whole network; layers: of each layer, in the order in which a step computes them.
        missing: ports of neurons that it did not return; they could not be compared.
        loads, runs: of a reader: whether it takes the file, and runs it; failure: why not.
        known: of a reader: why it is known to give another thing than this file says, in words.
        is_reference: whether it is the reference itself, which is held to nothing.
    """

    name: str
    label: str
    dtype: str
    seconds: float
    parity: Parity
    layers: Mapping[str, Parity]
    missing: tuple[str, ...] = ()
    loads: bool = True
    runs: bool = True
    failure: str = ""
    known: tuple[str, ...] = ()
    is_reference: bool = False

    @property
    def ok(self) -> bool:
        """Whether it ran, spikes were compared, and rounding explains every difference."""
        return self.is_reference or self._held()

    def _held(self) -> bool:
        return self.runs and _explained(self.parity, self.name) and bool(self.parity.spikes_compared)


@dataclass(frozen=True)
class Pair:
    """Two backends, one held to the other; ``parity`` as if the second were the reference."""

    name: str
    against: str
    parity: Parity

    @property
    def ok(self) -> bool:
        """Whether rounding explains every difference."""
        return _explained(self.parity, self.name, self.against)


def _explained(parity: Parity, *names: str) -> bool:
    """A reader rounds its parameters to its own, so that only its spikes are judged."""
    return parity.ok or (not parity.unexplained_mismatches and any("@" in name for name in names))


@dataclass(frozen=True)
class Verification:
    """What a comparison found.

    Attributes:
        time_steps, batch: T and B of the run.
        held: each backend and the reference; pairs: each backend that ran and the first of them, without the
            reference itself.
    """

    time_steps: int
    batch: int
    held: tuple[Held, ...]
    pairs: tuple[Pair, ...]

    @property
    def ok(self) -> bool:
        """Whether rounding explains every difference, between any of them."""
        return all(held.ok for held in self.held) and all(pair.ok for pair in self.pairs)

    @property
    def fired(self) -> bool:
        """Whether any neuron fired: where none does, equal spikes say little."""
        return any(held.parity.spikes_fired for held in self.held)
